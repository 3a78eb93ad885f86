"""Claims on files that are renamed while they are read: what was read is held against the claim on that very file."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from tests.fakes import location_at
from tests.libraries import safetensors, sha256_of
from tests.waiting import wait_until_async

from modelkeep.base.workers import WorkerPool
from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.claims import Judgement
from modelkeep.domain.detection import Rename
from modelkeep.domain.hashing import Digest
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.values import DueRow, LocationState

from .test_runner import Line

A, B = sha256_of(safetensors("a")), sha256_of(safetensors("b"))
NOWHERE = "d" * 64


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    workers = WorkerPool(1)
    yield workers
    workers.shutdown()


@pytest.fixture
async def line(tmp_path: Path, workers: WorkerPool) -> AsyncIterator[Line]:
    line = Line(tmp_path, workers, 0.0)
    running = asyncio.create_task(line.pipeline.run())
    yield line
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    line.close()


async def claim(line: Line, name: str, sha256: str) -> str:
    """Put a file into the root, and import a row that claims a hash of it."""
    path = line.file(f"{name}.safetensors", safetensors(name))
    meta = {"description": f"of {name}"}
    row = LegacyRow(path, "d", path, path, claim=sha256, name=f"called {name}", meta=meta)
    staged = StagedRow(row, on_disk=fingerprint_of(path))
    await line.catalogue.import_rows("hikaze-v1", name, [staged], line.now, lambda _: None)
    return path


async def exchange(line: Line, *renames: tuple[str, str]) -> None:
    """Rename files, and tell as the intake does."""
    for old, new in renames:
        os.rename(old, new)  # noqa: PTH104  # pathlib may not be used on an event loop
    for moved in await line.catalogue.move_paths([Rename(old, new) for old, new in renames], line.now):
        line.pipeline.renamed(moved)


async def end_reading(line: Line, queued_at: str, now_at: str) -> None:
    """Let a file be read to its end that lies elsewhere by now."""
    fingerprint = fingerprint_of(now_at)
    assert fingerprint is not None
    line.pool.end(queued_at, digest=Digest(sha256_of(Path(now_at)), fingerprint))


async def until_done(line: Line, *paths: str) -> None:
    """Wait until all files at these paths were read and judged, that is in the journal, and nothing is left to do."""

    async def is_done() -> bool:
        places = await line.catalogue.locations_at(paths)
        waiting = await line.catalogue.pending_imports()
        return len(places) == len(paths) and not waiting and not any(place.claimed for place in places.values())

    done: bool = await wait_until_async(is_done)
    assert done
    await wait_until_async(lambda: line.pipeline.is_idle)


async def known(line: Line, path: str) -> tuple[str, bool, object]:
    """Return what is known of a path: its hash, whether that is a claim, and its model's description."""
    place, (model,) = await location_at(line.catalogue, path), await line.catalogue.find_models(path)
    assert place is not None
    return place.sha256, place.claimed, model.meta.get("description")


@pytest.mark.parametrize("claims", [(A, B), (NOWHERE, B), (A, NOWHERE), (NOWHERE, "e" * 64)])
async def test_each_file_keeps_what_was_said_of_it(line: Line, claims: tuple[str, str]) -> None:
    one, two = await claim(line, "a", claims[0]), await claim(line, "b", claims[1])
    third = str(line.root / "c.safetensors")
    line.pipeline.sweep()
    await line.hashing(one)
    await exchange(line, (one, third), (two, one))
    await end_reading(line, one, third)
    await wait_until_async(lambda: len(line.pool.begun) == 2)
    await end_reading(line, line.pool.begun[1], one)
    await until_done(line, third, one)
    assert await known(line, third) == (A, False, "of a")
    assert await known(line, one) == (B, False, "of b")
    told = [(each["event"], each["path"], each["claimed"], each["found"]) for each in line.records("claim.confirmed")]
    told += [(each["event"], each["path"], each["claimed"], each["found"]) for each in line.records("claim.refuted")]
    assert sorted(told) == sorted(
        ("claim.confirmed" if said == found else "claim.refuted", path, said, found)
        for path, said, found in ((third, claims[0], A), (one, claims[1], B))
    )


async def test_what_replaced_a_file_is_not_judged_by_what_was_read_of_it(line: Line) -> None:
    path = await claim(line, "a", NOWHERE)
    line.pipeline.sweep()
    await line.hashing(path)
    other = line.file("b.part", safetensors("b"))
    before = fingerprint_of(path)
    os.replace(other, path)  # noqa: PTH105  # as above
    after = fingerprint_of(path)
    assert before is not None
    assert after is not None
    await line.catalogue.see_again({path: after}, line.now)
    line.pool.end(path, digest=Digest(A, before))
    await wait_until_async(lambda: line.pipeline.is_idle)
    assert not line.records("claim.refuted")
    place = await location_at(line.catalogue, path)
    assert place is not None
    assert (place.sha256, place.claimed, place.state) == (NOWHERE, True, LocationState.PRESENT)


