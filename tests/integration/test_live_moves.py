"""Files that are known are renamed, deleted, brought back, replaced, copied and linked while the daemon runs."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, noise, put, safetensors, sha256_of
from tests.waiting import wait_until

LARGE_BYTES = 24 * 1024 * 1024
"""So large that reading one such file shows among everything else that the daemon reads."""


@pytest.fixture
def described(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> DaemonProcess:
    """A running daemon that knows `models/loras/hero.safetensors` (large) with text, tags and image."""
    library = LegacyLibrary()
    path = put(models / "loras" / "hero.safetensors", safetensors("hero", LARGE_BYTES))
    library.add(path, (".png", png()), extra={"description": "the hero"}, tags=("favourite",))
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    daemon.wait_model(path)
    daemon.wait_idle()
    return daemon


def the_model(daemon: DaemonProcess, sha256: str) -> dict[str, Any]:
    """Return a model's details, which are still what the old database said."""
    details: dict[str, Any] = daemon.get(f"/api/models/{sha256}/details")
    assert details["model"]["meta_json"]["description"] == "the hero"
    assert [tag["name"] for tag in details["model"]["tags"]] == ["favourite"]
    assert len(details["images"]) == 1
    return details


def places(details: dict[str, Any]) -> dict[Path, str]:
    """Return the state of each path of a model."""
    return {Path(place["path"]): place["state"] for place in details["locations"]}


