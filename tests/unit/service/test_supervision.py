"""What the service manager is told in one life of the daemon."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.waiting import wait_until_async

from modelkeep.base.notify import ServiceManager
from modelkeep.base.troubles import Trouble
from modelkeep.service.status import Activity, status_line
from modelkeep.service.supervision import Supervision, supervised

GB = 10**9


class Manager(ServiceManager):
    """Takes down what it is told."""

    def __init__(self) -> None:
        super().__init__({"NOTIFY_SOCKET": "@nobody"})
        self.watchdog_seconds = 0.03
        self.told: list[dict[str, object]] = []

    def tell(self, **variables: object) -> None:
        self.told.append(variables)

    def heard(self, name: str) -> list[object]:
        return [variables[name] for variables in self.told if name in variables]


@pytest.fixture
def manager() -> Manager:
    return Manager()


@asynccontextmanager
async def life(manager: Manager) -> AsyncIterator[Supervision]:
    async with supervised(manager) as supervision:
        yield supervision


async def test_a_start_that_still_works_asks_for_time_and_is_not_ready(manager: Manager) -> None:
    async with life(manager):
        await wait_until_async(lambda: len(manager.heard("EXTEND_TIMEOUT_USEC")) >= 2)
    assert manager.heard("READY") == []
    assert manager.heard("STATUS") == ["starting: ends what the last stop cut short"]


async def test_the_status_is_told_when_it_changes(manager: Manager) -> None:
    lines = ["idle"]
    async with life(manager) as supervision:
        supervision.ready(lambda: lines[-1], lambda: "")
        await wait_until_async(lambda: len(manager.heard("WATCHDOG")) >= 3)
        lines.append("hashing")
        await wait_until_async(lambda: manager.heard("STATUS")[-1] == "hashing")
    assert manager.heard("STATUS")[-2:] == ["idle", "hashing"]
    assert manager.heard("READY") == [1]
    assert manager.told[-1].keys() == {"WATCHDOG"}


async def test_a_part_that_comes_no_further_ends_the_signs_of_life(
    manager: Manager, capfd: pytest.CaptureFixture[str]
) -> None:
    stuck: list[str] = []
    end = threading.Event()

    def hang_here() -> None:
        end.wait()

    threading.Thread(target=hang_here, daemon=True).start()
    async with life(manager) as supervision:
        supervision.ready(lambda: f"idle {len(manager.told)}", lambda: "".join(stuck))
        await wait_until_async(lambda: manager.heard("WATCHDOG"))
        stuck.append("sweep")
        before = len(manager.heard("WATCHDOG"))
        statuses = len(manager.heard("STATUS"))
        await wait_until_async(lambda: len(manager.heard("STATUS")) >= statuses + 3)
        assert len(manager.heard("WATCHDOG")) == before
        assert "in hang_here" in capfd.readouterr().err
        end.set()
        stuck.clear()
        await wait_until_async(lambda: len(manager.heard("WATCHDOG")) > before)


async def test_a_reload_begins_and_ends_even_when_it_fails(manager: Manager) -> None:
    async def fail() -> None:
        assert "RELOADING" in manager.told[-1]
        raise ValueError("wrong")

    supervision = Supervision(manager)
    supervision.ready(lambda: "idle", lambda: "")
    with pytest.raises(ValueError, match="wrong"):
        await supervision.reload(fail)
    assert manager.told[-1] == {"READY": 1}


async def test_a_reload_while_starting_does_not_make_it_ready(manager: Manager) -> None:
    await Supervision(manager).reload(lambda: asyncio.sleep(0))
    assert manager.told == []


def test_the_line_tells_progress_speed_and_what_waits() -> None:
    active = [{"path": "/m/a", "bytes_done": 2 * GB, "bytes_total": 6 * GB, "bytes_per_s": 340e6}] * 2
    hashing = {"active": active, "queued": 1200, "queued_bytes": 34_500_000_000, "stepped_back": "", "workers": 2}
    roots = [{"path": "/m", "state": "watching"}, {"path": "/n", "state": "unreachable"}]
    line = status_line(Activity("running", hashing=hashing, roots=roots))
    assert line == "hashing 2 (33 % of 12.0 GB, 680 MB/s), 1,200 waiting (34.5 GB); 1 of 2 roots watched"


def test_the_line_tells_troubles_first() -> None:
    troubles = [Trouble("catalogue", "the disk is full", 0)]
    line = status_line(Activity("running", paused=True, troubles=troubles))
    assert line == "catalogue: the disk is full; paused; no root is configured"
    assert status_line(Activity("running")) == "idle; no root is configured"
