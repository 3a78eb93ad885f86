"""Background hashing steps back while the kernel's files say that the machine is wanted, and then goes on."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tests.fakes import settled
from tests.waiting import wait_until_async

from modelkeep.dev.hashing_double import GatedHashing
from modelkeep.disk.pressure import look_at_pressure
from modelkeep.disk.roots import Roots
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.pressure import Pressure
from modelkeep.domain.values import Priority
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.jobs import Job
from modelkeep.pipeline.manners import Manners

BIG = 1 << 30


class Machine:
    """Files like those of the kernel, and a stage of two workers that looks at them."""

    def __init__(self, folder: Path) -> None:
        self.cpu = folder / "pressure" / "cpu"
        self.cpu.parent.mkdir()
        self.looks = 0
        self.pool = GatedHashing(2)
        self.stage = HashStage(
            self.pool,
            Roots(),
            lambda read: None,
            lambda: None,
            Manners(partial(self._look, folder), look_seconds=0.01),
        )

    def _look(self, folder: Path) -> Pressure:
        self.looks += 1
        return look_at_pressure(folder, folder)

    def is_busy(self, percent: float) -> None:
        fresh = self.cpu.with_name("fresh")
        fresh.write_text(f"some avg10={percent:.2f} avg60=0.00 avg300=0.00 total=0\n")
        fresh.rename(self.cpu)

    def put(self, path: str, priority: Priority = Priority.NEW) -> None:
        pending_id = 0 if priority is Priority.INTERACTIVE else 1
        self.stage.put(Job(path, priority, pending_id), Fingerprint(9, len(path), BIG, 1))

    async def begun(self, *paths: str) -> None:
        await wait_until_async(lambda: self.pool.begun == list(paths), what=f"{paths} to be begun")


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    made = Machine(tmp_path)
    yield made
    await made.stage.stop()


async def test_under_pressure_one_file_is_hashed_at_a_time_and_all_workers_are_used_again_after_it(
    machine: Machine,
) -> None:
    machine.is_busy(80)
    machine.put("a")
    await wait_until_async(lambda: machine.stage.stepped_back, what="it to step back")
    machine.put("bb")
    machine.put("ccc")
    await settled()
    assert machine.pool.begun == ["a"]
    assert machine.stage.stepped_back == "other programs want the processors (80 % of the time)"

    machine.pool.end("a")
    await machine.begun("a", "bb")
    machine.is_busy(5)

    await machine.begun("a", "bb", "ccc")
    assert machine.stage.stepped_back == ""


async def test_what_somebody_asks_for_is_hashed_at_once(machine: Machine) -> None:
    machine.is_busy(80)
    machine.put("a")
    await wait_until_async(lambda: machine.stage.stepped_back)

    machine.put("asked", Priority.INTERACTIVE)

    await machine.begun("a", "asked")


async def test_without_background_work_nobody_looks(machine: Machine) -> None:
    machine.is_busy(80)
    machine.put("a")
    await wait_until_async(lambda: machine.stage.stepped_back)
    machine.pool.end("a")
    await wait_until_async(lambda: not machine.stage.stepped_back, what="it to look no more")
    looks = machine.looks
    await settled()

    assert machine.looks == looks


async def test_a_stage_without_manners_never_steps_back() -> None:
    pool = GatedHashing(2)
    stage = HashStage(pool, Roots(), lambda read: None, lambda: None)
    for path in ("a", "bb"):
        stage.put(Job(path, Priority.NEW, 1), Fingerprint(9, len(path), BIG, 1))

    await wait_until_async(lambda: pool.begun == ["a", "bb"])
    assert stage.stepped_back == ""
    await stage.stop()