async def test_a_claim_is_judged_by_the_reading_of_its_row(line: Line) -> None:
    path = line.file("a.safetensors", safetensors("a"))
    await line.found("a.safetensors", safetensors("a"))
    await line.hashing(path)
    assert await claim(line, "a", NOWHERE) == path
    await end_reading(line, path, path)
    await until_done(line, path)
    assert await known(line, path) == (A, False, "of a")
    assert await line.catalogue.pending_imports() == []
    (refuted,) = line.records("claim.refuted")
    assert (refuted["path"], refuted["claimed"], refuted["found"]) == (path, NOWHERE, A)
    kept = await line.catalogue.model(NOWHERE)
    assert kept is not None
    assert (kept.model.meta, kept.locations) == ({"description": "of a"}, ())


@pytest.mark.parametrize("said", ["claimed", "doubted"])
async def test_a_new_name_while_a_file_is_read_is_no_reason_to_read_it_again(line: Line, said: str) -> None:
    path = await claim(line, "a", A)
    new = str(line.root / "new.safetensors")
    if said == "doubted":
        line.pipeline.sweep()
        await line.hashing(path)
        await end_reading(line, path, path)
        await until_done(line, path)
        await wait_until_async(lambda: line.pipeline.is_idle)
        here = fingerprint_of(path)
        assert here is not None
        assert await line.catalogue.doubt({path: here}, line.now) == []
    line.pool.begun.clear()
    line.pipeline.sweep()
    await line.hashing(path)
    before = fingerprint_of(path)
    assert before is not None
    if before.birth_ns is None:
        pytest.skip("this file system does not tell when a file was made")
    await exchange(line, (path, new))
    line.pool.end(path, digest=Digest(A, before))
    await wait_until_async(lambda: line.pipeline.is_idle)
    place = await location_at(line.catalogue, new)
    assert place is not None
    assert (place.sha256, place.claimed, place.doubted, place.state) == (A, False, False, LocationState.PRESENT)
    assert line.pool.begun == [path]
    assert place.fingerprint == fingerprint_of(new)


Meanwhile = Callable[[Line, str], Awaitable["asyncio.Future[Digest] | None"]]


async def sweep_twice(line: Line, path: str) -> None:
    """Have what is due fetched, and wait until all of that is in hand: then it is fetched once more."""
    fetch, fetches = line.catalogue.due_pending, 0

    async def counted(*arguments: Any, claimed: bool = False) -> list[DueRow]:
        nonlocal fetches
        fetches += not claimed
        line.pipeline.sweep()
        return await fetch(*arguments, claimed=claimed)

    with patch.object(line.catalogue, "due_pending", counted):
        line.pipeline.sweep()
        await wait_until_async(lambda: fetches > 1)
    assert not line.pipeline.jobs.rows, "the row is taken in hand before it is judged"


async def ask_for_digest(line: Line, path: str) -> "asyncio.Future[Digest]":
    """Ask for the digest of the file, and have it read for that; the answer comes after the judgement."""
    asked = await line.ask(path)
    await line.read(path)
    return asked


async def import_a_row(line: Line, path: str) -> None:
    await line.described(path, digest="other", name="called a")
    await sweep_twice(line, path)


@pytest.mark.parametrize(
    ("said", "meanwhile", "readings"),
    [(NOWHERE, sweep_twice, 1), (A, import_a_row, 1), (NOWHERE, ask_for_digest, 2)],
)
async def test_what_comes_while_a_file_is_judged_waits_for_that_and_is_answered(
    line: Line, said: str, meanwhile: Meanwhile, readings: int
) -> None:
    judge, asked = line.catalogue.judge_claims, []

    async def judge_slowly(*arguments: Any) -> Judgement:
        judgement = await judge(*arguments)
        asked.append(await meanwhile(line, path))
        return judgement

    path = await claim(line, "a", said)
    with patch.object(line.catalogue, "judge_claims", judge_slowly):
        line.pipeline.sweep()
        await line.read(path)
        await until_done(line, path)
    assert [(await answer).sha256 for answer in asked if answer is not None] == [A] * (readings - 1)
    assert line.pool.begun == [path] * readings
    assert len(line.records("claim.confirmed")) + len(line.records("claim.refuted")) == 1