def test_a_rename_of_a_file_and_of_folders_reads_no_byte_and_loses_nothing(
    models: Path, described: DaemonProcess
) -> None:
    old, sha256 = models / "loras" / "hero.safetensors", sha256_of(models / "loras" / "hero.safetensors")
    for number in range(50):
        put(models / "loras" / "many" / f"{number}.safetensors", safetensors(number, LARGE_BYTES // 50))
    wait_until(lambda: described.status()["models"] == 51, what="51 models")
    described.wait_idle()
    hashed, characters = len(described.journal("hash.finished")), described.read_characters()
    new = old.rename(old.with_name("renamed.safetensors"))
    described.wait_model(new)
    moved = models / "styles" / "old"
    moved.parent.mkdir()
    (models / "loras").rename(moved)
    described.wait_model(moved / "renamed.safetensors")
    wait_until(lambda: len(described.rows("SELECT path FROM locations WHERE path LIKE ?", f"{moved}/%")) == 51)
    described.scan()
    described.wait_idle()
    assert len(described.journal("hash.finished")) == hashed
    # All that is read is the catalogue; each of the two renames alone would have read LARGE_BYTES.
    assert described.read_characters() - characters < LARGE_BYTES
    details = the_model(described, sha256)
    assert places(details) == {moved / "renamed.safetensors": "present"}
    assert details["model"]["path"] == str(moved / "renamed.safetensors")
    assert described.status()["locations"] == {"present": 51, "missing": 0, "unreachable": 0}


def test_a_rename_while_the_daemon_is_off_reads_no_byte_and_loses_nothing(
    models: Path, described: DaemonProcess
) -> None:
    old, sha256 = models / "loras" / "hero.safetensors", sha256_of(models / "loras" / "hero.safetensors")
    described.stop()
    hashed = len(described.journal("hash.finished"))
    (models / "elsewhere").mkdir()
    new = old.rename(models / "elsewhere" / "renamed.safetensors")
    described.start()
    described.wait_model(new)
    described.wait_idle()
    assert len(described.journal("hash.finished")) == hashed
    assert places(the_model(described, sha256)) == {new: "present"}


def test_a_deleted_file_is_missing_and_one_that_comes_back_is_present(models: Path, described: DaemonProcess) -> None:
    path, sha256 = models / "loras" / "hero.safetensors", sha256_of(models / "loras" / "hero.safetensors")
    away = path.rename(models.parent / "away.safetensors")
    wait_until(lambda: places(the_model(described, sha256)) == {path: "missing"})
    hashed = len(described.journal("hash.finished"))
    away.rename(path)
    described.wait_model(path)
    assert len(described.journal("hash.finished")) == hashed
    shutil.copyfile(path, away)
    path.unlink()
    wait_until(lambda: places(the_model(described, sha256)) == {path: "missing"})
    shutil.copyfile(away, path)
    described.wait_model(path)
    described.wait_idle()
    assert places(the_model(described, sha256)) == {path: "present"}
    told = [record["event"] for record in described.journal("file.*") if record["path"] == str(path)]
    assert told.count("file.missing") == 2
    assert "file.returned" in told


def test_a_file_that_is_replaced_by_other_content_leaves_its_model_without_that_place(
    models: Path, described: DaemonProcess
) -> None:
    path, sha256 = models / "loras" / "hero.safetensors", sha256_of(models / "loras" / "hero.safetensors")
    first, second = safetensors("replacement"), safetensors("replaced again")
    path.write_bytes(first)
    wait_until(lambda: described.wait_model(path) == sha256_of(first))
    assert places(the_model(described, sha256)) == {}
    put(path.with_name("download.part"), second).rename(path)
    wait_until(lambda: described.wait_model(path) == sha256_of(second))
    described.wait_idle()
    assert places(the_model(described, sha256)) == {}
    assert described.get(f"/api/models/{sha256_of(second)}")["tags"] == []
    changed = described.journal("file.changed")
    assert [record["sha256"] for record in changed] == [sha256, sha256_of(first)]


def test_copies_and_links_are_further_places_of_the_model(models: Path, described: DaemonProcess) -> None:
    path, sha256 = models / "loras" / "hero.safetensors", sha256_of(models / "loras" / "hero.safetensors")
    copied, linked, pointed = (path.with_name(f"{name}.safetensors") for name in ("copied", "linked", "pointed"))
    shutil.copyfile(path, copied)
    described.wait_model(copied)
    described.wait_idle()
    hashed = len(described.journal("hash.finished"))
    os.link(path, linked)
    described.wait_model(linked)
    pointed.symlink_to(path)
    described.wait_model(pointed)
    described.wait_idle()
    assert len(described.journal("hash.finished")) == hashed
    assert places(the_model(described, sha256)) == dict.fromkeys((path, copied, linked, pointed), "present")
    path.unlink()
    wait_until(lambda: the_model(described, sha256)["model"]["path"] != str(path), what="another main path")
    assert described.status()["models"] == 1


def test_a_row_that_waits_to_be_hashed_follows_the_rename_of_its_file_and_folder(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon().start()
    daemon.pause()
    library = LegacyLibrary()
    first = put(models / "loras" / "first.safetensors", safetensors("first"))
    second = put(models / "loras" / "deep" / "second.safetensors", safetensors("second"))
    for path in (first, second):
        library.add(path, (".png", png()), extra={"description": path.name}, tags=("favourite",))
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.wait_paused()
    first.rename(models / "loras" / "renamed.safetensors")
    wait_until(lambda: _pending_names(daemon) == {"renamed.safetensors", "second.safetensors"})
    (models / "loras").rename(models / "lora")
    wait_until(lambda: daemon.rows("SELECT id FROM pending_import WHERE path LIKE ?", f"{models}/lora/%"))
    daemon.resume()
    for name, path in (
        ("first", models / "lora/renamed.safetensors"),
        ("second", models / "lora/deep" / second.name),
    ):
        sha256 = daemon.wait_model(path)
        model = daemon.get(f"/api/models/{sha256}")
        assert (sha256, model["meta_json"]["description"]) == (sha256_of(safetensors(name)), f"{name}.safetensors")
        assert (len(model["tags"]), model["meta_json"]["images_count"]) == (1, 1)
    daemon.wait_idle()
    assert not daemon.rows("SELECT * FROM pending_import")


def _pending_names(daemon: DaemonProcess) -> set[str]:
    return {Path(row["path"]).name for row in daemon.rows("SELECT path FROM pending_import")}


@pytest.mark.parametrize("is_read", [False, True], ids=["before it is opened", "while it is read"])
def test_a_rename_of_a_file_that_is_being_hashed_is_followed(
    models: Path, daemon: DaemonProcess, is_read: bool
) -> None:
    path = models / "large.ckpt"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.write(noise("large", 4096))

    def is_in_hand() -> bool:
        return any(active["bytes_done"] or not is_read for active in daemon.status()["hashing"]["active"])

    wait_until(is_in_hand, what="the file to be hashed")
    new = path.rename(models / "renamed.ckpt")
    daemon.wait_model(new)
    daemon.wait_idle()
    assert places(daemon.get(f"/api/models/{sha256_of(new)}/details")) == {new: "present"}
    assert not daemon.rows("SELECT * FROM pending_import")
