"""Files with a claimed hash that was made of their very bytes are read after all others, whenever the claim comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.waiting import wait_until_async

from modelkeep.base.workers import WorkerPool
from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, SourceRecord
from modelkeep.domain.values import PendingImport, Priority
from modelkeep.pipeline.jobs import Stage

from .test_runner import Line


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """A pipeline that reads nothing by itself."""
    workers = WorkerPool(1)
    line = Line(tmp_path, workers, 0.0)
    line.pipeline.pause()
    running = asyncio.create_task(line.pipeline.run())
    yield line
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    line.close()
    workers.shutdown()


def made_of(path: str) -> HashClaim:
    """Return a hash that was made of a file as it is now."""
    fingerprint = fingerprint_of(path)
    assert fingerprint is not None
    return HashClaim(HashKind.BLAKE3, "b3" * 32, Grade.A, fingerprint.size_bytes, fingerprint.mtime_ns)


async def adopt(line: Line, path: str, claim: HashClaim) -> None:
    record = SourceRecord("comfyui", f"/comfyui.db#{path}", "1", (path,), claims=(claim,))
    await line.catalogue.adopt([Arrival(record)], (), line.now, lambda _: None)


async def queued(line: Line, *rows: PendingImport) -> list[Priority]:
    """Wait until all of these files wait to be read; returns how urgent they are."""
    await wait_until_async(lambda: len(line.pipeline.jobs.in_stage(Stage.QUEUED)) == len(rows))
    return [line.pipeline.jobs.rows[row.id].priority for row in rows]


async def test_a_file_whose_claim_has_equal_facts_waits_for_all_others(line: Line) -> None:
    names = ("equal", "dated", "other size", "worth less", "unclaimed")
    rows = [await line.found(f"{name}.safetensors") for name in names]
    assert await queued(line, *rows) == [Priority.NEW] * 5

    equal, dated, sized, worth_less = (made_of(row.path) for row in rows[:4])
    assert dated.mtime_ns is not None
    assert sized.size_bytes is not None
    others = (
        replace(dated, mtime_ns=dated.mtime_ns - 1),
        replace(sized, size_bytes=sized.size_bytes - 1),
        replace(worth_less, grade=Grade.B),
    )
    for row, claim in zip(rows, (equal, *others), strict=False):
        await adopt(line, row.path, claim)
    await line.pipeline.order_by_claims()
    assert await queued(line, *rows) == [Priority.CLAIM, *[Priority.NEW] * 4]

    line.pipeline.resume()
    for row in [*rows[1:], rows[0]]:
        await line.hashing(row.path)
        await line.read(row.path)
    assert line.pool.begun[-1] == rows[0].path


async def test_one_that_is_asked_for_does_not_wait(line: Line) -> None:
    row = await line.found("a.safetensors")
    await queued(line, row)
    await adopt(line, row.path, made_of(row.path))
    line.pipeline.jobs.rows[row.id].priority = Priority.INTERACTIVE
    await line.pipeline.order_by_claims()
    assert await queued(line, row) == [Priority.INTERACTIVE]


async def test_what_the_sweep_brings_is_ordered_too(line: Line) -> None:
    path = line.file("a.safetensors")
    await adopt(line, path, made_of(path))
    row = await line.described(path)
    line.enqueue(row, Priority.SWEEP)
    assert await queued(line, row) == [Priority.CLAIM]
