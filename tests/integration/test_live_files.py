"""Files come, are half written, and finished later, while the daemon runs."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest
from tests.daemon_process import FAST, DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, checkpoint, put, safetensors, sha256_of
from tests.waiting import wait_until

from modelkeep.pipeline.sha256 import STREAMS_MAX

PAUSE_SECONDS = 2.5 * float(str(FAST["watch"]["settle_seconds"]))
"""Longer than a file has to lie still."""


def pieces(content: bytes, number: int = 4) -> list[bytes]:
    """Cut content into so many pieces."""
    size = -(-len(content) // number)
    return [content[start : start + size] for start in range(0, len(content), size)]


def write_slowly(file: IO[bytes], content: bytes) -> None:
    """Write with pauses in which a file that is not watched closely looks finished."""
    for piece in pieces(content):
        file.write(piece)
        file.flush()
        time.sleep(PAUSE_SECONDS)


def hashes_of(daemon: DaemonProcess, *paths: Path) -> list[str]:
    """Return every digest that the journal ever told of these paths."""
    names = {str(path) for path in paths}
    return [record["sha256"] for record in daemon.journal("hash.finished") if record["path"] in names]


def wait_models(daemon: DaemonProcess, contents: Iterable[bytes], seconds: float = 30.0) -> None:
    """Wait until all contents are models."""
    wanted = {sha256_of(content) for content in contents}

    def known() -> bool:
        return wanted <= {row["sha256"] for row in daemon.rows("SELECT sha256 FROM models")}

    wait_until(known, seconds, f"{len(wanted)} models")


@pytest.mark.parametrize(
    ("name", "content"), [("slow.safetensors", safetensors(1, 60_000)), ("slow.ckpt", checkpoint(1, 60_000))]
)
def test_a_file_that_somebody_holds_open_and_writes_slowly_is_hashed_once_and_whole(
    models: Path, daemon: DaemonProcess, name: str, content: bytes
) -> None:
    path = models / "loras" / name
    path.parent.mkdir()
    with path.open("wb") as file:
        write_slowly(file, content)
    assert daemon.wait_model(path) == sha256_of(content)
    assert hashes_of(daemon, path) == [sha256_of(content)]
    assert not daemon.journal("hash.failed")


def test_a_safetensors_file_that_is_closed_after_each_piece_is_never_hashed_by_half(
    models: Path, daemon: DaemonProcess
) -> None:
    content, path = safetensors(2, 60_000), models / "in pieces.safetensors"
    for piece in pieces(content):
        with path.open("ab") as file:
            file.write(piece)
        time.sleep(PAUSE_SECONDS)
    assert daemon.wait_model(path) == sha256_of(content)
    assert hashes_of(daemon, path) == [sha256_of(content)]


def test_a_temporary_name_is_not_looked_at_before_it_is_renamed(models: Path, daemon: DaemonProcess) -> None:
    names = {
        "a.safetensors.part": "a.safetensors",
        "Unconfirmed 7.crdownload": "b.safetensors",
        ".c.safetensors.x8Yz": "c.safetensors",
        "d.safetensors.!qB": "d.safetensors",
    }
    contents = {name: safetensors(name, 30_000) for name in names}
    for number in range(4):
        for name, content in contents.items():
            with (models / name).open("ab") as file:
                file.write(pieces(content)[number])
        time.sleep(PAUSE_SECONDS)
    assert not daemon.rows("SELECT path FROM pending_import")
    for temporary, final in names.items():
        (models / temporary).rename(models / final)
        assert daemon.wait_model(models / final) == sha256_of(contents[temporary])
    told = {record["path"] for record in daemon.journal() if "path" in record}
    assert told == {str(models / final) for final in names.values()}


def test_a_file_beside_which_aria2_keeps_its_control_file_waits_until_that_is_gone(
    models: Path, daemon: DaemonProcess
) -> None:
    content, path = checkpoint("aria2"), models / "download.ckpt"
    control = models / "download.ckpt.aria2"
    control.write_bytes(b"\0")
    path.write_bytes(content[:2000] + bytes(len(content) - 2000))
    time.sleep(PAUSE_SECONDS)
    assert hashes_of(daemon, path) == []
    path.write_bytes(content)
    control.unlink()
    assert daemon.wait_model(path) == sha256_of(content)
    assert hashes_of(daemon, path) == [sha256_of(content)]


def test_files_and_folders_that_are_moved_in_or_copied_in_are_all_found(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    single = put(tmp_path / "outside" / "single.safetensors", safetensors("single"))
    moved = [safetensors(("moved", number), 300) for number in range(200)]
    copied = [checkpoint(("copied", number), 300) for number in range(300)]
    for number, content in enumerate(moved):
        put(tmp_path / "outside/tree" / f"{number % 7}" / f"{number % 5}" / f"m{number}.safetensors", content)
    for number, content in enumerate(copied):
        put(tmp_path / "outside/other" / f"{number % 11}" / f"c{number}.ckpt", content)
    single.rename(models / "single.safetensors")
    (tmp_path / "outside/tree").rename(models / "tree")
    subprocess.run(["cp", "-r", str(tmp_path / "outside/other"), str(models / "other")], check=True)
    wait_models(daemon, [safetensors("single"), *moved, *copied])
    daemon.wait_idle()
    assert daemon.status()["locations"] == {"present": 501, "missing": 0, "unreachable": 0}
    assert len(daemon.journal("hash.finished")) == 501
    assert not daemon.journal("*.failed")


def test_a_file_that_is_cut_off_waits_with_a_reason_and_is_migrated_when_the_rest_has_come(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library, content = LegacyLibrary(), safetensors("cut off", 20_000)
    path = put(models / "loras" / "half.safetensors", content[:9000])
    library.add(path, extra={"description": "mine"}, tags=("favourite",))
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    (row,) = wait_until(lambda: daemon.rows("SELECT * FROM pending_import WHERE state = 'failed'"))
    assert "cut off" in row["last_error"]
    assert "half.safetensors" in daemon.must("pending", "list").out
    with path.open("ab") as file:
        file.write(content[9000:])
    assert daemon.wait_model(path) == sha256_of(content)
    model = daemon.get(f"/api/models/{sha256_of(content)}")
    assert model["meta_json"]["description"] == "mine"
    assert [tag["name"] for tag in model["tags"]] == ["favourite"]
    assert hashes_of(daemon, path) == [sha256_of(content)]
    assert not daemon.rows("SELECT * FROM pending_import")


def test_empty_files_and_pointers_are_no_models_but_what_was_said_of_them_is_kept(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LegacyLibrary()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"
    described = [put(models / "empty.ckpt", b""), put(models / "pointer.safetensors", pointer)]
    for path in described:
        library.add(path, tags=("favourite",))
    unknown = [put(models / "unknown.ckpt", b""), put(models / "unknown pointer.safetensors", pointer)]
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    rows = wait_until(lambda: _all_failed(daemon, 2))
    assert {row["path"] for row in rows} == set(map(str, described))
    assert all("not a model" in str(row["last_error"]) for row in rows)
    assert daemon.status()["models"] == 0
    for number, path in enumerate([*described, *unknown]):
        path.write_bytes(safetensors(number))
        assert daemon.wait_model(path) == sha256_of(safetensors(number))
    daemon.wait_idle()
    assert not daemon.rows("SELECT * FROM pending_import")
    assert len(daemon.rows("SELECT * FROM model_tags")) == 2


def _all_failed(daemon: DaemonProcess, number: int) -> list[dict[str, object]]:
    rows = daemon.rows("SELECT * FROM pending_import")
    return rows if [row["state"] for row in rows] == ["failed"] * number else []


def test_names_that_are_not_utf_8_are_kept_byte_for_byte(models: Path, daemon: DaemonProcess) -> None:
    path = models / os.fsdecode(b"caf\xe9 \xf0\x9f\x8c\x8a.safetensors")
    path.write_bytes(safetensors("odd name"))
    wait_models(daemon, [safetensors("odd name")])
    daemon.wait_idle()
    assert listed_paths(daemon) == [path]
    assert "caf\\xe9" in daemon.must("models", "list").out
    renamed = path.rename(models / os.fsdecode(b"th\xe9.safetensors"))
    wait_until(lambda: listed_paths(daemon) == [renamed])
    assert Path(daemon.journal("file.moved")[0]["path"]) == renamed


def listed_paths(daemon: DaemonProcess) -> list[Path]:
    """Return the main paths of all models as the HTTP interface tells them."""
    return [Path(model["path"]) for model in daemon.get("/api/models")["models"]]


def test_what_is_no_model_is_left_alone(models: Path, daemon: DaemonProcess) -> None:
    put(models / "notes.txt", b"text")
    os.mkfifo(models / "pipe.safetensors")
    (models / "folder.safetensors").mkdir()
    (models / "broken link.safetensors").symlink_to(models / "nowhere.safetensors")
    shutil.copy(put(models / "real.safetensors", safetensors("real")), models / "real copy.safetensors")
    wait_models(daemon, [safetensors("real")])
    daemon.scan()
    daemon.wait_idle()
    found = {Path(row["path"]).name for row in daemon.rows("SELECT path FROM locations")}
    assert found == {"real.safetensors", "real copy.safetensors"}
    assert not daemon.rows("SELECT * FROM pending_import")


def test_hidden_folders_are_left_alone_wherever_they_come_from(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    put(models / ".cache" / "deep" / "made.safetensors", safetensors("made"))
    put(tmp_path / ".git" / "moved in.safetensors", safetensors("moved in"))
    (tmp_path / ".git").rename(models / ".git")
    shown = put(models / "loras" / "shown.safetensors", safetensors("shown"))
    daemon.wait_model(shown)
    (models / "loras").rename(models / ".trash")
    wait_until(
        lambda: daemon.status()["locations"]["missing"] == 1, what="what went into a hidden folder to be missing"
    )
    daemon.scan()
    daemon.wait_idle()
    assert daemon.status()["models"] == 1
    assert daemon.rows("SELECT path, state FROM locations") == [{"path": str(shown), "state": "missing"}]


def test_a_file_that_gets_another_time_is_read_again_and_no_other_is(models: Path, daemon: DaemonProcess) -> None:
    touched, other = (put(models / "loras" / f"{name}.safetensors", safetensors(name)) for name in ("a", "b"))
    for path in (touched, other):
        daemon.wait_model(path)
    os.utime(touched, (1_700_000_000, 1_700_000_000))
    wait_until(lambda: len(hashes_of(daemon, touched)) == 2, what="the file to be read again")
    daemon.wait_idle()
    assert (len(hashes_of(daemon, touched)), len(hashes_of(daemon, other))) == (2, 1)
    assert len(daemon.rows("SELECT * FROM models")) == 2


def test_a_small_file_and_one_that_is_asked_for_do_not_wait_for_large_ones_that_are_being_read(
    models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon(tables={"hashing": {"workers": 1}}).start()
    (models / "checkpoints").mkdir(parents=True, exist_ok=True)
    for number in range(STREAMS_MAX + 1):
        with (models / "checkpoints" / f"takes_minutes{number}.ckpt").open("wb") as file:
            file.truncate(1 << 40)  # before it is closed: an empty file is no model
    wait_until(lambda: daemon.status()["hashing"]["queued"], what="no room to be left for a large file")
    assert daemon.wait_model(put(models / "loras" / "small.safetensors", safetensors("small")))
    asked = put(models / "checkpoints" / "asked.ckpt", checkpoint("asked", 20 << 20))
    assert daemon.post("/api/models/sha256", {"path": str(asked)}).json() == {"sha256": sha256_of(asked)}
    assert daemon.status()["hashing"]["queued"]


def test_a_folder_that_may_be_read_at_last_is_looked_through_and_followed(
    models: Path, make_daemon: DaemonMaker
) -> None:
    closed = models / "loras"
    first = put(closed / "deep" / "first.safetensors", safetensors("first"))
    closed.chmod(0)
    daemon = make_daemon(obeys_rights=True).start()
    closed.chmod(0o755)
    daemon.wait_model(first)
    daemon.wait_model(put(closed / "second.safetensors", safetensors("second")))
    daemon.wait_model(put(closed / "deep" / "third.safetensors", safetensors("third")))


def test_a_file_that_may_be_read_at_last_is_read_at_once(models: Path, make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(obeys_rights=True, tables={"sweep": {"retry_base_seconds": 600}}).start()
    closed = models / "loras" / "closed.ckpt"
    put(closed, checkpoint("closed")).chmod(0)
    wait_until(lambda: daemon.rows("SELECT * FROM pending_import WHERE state = 'failed'"), what="it to be parked")
    closed.chmod(0o644)
    daemon.wait_model(closed)


def test_a_file_that_nobody_can_look_at_is_not_missing(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon(obeys_rights=True).start()
    path = put(models / "loras" / "deep" / "closed.ckpt", checkpoint("closed"))
    sha256 = daemon.wait_model(path)
    path.parent.chmod(0)
    library = LegacyLibrary()
    library.add(path, tags=("favourite",))
    daemon.must("import", "hikaze", str(library.write(tmp_path / "legacy")))
    query = "SELECT last_error FROM pending_import WHERE state = 'failed'"
    (row,) = wait_until(lambda: daemon.rows(query), what="the row to be put off")
    assert "it is unknown whether its file is there" in row["last_error"]
    daemon.must("scan")
    assert [place["state"] for place in daemon.rows("SELECT state FROM locations")] == ["present"]
    assert daemon.command("models", "purge", "--yes", sha256).status == 5
    path.parent.chmod(0o755)
    wait_until(lambda: not daemon.rows("SELECT * FROM pending_import"), what="the row to be migrated")
