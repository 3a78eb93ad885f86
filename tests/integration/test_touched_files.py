"""Another content with the size and the times of a known one is never taken for it; a new name reads no byte."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

X, Y = safetensors("a", 4096), safetensors("b", 4096)
THEN = 1_500_000_000


@pytest.fixture
def known(models: Path, make_daemon: DaemonMaker) -> DaemonProcess:
    """A running daemon that knows X at `models/x.safetensors`, with a text."""
    path = dated(models / "x.safetensors", X)
    daemon = make_daemon().start()
    sha256 = daemon.wait_model(path)
    daemon.wait_idle()
    changes = {"meta_json": {"description": "of X"}}
    assert daemon.request("PATCH", f"/api/models/{sha256}", json=changes).is_success
    return daemon


@pytest.fixture
def imported(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> DaemonProcess:
    """The same, where an import said it of the path."""
    path = dated(models / "x.safetensors", X)
    library = LegacyLibrary()
    library.add(path, extra={"description": "of X"})
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    assert daemon.wait_model(path) == sha256_of(X)
    daemon.wait_idle()
    return daemon


def dated(path: Path, content: bytes) -> Path:
    """Write a file with a date of years ago, as archives and image layers do."""
    put(path, content)
    os.utime(path, (THEN, THEN))
    return path


def remove_and_copy(path: Path, other: Path) -> None:
    path.unlink()
    shutil.copy2(other, path)


def copy_into_place(path: Path, other: Path) -> None:
    shutil.copy2(other, path)  # truncates, writes and dates it back: the file stays the same one


def copy_beside(path: Path, other: Path) -> None:
    path.unlink()
    shutil.copy2(other, path.with_name("z.safetensors"))


def unpack(path: Path, other: Path) -> None:
    packed = other.parent / "packed"
    packed.mkdir(exist_ok=True)
    other.rename(packed / path.name)
    subprocess.run(["tar", "-C", packed, "-cf", other.parent / "packed.tar", path.name], check=True)
    subprocess.run(["tar", "-C", path.parent, "-xf", other.parent / "packed.tar"], check=True)


CHANGES = [remove_and_copy, copy_into_place, copy_beside, unpack]


@pytest.mark.parametrize("is_running", [True, False], ids=["live", "offline"])
@pytest.mark.parametrize("change", CHANGES)
def test_another_content_of_the_same_size_and_times_is_read(
    tmp_path: Path, models: Path, imported: DaemonProcess, change: Callable[[Path, Path], None], is_running: bool
) -> None:
    if not is_running:
        imported.stop()
    change(models / "x.safetensors", dated(tmp_path / "other", Y))
    if not is_running:
        imported.start()
    (path,) = models.iterdir()
    wait_until(lambda: imported.wait_model(path) == sha256_of(Y), what="the other content to be known")
    imported.wait_idle()
    assert imported.get(f"/api/models/{sha256_of(Y)}")["meta_json"]["description"] == ""
    kept = imported.get(f"/api/models/{sha256_of(X)}/details")
    assert kept["model"]["meta_json"]["description"] == "of X"
    assert [place for place in kept["locations"] if place["state"] == "present"] == []
    assert imported.rows("SELECT COUNT(*) AS n FROM models") == [{"n": 2}]


@pytest.mark.parametrize("is_running", [True, False], ids=["live", "offline"])
def test_new_rights_have_the_file_read_again_and_nothing_is_lost(
    models: Path, known: DaemonProcess, is_running: bool
) -> None:
    path = models / "x.safetensors"
    if not is_running:
        known.stop()
    path.chmod(0o640)
    if not is_running:
        known.start()
    wait_until(lambda: len(known.journal("hash.finished")) == 2, what="the file to be read again")
    known.wait_idle()
    places = known.get(f"/api/models/{sha256_of(X)}/details")["locations"]
    assert [(place["path"], place["state"]) for place in places] == [(str(path), "present")]
    assert known.rows("SELECT COUNT(*) AS n FROM models") == [{"n": 1}]
    assert not known.journal("file.missing")


def test_a_file_of_several_names_is_not_read_once_for_each_when_it_was_touched(
    models: Path, known: DaemonProcess
) -> None:
    path, pointed = models / "x.safetensors", models / "p.safetensors"
    names = [models / f"{number}.safetensors" for number in range(8)]
    for name in names:
        os.link(path, name)
    pointed.symlink_to(path)
    for name in (*names, pointed):
        known.wait_model(name)
    known.wait_idle()
    before = len(known.journal("hash.finished"))  # a name may be read that is given while others are
    path.chmod(0o640)
    wait_until(lambda: len(known.journal("hash.finished")) > before, what="the file to be read again")
    known.scan()
    known.wait_idle()
    # A small file may be read before its other names are looked at, and once more for all of those; and once more
    # when an event of it is looked at while it is read.
    assert len(known.journal("hash.finished")) <= before + len(names) // 2
    assert known.status()["locations"]["present"] == 10


def test_names_that_are_given_and_taken_while_it_runs_read_nothing(models: Path, known: DaemonProcess) -> None:
    (models / "sub").mkdir()
    path, linked, moved = models / "x.safetensors", models / "linked.safetensors", models / "sub" / "z.safetensors"
    os.link(path, linked)
    known.wait_model(linked)
    linked.rename(moved)
    known.wait_model(moved)
    moved.unlink()
    wait_until(lambda: known.rows("SELECT 1 FROM locations WHERE path = ? AND state = 'missing'", str(moved)))
    path.rename(linked)
    known.wait_model(linked)
    linked.rename(path)
    known.wait_model(path)
    known.scan()
    known.wait_idle()
    assert len(known.journal("hash.finished")) == 1
    assert not known.rows("SELECT path FROM locations WHERE doubted")


def test_names_that_are_given_and_taken_while_it_is_off_read_nothing(models: Path, known: DaemonProcess) -> None:
    path, linked, renamed = models / "x.safetensors", models / "linked.safetensors", models / "r.safetensors"
    known.stop()
    os.link(path, linked)
    known.start()
    known.wait_model(linked)
    known.wait_idle()
    known.stop()
    path.rename(renamed)
    known.start()
    known.wait_model(renamed)
    known.wait_idle()
    assert len(known.journal("hash.finished")) == 1
    assert not known.rows("SELECT path FROM locations WHERE doubted")


@pytest.mark.parametrize("is_running", [True, False], ids=["live", "offline"])
def test_a_rename_is_no_reason_for_what_was_written_before_and_after(
    tmp_path: Path, models: Path, known: DaemonProcess, is_running: bool
) -> None:
    path, moved = models / "x.safetensors", models / "moved.safetensors"
    other = dated(tmp_path / "other", Y)
    if not is_running:
        known.stop()
    path.rename(moved)
    os.utime(models, (THEN, THEN))  # as if that had been long ago
    shutil.copy2(other, moved)
    if not is_running:
        known.start()
    wait_until(lambda: known.wait_model(moved) == sha256_of(Y), what="the other content to be known")


def test_a_restored_copy_is_its_model_again(tmp_path: Path, models: Path, known: DaemonProcess) -> None:
    path, kept = models / "x.safetensors", tmp_path / "kept"
    shutil.copy2(path, kept)
    path.unlink()
    wait_until(lambda: known.rows("SELECT 1 FROM locations WHERE state = 'missing'"), what="it to be missing")
    shutil.copy2(kept, path)
    known.wait_model(path)
    known.wait_idle()
    assert known.get(f"/api/models/{sha256_of(X)}")["meta_json"]["description"] == "of X"
    assert known.status()["models"] == 1


def test_a_question_about_a_file_that_was_dated_back_is_answered_by_its_bytes(
    tmp_path: Path, models: Path, known: DaemonProcess
) -> None:
    path = models / "x.safetensors"
    known.pause()
    copy_into_place(path, dated(tmp_path / "other", Y))
    assert known.post("/api/models/sha256", {"path": str(path)}).json()["sha256"] == sha256_of(Y)


def test_a_catalogue_of_before_learns_the_times_and_reads_nothing(models: Path, known: DaemonProcess) -> None:
    known.stop()
    forget_times(known)
    known.start()
    known.scan()
    known.wait_idle()
    assert len(known.journal("hash.finished")) == 1
    (times,) = known.rows("SELECT ctime_ns, birth_ns FROM locations")
    assert times["ctime_ns"] == (models / "x.safetensors").stat().st_ctime_ns


def forget_times(daemon: DaemonProcess) -> None:
    with closing(sqlite3.connect(daemon.data_dir / "modelkeep.db")) as connection, connection:
        connection.execute("UPDATE locations SET ctime_ns = NULL, birth_ns = NULL")
