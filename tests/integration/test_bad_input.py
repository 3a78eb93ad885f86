"""Whatever is wrong with what the owner gives: one sentence that says what and what to do, and no harm done."""

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess, Finished
from tests.image_files import gigantic_png, png, text_as_image, truncated_png
from tests.integration.conftest import DaemonMaker
from tests.integration.oracle import is_understandable
from tests.libraries import (
    LegacyLibrary,
    copy_sample,
    noise,
    put,
    safetensors,
    sha256_of,
    snapshot,
    write_legacy_database,
)


def sentence_of(done: Finished, status: int) -> str:
    """Return the one sentence on standard error of a command that failed with a status."""
    assert done.status == status, f"{done.status} instead of {status}: {done.out}{done.err}"
    assert "Traceback" not in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("modelkeep: ")]
    assert len(lines) == 1, done.err
    sentence = lines[0].removeprefix("modelkeep: ")
    assert is_understandable(sentence), sentence
    return sentence


def not_sqlite(path: Path) -> Path:
    return put(path, b"this is a text file\n" * 100)


def empty(path: Path) -> Path:
    return put(path, b"")


def another_kind(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT)")
    return path


def of_version_2(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE models (sha256 TEXT PRIMARY KEY, path TEXT)")
        connection.execute("CREATE TABLE pending_import (id INTEGER PRIMARY KEY, path TEXT)")
    return path


def damaged(path: Path) -> Path:
    rows = LegacyLibrary()
    for number in range(200):
        rows.add(f"/models/{number}.safetensors")
    with closing(sqlite3.connect(write_legacy_database(path.parent, rows.models))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    content = path.read_bytes()
    return put(path, content[:8192] + noise("damage", len(content) - 8192))


def nothing(path: Path) -> Path:
    return path


def folder_without_database(path: Path) -> Path:
    path.mkdir()
    return path


SOURCES: list[Callable[[Path], Path]] = [
    not_sqlite,
    empty,
    another_kind,
    of_version_2,
    damaged,
    nothing,
    folder_without_database,
]


def test_a_source_that_is_no_legacy_database_is_refused_in_one_sentence_and_nothing_changes(
    tmp_path: Path, daemon: DaemonProcess
) -> None:
    for number, make in enumerate(SOURCES):
        place = tmp_path / f"source {number}"
        place.mkdir()
        source = make(place / "hikaze_mm.sqlite3")
        assert str(source) in sentence_of(daemon.command("import", "hikaze", str(source)), 1), make
        answer = daemon.post("/api/migration/migrate_legacy_db", {"legacy_db_path": str(source)})
        assert (answer.status_code, list(answer.json())) == (400, ["error"]), make
    assert daemon.status()["models"] == daemon.status()["pending"]["waiting"] == 0
    daemon.stop()
    for number, make in enumerate(SOURCES[:3]):
        source = tmp_path / f"source {number}" / "hikaze_mm.sqlite3"
        assert str(source) in sentence_of(daemon.command("import", "hikaze", str(source)), 1), make


def test_an_import_by_request_of_what_is_no_legacy_database_is_answered_with_400(
    tmp_path: Path, daemon: DaemonProcess
) -> None:
    answer = daemon.post("/api/import", {"kind": "hikaze", "source": str(not_sqlite(tmp_path / "text"))})
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_broken_images_do_not_keep_a_row_from_being_migrated_and_are_told_with_a_reason(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LegacyLibrary()
    broken = {
        "truncated": (".png", truncated_png()),
        "text": (".jpg", text_as_image()),
        "gigantic": (".png", gigantic_png()),
    }
    for name, image in broken.items():
        path = put(models / "loras" / f"{name}.safetensors", safetensors(name))
        library.add(path, image, tags=("favourite",), extra={"description": name})
    library.add(put(models / "loras" / "good.safetensors", safetensors("good")), (".png", png()))
    daemon = make_daemon()
    database = library.write(tmp_path / "data")
    before = snapshot(tmp_path / "data")
    report = daemon.must("import", "hikaze", str(database), "--json").json
    assert len(report["image_errors"]) == len(broken)
    assert all(is_understandable(entry["reason"]) for entry in report["image_errors"])
    daemon.start()
    daemon.wait_idle()
    assert daemon.status()["images"] == 1
    for name in broken:
        details = daemon.get(f"/api/models/{sha256_of(safetensors(name))}/details")
        assert [tag["name"] for tag in details["model"]["tags"]] == ["favourite"]
    assert list((daemon.data_dir / "images" / "pending").iterdir()) == []
    assert snapshot(tmp_path / "data") == before


def test_a_root_that_does_not_exist_is_told_and_is_watched_as_soon_as_it_is_there(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    absent, library = tmp_path / "drive" / "models", LegacyLibrary()
    library.add(absent / "loras" / "on the drive.safetensors", tags=("favourite",))
    database = library.write(tmp_path / "data")
    daemon = make_daemon(models, absent).start()
    daemon.must("import", "hikaze", str(database))
    states = {root["path"]: root["state"] for root in daemon.status()["watch"]["roots"]}
    assert states == {str(models): "watching", str(absent): "unreachable"}
    assert [record["root"] for record in daemon.journal("root.unreachable")] == [str(absent)]
    (row,) = daemon.rows("SELECT * FROM pending_import")
    assert is_understandable(row["last_error"])
    put(models / "here.safetensors", safetensors("here"))
    daemon.wait_model(models / "here.safetensors")
    path = put(absent / "loras" / "on the drive.safetensors", safetensors("on the drive"))
    daemon.wait_model(path)
    assert len(daemon.rows("SELECT * FROM model_tags")) == 1


def refused_start(daemon: DaemonProcess, status: int, *words: str) -> None:
    """Start a daemon that has to refuse in one sentence which holds these words."""
    daemon.start(ready=False)
    ended = Finished(daemon.wait(), "", daemon.said())
    sentence = sentence_of(ended, status)
    for word in words:
        assert word in sentence


def test_a_port_in_use_is_refused_in_one_sentence(make_daemon: DaemonMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = make_daemon(tables={"api": {"port": port}})
        refused_start(daemon, 2, f"127.0.0.1:{port}", "in use", "api.port")
    assert daemon.start().status()["state"] == "running"


def test_a_second_daemon_on_the_same_data_folder_says_who_holds_it_and_the_first_goes_on(
    models: Path, daemon: DaemonProcess, make_daemon: DaemonMaker
) -> None:
    second = make_daemon(name="second")
    second.config.write_text(daemon.config.read_text())
    second.data_dir = daemon.data_dir
    refused_start(second, 1, str(daemon.data_dir), f"process {daemon.pid}")
    put(models / "still.safetensors", safetensors("still"))
    daemon.wait_model(models / "still.safetensors")
    assert daemon.must("status", "--json").json["pid"] == daemon.pid


def test_a_lock_that_a_killed_daemon_left_is_nobodys(daemon: DaemonProcess) -> None:
    daemon.kill()
    assert (daemon.data_dir / "modelkeep.lock").stat().st_size > 0
    assert daemon.command("pause").status == 3
    daemon.start()
    assert daemon.must("status", "--json").json["state"] == "running"


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"watch": {"settel_seconds": 1}}, ["watch.settel_seconds", "settle_seconds"]),
        ({"wacth": {"settle_seconds": 1}}, ["wacth"]),
        ({"watch": {"settle_seconds": "soon"}}, ["watch.settle_seconds", "soon"]),
        ({"api": {"port": 99999}}, ["api.port", "99999", "65535"]),
        ({"migration": {"strategy": "guess"}}, ["migration.strategy", "guess", "merge"]),
        ({"api": {"host": "0.0.0.0"}}, ["api.host", "token"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_configuration_is_refused_with_its_key_and_what_is_allowed(
    make_daemon: DaemonMaker, tables: dict[str, dict[str, object]], words: list[str]
) -> None:
    daemon = make_daemon(tables=tables)
    sentence = sentence_of(daemon.command("run"), 2)
    assert all(word in sentence for word in words), sentence
    assert not daemon.data_dir.exists()


def test_wrong_command_lines_are_refused_with_the_status_for_them(
    tmp_path: Path, daemon: DaemonProcess, make_daemon: DaemonMaker
) -> None:
    source = str(copy_sample(tmp_path / "sample") / "data")
    assert "hikaze" in sentence_of(daemon.command("import", "hikazee", source), 2)
    assert "OLD=NEW" in sentence_of(daemon.command("import", "hikaze", source, "--map", "nonsense"), 2)
    assert "merge" in sentence_of(daemon.command("pending", "resolve", "1", "--strategy", "guess"), 2)
    assert "7" in sentence_of(daemon.command("pending", "resolve", "7", "--strategy", "merge"), 4)
    assert "7" in sentence_of(daemon.command("pending", "drop", "7", "--yes"), 4)
    assert "nothing" in sentence_of(daemon.command("models", "show", "nothing"), 4)
    assert "nothing" in sentence_of(daemon.command("journal", "--model", "nothing"), 4)
    off = make_daemon(name="off")
    assert "run" in sentence_of(off.command("resume"), 3)
    assert off.must("status", "--json").json["state"] == "stopped"
    assert not off.data_dir.exists()


def test_a_data_folder_that_cannot_be_written_is_refused_in_one_sentence(make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(obeys_rights=True)
    daemon.data_dir.mkdir()
    daemon.data_dir.chmod(0o555)
    refused_start(daemon, 2, str(daemon.data_dir))
    daemon.data_dir.chmod(0o755)
    daemon.data_dir.rmdir()
    daemon.data_dir.write_text("a file")
    daemon.log.unlink()
    refused_start(daemon, 2, str(daemon.data_dir))


def test_a_catalogue_that_is_damaged_or_newer_is_refused_and_left_as_it_is(make_daemon: DaemonMaker) -> None:
    daemon = make_daemon()
    catalogue = put(daemon.data_dir / "modelkeep.db", b"no database at all" * 1000)
    refused_start(daemon, 1, str(catalogue))
    assert catalogue.read_bytes() == b"no database at all" * 1000
    catalogue.unlink()
    daemon.log.unlink()
    daemon.start().stop()
    with closing(sqlite3.connect(catalogue)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    daemon.log.unlink()
    refused_start(daemon, 1, "newer")
