"""Looks at a disk that does not answer: left behind, not begun again, and gone on with when it answers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import DEADLINE_SECONDS, wait_until_async

from modelkeep.base.patience import reached, within
from modelkeep.disk import looks as disk_looks
from modelkeep.disk.looks import HANGING_MAX, DiskLooks, apart
from modelkeep.disk.roots import Roots
from modelkeep.domain.naming import Root
from modelkeep.errors import RootSilent

SILENCE_SECONDS = 2.0
"""A busy machine answers within it."""

NETWORK, LOCAL = "/network", "/local"


class Disk:
    """A disk that answers, or does not; ends with the test, so that no thread is left."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.begun = 0

    def look(self, *_: object) -> str:
        self.begun += 1
        self.answers.wait()
        return "answer"

    def tells(self, paths: list[str]) -> dict[str, str]:
        if paths[0].startswith(NETWORK):
            self.look()
        return dict.fromkeys(paths, "answer")


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.answers.set()


class Told(Roots):
    """What is told of roots."""

    def __init__(self, silence_seconds: float = SILENCE_SECONDS) -> None:
        super().__init__([Root(NETWORK), Root(LOCAL)])
        self.silent: list[str] = []
        self.answers = 0
        self.looks = DiskLooks(self, silence_seconds)

    def doubt(self, path: str) -> None:
        root = self.of(path)
        assert root is not None
        self.silent.append(root.path)

    def ask_check(self) -> None:
        self.answers += 1


async def test_what_is_answered_comes_back_and_so_does_an_error() -> None:
    looks = DiskLooks()
    assert await looks.run("/", divmod, 7, 2) == (3, 1)
    with pytest.raises(FileNotFoundError):
        await looks.run("/", Path("/nowhere").stat)


async def test_a_silent_root_is_told_and_asked_no_more_until_it_answers(disk: Disk) -> None:
    told = Told()
    with pytest.raises(RootSilent, match=r"nothing has answered for 2 s at /network/a.pt"):
        await told.looks.run(f"{NETWORK}/a.pt", disk.look)
    for _ in range(5):
        with pytest.raises(RootSilent):
            await told.looks.run(f"{NETWORK}/b.pt", disk.look)
    assert disk.begun == 1
    assert told.looks.is_silent(f"{NETWORK}/c.pt")
    assert not told.looks.is_silent(LOCAL)
    assert told.silent == [NETWORK] * 6
    disk.answers.set()
    await wait_until_async(lambda: told.answers)
    assert await told.looks.run(NETWORK, disk.look) == "answer"


async def test_one_root_holds_up_no_other(disk: Disk) -> None:
    told = Told()
    paths = [f"{root}/{name}" for root in (NETWORK, LOCAL, "/elsewhere") for name in "ab"]
    assert await told.looks.found(disk.tells, paths) == dict.fromkeys(paths[2:], "answer")
    assert told.silent == [NETWORK]


async def test_an_error_of_one_root_is_not_taken_for_silence() -> None:
    def fail(paths: list[str]) -> str:
        raise ValueError(paths[0])

    with pytest.raises(ValueError, match="/local"):
        await DiskLooks().by_root(fail, [LOCAL])


async def test_a_long_look_may_last_as_long_as_it_goes_on() -> None:
    def walk() -> int:
        for number in range(50):
            reached(str(number))
            time.sleep(SILENCE_SECONDS / 40)
        return 50

    assert await Told().looks.run(NETWORK, walk) == 50


async def test_where_a_long_look_hangs_is_told_and_it_ends_when_it_can_go_on(disk: Disk) -> None:
    beyond: list[str] = []

    def walk() -> None:
        reached("/network/deep")
        disk.look()
        reached("/network/deeper")
        beyond.append("/network/deeper")

    told = Told()
    with pytest.raises(RootSilent, match="/network/deep:"):
        await told.looks.run(NETWORK, walk)
    disk.answers.set()
    await wait_until_async(lambda: told.answers)
    assert beyond == []


async def test_what_was_mounted_anew_is_asked_anew_but_not_for_ever(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(disk_looks, "_MOUNTS", mounts)
    looks = Told(0.05).looks
    for number in range(HANGING_MAX + 3):
        mounts.write_text(str(number))
        with pytest.raises(RootSilent):
            await looks.run(NETWORK, disk.look)
    await wait_until_async(lambda: disk.begun >= HANGING_MAX)  # a thread may begin after its look was given up
    assert disk.begun == HANGING_MAX


async def test_a_root_is_asked_again_now_and_then_although_a_look_at_it_hangs(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Told().looks
    with pytest.raises(RootSilent):
        await looks.run(NETWORK, disk.look)
    monkeypatch.setattr(disk_looks, "ASK_AGAIN_SECONDS", 0.0)
    assert await looks.run(NETWORK, lambda: "well") == "well"
    monkeypatch.undo()
    assert await looks.run(NETWORK, lambda: "still") == "still"


async def test_a_stop_waits_for_nobody(disk: Disk) -> None:
    looks = DiskLooks()
    waiting = asyncio.ensure_future(looks.run(NETWORK, disk.look))
    await wait_until_async(lambda: disk.begun)
    looks.hasten()
    with pytest.raises(RootSilent):
        await asyncio.wait_for(waiting, DEADLINE_SECONDS)


async def test_whoever_waits_can_be_called_off(disk: Disk) -> None:
    looks = DiskLooks()
    waiting = asyncio.ensure_future(looks.run(NETWORK, disk.look))
    await wait_until_async(lambda: disk.begun)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_runs_apart_is_not_waited_for_longer_than_said(disk: Disk) -> None:
    await apart(0.05, disk.look)
    with pytest.raises(FileNotFoundError):
        await apart(10, Path("/nowhere").stat)


def test_what_takes_too_long_has_another_answer(disk: Disk) -> None:
    assert within(0.05, disk.look, "none") == "none"
    assert within(10, lambda: "found", "none") == "found"
