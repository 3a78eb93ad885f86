"""The data folder and its lock: one daemon, and the second one says who holds it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkeep.disk.data_directory import DataDirectory, lock_holder
from modelkeep.errors import DataDirectoryBusy, SettingsError

HOLDER = """
import sys
from pathlib import Path
from modelkeep.disk.data_directory import DataDirectory
directory = DataDirectory(Path(sys.argv[1]))
directory.lock("another daemon")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the lock of `tmp_path / "data"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "data"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.communicate()


def test_everything_lies_in_the_folder(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert directory.catalogue == tmp_path / "modelkeep.db"
    assert directory.images == tmp_path / "images"
    assert directory.journal == tmp_path / "journal"
    assert directory.lock_file.parent == tmp_path


@pytest.mark.parametrize("name", ["data", "deep/er/data", "caf\udce9", "mit Leerzeichen"])
def test_the_folder_is_made(tmp_path: Path, name: str) -> None:
    directory = DataDirectory(tmp_path / name)
    directory.lock("modelkeep run")
    assert (tmp_path / name).is_dir()
    directory.unlock()


def test_a_second_one_in_this_process_is_refused_too(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.lock("modelkeep run")
    with pytest.raises(DataDirectoryBusy):
        second.lock("modelkeep import")
    first.unlock()
    second.lock("modelkeep import")
    second.unlock()


def test_a_second_process_is_told_who_holds_it_and_what_to_do(
    tmp_path: Path, holder: "subprocess.Popen[bytes]"
) -> None:
    with pytest.raises(DataDirectoryBusy) as caught:
        DataDirectory(tmp_path / "data").lock("modelkeep run")
    text = str(caught.value)
    assert str(tmp_path / "data") in text
    assert f"another daemon (process {holder.pid}, since " in text
    assert "--data-dir" in text


def test_being_refused_changes_nothing_for_the_holder(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    directory = DataDirectory(tmp_path / "data")
    before = directory.lock_file.read_bytes()
    for _ in range(3):
        with pytest.raises(DataDirectoryBusy):
            directory.lock("modelkeep run")
    assert directory.lock_file.read_bytes() == before
    assert json.loads(before)["pid"] == holder.pid


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_ends_with_its_process_however_it_ends(
    tmp_path: Path, holder: "subprocess.Popen[bytes]", ending: signal.Signals
) -> None:
    holder.send_signal(ending)
    holder.wait(timeout=60)
    directory = DataDirectory(tmp_path / "data")
    directory.lock("modelkeep run")
    assert json.loads(directory.lock_file.read_text())["pid"] == os.getpid()
    directory.unlock()


def test_a_process_that_was_started_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.lock("modelkeep run")
    program = [sys.executable, "-S", "-c", "print('runs', flush=True); input()"]
    child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"runs\n"
        directory.unlock()
        other = DataDirectory(tmp_path)
        other.lock("modelkeep run")
        other.unlock()
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize("left", [b"", b"{", b'{"pid": 5}', b"[]", b"\xff\xfe", b'"text"', b"null"])
def test_whatever_the_lock_file_says_the_refusal_is_a_sentence(
    tmp_path: Path, holder: "subprocess.Popen[bytes]", left: bytes
) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.lock_file.write_bytes(left)
    with pytest.raises(DataDirectoryBusy, match="is in use by another process"):
        directory.lock("modelkeep run")


def test_what_an_earlier_process_left_is_overwritten(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.lock_file.write_text("x" * 5000)
    directory.lock("modelkeep run")
    assert json.loads(directory.lock_file.read_text())["purpose"] == "modelkeep run"
    directory.unlock()


def test_unlocking_twice_or_without_a_lock_is_fine(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.unlock()
    directory.lock("modelkeep run")
    directory.unlock()
    directory.unlock()
    directory.lock("modelkeep run")
    directory.unlock()


def test_a_file_in_the_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    for path in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(SettingsError, match=r"the data folder .* cannot be used: "):
            DataDirectory(path).lock("modelkeep run")


def test_a_folder_in_the_place_of_the_lock_is_a_sentence(tmp_path: Path) -> None:
    DataDirectory(tmp_path).lock_file.mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        DataDirectory(tmp_path).lock("modelkeep run")


@pytest.mark.parametrize("content", ["", "{", '"x"', "[]", '{"pid": 1}'])
def test_whatever_stands_in_a_lock_file_the_holder_is_found_by_the_lock(tmp_path: Path, content: str) -> None:
    lock = tmp_path / "modelkeep.lock"
    lock.write_text(content)
    assert lock_holder(lock) == ""

    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert lock_holder(lock) == ("another process" if content else "")


def test_nobody_holds_a_lock_that_is_not_there(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "none") == ""
