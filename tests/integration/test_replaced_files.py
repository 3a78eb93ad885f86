"""What lies at a known path is not the known content any more: the path loses it at once, whatever it holds now."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors, sha256_of
from tests.waiting import wait_until

CONTENT = safetensors("copied", 8192)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 12345\n"


def empty(path: Path) -> None:
    path.write_bytes(b"")


def point(path: Path) -> None:
    put(path, POINTER)


def cut_off(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(5000)


def hide(path: Path) -> None:
    other = put(path.with_name("other.part"), safetensors("hidden", 8192))
    other.chmod(0)
    other.rename(path)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_socket(path: Path) -> None:
    os.chdir(path.parent)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.tmp")
    Path("s.tmp").rename(path)


def link_to_nowhere(path: Path) -> None:
    path.with_name("link.tmp").symlink_to("nowhere")
    path.with_name("link.tmp").rename(path)


CHANGES = [empty, point, cut_off, hide, put_folder, put_socket, link_to_nowhere]


@pytest.fixture
def copies(models: Path) -> list[Path]:
    return [put(models / f"{name}.safetensors", CONTENT) for name in "abc"]


@pytest.fixture
def working_folder() -> Iterator[None]:
    before = Path.cwd()
    yield
    os.chdir(before)


@pytest.mark.usefixtures("working_folder")
@pytest.mark.parametrize("is_running", [True, False], ids=["live", "offline"])
def test_a_path_whose_bytes_are_another_thing_loses_its_content(
    models: Path, make_daemon: DaemonMaker, is_running: bool
) -> None:
    daemon = make_daemon(obeys_rights=True)
    paths = {change: put(models / f"{change.__name__}.safetensors", CONTENT) for change in CHANGES}
    kept = put(models / "kept.safetensors", CONTENT)
    daemon.start()
    for path in (*paths.values(), kept):
        daemon.wait_model(path)
    daemon.wait_idle()
    if not is_running:
        daemon.stop()
    for change, path in paths.items():
        change(path)
    if not is_running:
        daemon.start()
    query = "SELECT path FROM locations WHERE state = 'present' AND sha256 = ? ORDER BY path"

    def present() -> list[str]:
        return [Path(row["path"]).stem for row in daemon.rows(query, sha256_of(CONTENT))]

    wait_until(lambda: present() == ["kept"], what="only the kept copy to be present")
    assert daemon.get("/api/duplicates")["freeable_bytes"] == 0
    assert daemon.status()["models"] == 1


@pytest.mark.parametrize("is_running", [True, False], ids=["live", "offline"])
def test_nothing_is_called_freeable_that_was_not_looked_at(
    copies: list[Path], make_daemon: DaemonMaker, is_running: bool
) -> None:
    daemon = make_daemon().start()
    for path in copies:
        daemon.wait_model(path)
    daemon.wait_idle()
    assert duplicates(daemon)["freeable_bytes"] == 2 * len(CONTENT)
    daemon.pause()
    if not is_running:
        daemon.stop()
    empty(copies[0])
    point(copies[1])
    found = duplicates(daemon)
    assert found["freeable_bytes"] == 0
    assert [row["copies"] for row in found["duplicates"]] in ([], [[[str(copies[2])]]])


def duplicates(daemon: DaemonProcess) -> dict[str, Any]:
    found: dict[str, Any] = daemon.must("duplicates", "--json").json
    return found


def test_a_known_file_that_may_not_be_read_any_more_keeps_its_knowledge_and_frees_nothing(
    copies: list[Path], make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon(obeys_rights=True).start()
    for path in copies:
        daemon.wait_model(path)
    daemon.wait_idle()
    copies[0].chmod(0)
    wait_until(lambda: daemon.rows("SELECT 1 FROM locations WHERE doubted"), what="the file to be doubted")
    wait_until(lambda: daemon.journal("hash.failed"), what="it to be found unreadable")
    assert daemon.get("/api/duplicates")["freeable_bytes"] == len(CONTENT)
    assert daemon.status()["locations"]["present"] == 3
    copies[0].chmod(0o644)
    daemon.wait_idle()
    assert daemon.get("/api/duplicates")["freeable_bytes"] == 2 * len(CONTENT)
    assert len(daemon.journal("hash.failed")) == 1, "that it failed again is no news"


ABSURD = [99_999_999_999_999, -99_999_999_999_999, 1 << 40]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder on a tmpfs, which keeps every date."""
    base = Path("/dev/shm")
    if not os.access(base, os.W_OK):
        pytest.skip("there is no tmpfs to write to")
    folder = base / f"modelkeep-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_dates_beyond_all_bounds_hold_up_nobody(memory: Path, make_daemon: DaemonMaker) -> None:
    paths = [put(memory / f"{number}.safetensors", safetensors(number)) for number in range(4)]
    for path, seconds in zip(paths, ABSURD, strict=False):
        os.utime(path, (0, seconds))
        if int(path.stat().st_mtime) != seconds:
            pytest.skip("this file system does not keep such dates")
    daemon = make_daemon(memory).start()
    for number, path in enumerate(paths):
        assert daemon.wait_model(path) == sha256_of(safetensors(number))
    live = put(memory / "live.safetensors", safetensors("live"))
    os.utime(live, (0, ABSURD[0]))
    daemon.wait_model(live)
    daemon.wait_idle()
    daemon.stop()
    daemon.start()
    daemon.scan()
    daemon.wait_idle()
    hashed = [json.dumps(record["path"]) for record in daemon.journal("hash.finished")]
    assert len(set(hashed)) == 5
    assert daemon.status()["locations"] == {"present": 5, "missing": 0, "unreachable": 0}
