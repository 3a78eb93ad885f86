"""What the kernel does not tell is found, what nobody can know is not claimed, what is known is not read again."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.integration.daemon_under import DaemonUnder, with_limit
from tests.integration.mount_points import Mounts, mounting
from tests.integration.watching import (
    processor_seconds,
    roots_of,
    shortened_queue,
    states_below,
    told_of,
    wait_states,
)
from tests.libraries import noise, put, safetensors
from tests.waiting import wait_until

LIMIT = 20


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with mounting(tmp_path) as mounts:
        yield mounts


# The kernel's queue


def test_when_the_kernel_drops_events_everything_is_found_and_what_comes_later_is_seen_at_once(
    models: Path, daemon: DaemonProcess
) -> None:
    gone, renamed = (put(models / "old" / f"{name}.safetensors", safetensors(name)) for name in ("gone", "renamed"))
    for path in (gone, renamed):
        daemon.wait_model(path)
    hashed = len(daemon.journal("hash.finished"))
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        _fill_queue(models)
        new = [put(models / "many" / f"{number}.safetensors", safetensors(number, 64)) for number in range(2_000)]
        new += [
            put(models / f"a{number}" / "deep" / "x.safetensors", safetensors(-1 - number)) for number in range(9)
        ]
        gone.unlink()
        renamed.parent.rename(models / "older")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    wait_until(lambda: daemon.status()["locations"]["present"] == len(new) + 1, what="all files to be found")
    wait_until(lambda: daemon.journal("watch.overflowed"), what="the loss to be told: it may come last")
    daemon.scan()
    wait_until(lambda: states_below(daemon, models / "old") == {"gone.safetensors": "missing"})
    assert states_below(daemon, models / "older") == {"renamed.safetensors": "present"}
    daemon.wait_idle()
    assert len(daemon.journal("hash.finished")) == hashed + len(new)
    scanned = len(daemon.journal("rescan.finished"))
    _check_seen_at_once(daemon, models, models / "a7" / "deep", models / "older", models / "many")
    assert len(daemon.journal("rescan.finished")) == scanned


def _check_seen_at_once(daemon: DaemonProcess, *folders: Path) -> None:
    """Check that of a new file in each folder an event tells, not a rescan."""
    paths = [put(folder / "later.safetensors", safetensors(folder)) for folder in folders]
    for path in paths:
        daemon.wait_model(path)
    told = {(Path(record["path"]), record["cause"]) for record in daemon.journal("file.detected")}
    assert {(path, cause) for path, cause in told if path in paths} == {(path, "watch") for path in paths}


def _fill_queue(folder: Path) -> None:
    """Make more events than the kernel keeps for who does not read them."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 200_000:
        pytest.skip(f"the kernel keeps {most} events here")
    for _ in range(most // 2 + 1):
        (folder / "noise").touch()
        (folder / "noise").unlink()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to shorten the kernel's queue")
def test_with_a_short_queue_every_file_of_eight_thousand_folders_is_found_and_then_nothing_is_done(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    for number in range(40_000):
        part = tmp_path / ("rest" if number % 5 else "first")
        put(part / "tree" / f"{number // 500}" / f"{number // 5}" / f"{number}.ckpt", b"%d" % number)
    with shortened_queue(256):
        daemon = make_daemon(tables={"sweep": {"interval_seconds": 60}}).start()
    _copy_and_wait(daemon, tmp_path / "first" / "tree", models, 8_000)
    os.kill(daemon.pid, signal.SIGSTOP)
    _copy_and_wait(daemon, tmp_path / "rest" / "tree", models, 40_000)
    wait_until(lambda: daemon.status()["locations"]["present"] == 40_000, 400, "all files to be hashed")
    daemon.wait_idle()
    assert daemon.journal("watch.overflowed")
    _check_seen_at_once(daemon, *(models / "tree").glob("*/*00"))
    daemon.wait_idle()
    # The journal's indexes come after the work, a segment every five seconds.
    wait_until(lambda: _processor_seconds_in(10, daemon) < 0.1, 120, "nothing to be done")


def _processor_seconds_in(seconds: float, daemon: DaemonProcess) -> float:
    before = processor_seconds(daemon.pid)
    time.sleep(seconds)  # the time over which is measured
    return processor_seconds(daemon.pid) - before


def _copy_and_wait(daemon: DaemonProcess, tree: Path, models: Path, number: int) -> None:
    """Copy a tree, let the daemon go on if it was stopped, and wait until it has found so many files."""
    try:
        subprocess.run(["cp", "-r", str(tree), str(models)], check=True)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    found = "SELECT count(*) AS number FROM (SELECT path FROM locations UNION SELECT path FROM pending_import)"
    wait_until(lambda: daemon.rows(found)[0]["number"] == number, 90, f"{number} files to be found")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_forty_thousand_files_that_appear_at_once_in_one_folder_are_all_hashed(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    for number in range(40_000):
        put(tmp_path / "many" / f"{number}.ckpt", b"%d" % number)
    (tmp_path / "many").rename(models / "many")
    subprocess.run(["cp", "-r", str(models / "many"), str(models / "copy")], check=True)
    wait_until(lambda: daemon.status()["locations"]["present"] == 80_000, 500, "all files to be hashed")
    assert daemon.status()["models"] == 40_000


# The kernel's limits


@pytest.fixture
def limited(tmp_path: Path, models: Path) -> Iterator[DaemonProcess]:
    """A daemon that may watch few folders, on a root with more of them."""
    for number in range(2 * LIMIT):
        put(models / f"{number}" / "x.safetensors", safetensors(number))
    daemon = DaemonUnder(with_limit("max_inotify_watches", LIMIT), tmp_path / "limited", [models])
    if subprocess.run(daemon.program("--version"), capture_output=True).returncode:
        pytest.skip("user name spaces cannot be made here")
    yield daemon.start()
    daemon.close()
    print(daemon.last_words())
    assert not daemon.has_failed_inside()


def test_when_not_all_folders_can_be_watched_it_says_so_and_how_to_help_and_rescans_find_the_rest(
    models: Path, limited: DaemonProcess
) -> None:
    wait_until(lambda: limited.status()["models"] == 2 * LIMIT, what="what was there before")
    (told,) = limited.journal("watch.limited")
    remedy = "sudo sysctl fs.inotify.max_user_watches=1048576"
    assert (told["root"], told["folders"], told["watched"]) == (str(models), 2 * LIMIT + 1, LIMIT)
    assert told["remedy"] == remedy
    root = roots_of(limited)[models]
    assert root["state"] == "limited"
    assert root["reason"] == f"{LIMIT + 1} of {2 * LIMIT + 1} folders are not watched; raise the limit: {remedy}"
    new = [put(models / f"{number}" / "new.safetensors", safetensors(-1 - number)) for number in range(2 * LIMIT)]
    new.append(put(models / "later" / "new.safetensors", safetensors("later")))
    wait_until(lambda: len(limited.journal("file.detected")) >= 2 * LIMIT + LIMIT - 1, what="what is watched")
    limited.scan()
    for path in new:
        limited.wait_model(path)
    causes = [record["cause"] for record in limited.journal("file.detected")[2 * LIMIT :]]
    assert {*causes} == {"watch", "scan"}
    assert len(limited.journal("watch.limited")) == 1


# The roots themselves


def test_what_becomes_of_a_root_is_noticed_and_nothing_in_it_is_missing_while_it_is_away(
    tmp_path: Path, make_daemon: DaemonMaker, mounts: Mounts
) -> None:
    later, remade, renamed, drive, bound, covered = roots = [
        tmp_path / name for name in ("later", "remade", "renamed", "drive", "bound", "covered")
    ]
    for root in roots[1:]:
        root.mkdir()
    memory, folder = tmp_path / "memory", tmp_path / "folder"
    for place in (memory, folder):
        place.mkdir()
    mounts.memory(memory)
    mounts.bind(memory, drive)
    mounts.bind(folder, bound)
    for root in roots[1:]:
        for name in "ab":
            put(root / "x" / f"{name}.safetensors", safetensors((root.name, name)))
    daemon = make_daemon(*roots).start()
    for root in roots[1:]:
        wait_states(daemon, root, a="present", b="present")
    daemon.wait_idle()
    hashed = len(daemon.journal("hash.finished"))
    told = {root: told_of(daemon, root) for root in roots}

    put(later / "x" / "a.safetensors", safetensors("later"))
    shutil.rmtree(remade)
    renamed.rename(tmp_path / "away")
    mounts.unmount(drive)
    mounts.unmount(bound)
    mounts.memory(covered)
    wait_states(daemon, later, a="present")
    for root in (renamed, drive, bound, covered):
        wait_states(daemon, root, a="unreachable", b="unreachable")
        assert told_of(daemon, root) == told[root]
    wait_until(lambda: roots_of(daemon)[remade]["state"] == "unreachable", what="the deleted root to be unreachable")

    put(remade / "x" / "b.safetensors", safetensors("made again"))
    (tmp_path / "away").rename(renamed)
    mounts.bind(memory, drive)
    mounts.bind(folder, bound)
    mounts.unmount(covered)
    for root in (renamed, drive, bound, covered):
        wait_states(daemon, root, a="present", b="present")
        assert told_of(daemon, root) == told[root]
    wait_states(daemon, remade, a="missing", b="present")
    assert len(daemon.journal("hash.finished")) == hashed + 2
    for root in roots:
        daemon.wait_model(put(root / "c.safetensors", safetensors((root.name, "c"))))
    unreachable = [Path(record["root"]) for record in daemon.journal("root.unreachable")]
    assert sorted(unreachable) == sorted(roots)
    returned = [Path(record["root"]) for record in daemon.journal("root.returned")]
    assert sorted(returned) == sorted(roots)


# Rights


def test_what_is_known_in_a_folder_that_may_not_be_read_any_more_is_kept(
    models: Path, make_daemon: DaemonMaker
) -> None:
    closed, open_ = models / "closed", models / "open"
    for folder in (closed, open_):
        put(folder / "a.safetensors", safetensors(folder))
    daemon = make_daemon(obeys_rights=True).start()
    for folder in (closed, open_):
        wait_states(daemon, folder, a="present")
    told = told_of(daemon, models)
    closed.chmod(0)
    try:
        daemon.scan()
        daemon.stop()
        daemon.start()
        wait_until(lambda: roots_of(daemon)[models]["state"] == "watching")
        put(open_ / "b.safetensors", safetensors("b"))
        wait_states(daemon, open_, a="present", b="present")
        daemon.scan()
        wait_states(daemon, closed, a="present")
        (last,) = daemon.journal("rescan.finished")[-1:]
        assert last["unreadable"] == [f"{closed}: Permission denied"]
    finally:
        closed.chmod(0o755)
    daemon.scan()
    daemon.wait_model(put(closed / "b.safetensors", safetensors("b in closed")))
    # The folder is looked through while the file is written: its last event may have the file looked at once more.
    later = told_of(daemon, models)
    assert later[: len(told)] == told
    assert set(later[len(told) :]) == {("file.detected", "b.safetensors"), ("file.settled", "b.safetensors")}


# What is known is not read


LARGE_BYTES = 128 << 20
"""So large that reading one such file shows among all else that a daemon reads from its start on."""


def test_renames_links_and_restarts_read_no_byte_of_what_is_known(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    path = models / "loras" / "large.ckpt"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(noise("large", 4096))
        file.truncate(LARGE_BYTES)
    daemon = make_daemon().start()
    sha256 = daemon.wait_model(path)
    daemon.wait_idle()
    assert daemon.read_characters() > LARGE_BYTES, "what is read would not show"
    before = daemon.read_characters()
    path = path.rename(path.with_name("renamed.ckpt"))
    daemon.wait_model(path)
    path = path.parent.rename(models / "lora") / path.name
    daemon.wait_model(path)
    hard, soft = path.with_name("hard.ckpt"), path.with_name("soft.ckpt")
    os.link(path, hard)
    daemon.wait_model(hard)
    soft.symlink_to(path)
    daemon.wait_model(soft)
    path.parent.rename(tmp_path / "out")
    wait_until(lambda: daemon.status()["locations"] == {"present": 0, "missing": 3, "unreachable": 0})
    (tmp_path / "out").rename(path.parent)
    for place in (path, hard, soft):
        assert daemon.wait_model(place) == sha256
    daemon.scan()
    daemon.wait_idle()
    assert daemon.read_characters() - before < LARGE_BYTES // 2
    daemon.stop()
    daemon.start()
    wait_until(lambda: roots_of(daemon)[models]["state"] == "watching")
    daemon.wait_idle()
    assert daemon.read_characters() < LARGE_BYTES // 2
    assert daemon.status()["locations"] == {"present": 3, "missing": 0, "unreachable": 0}
    assert [record["sha256"] for record in daemon.journal("hash.finished")] == [sha256]
