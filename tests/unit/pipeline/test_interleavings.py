"""Whatever happens in whatever order: nobody waits for ever, nothing stays in hand, no row is lost.

Real files and a real catalogue; what is read ends when and how the drawn steps say.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes import settled
from tests.libraries import safetensors

from modelkeep.base.workers import WorkerPool
from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.detection import Found, Rename
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Priority, Strategy
from modelkeep.errors import FileChanged, FileVanished, HashError, ModelkeepError, WorkerDied
from modelkeep.pipeline.jobs import Stage

from .test_runner import Line

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where nothing waits for a disk: each story makes a catalogue of its own."""

NAMES = ("a.safetensors", "b.safetensors", "c.ckpt")
names = st.sampled_from(NAMES)
ends = st.sampled_from(["read", "read", "read", "changed", "vanished", "died", "refused"])

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), names, st.integers(0, 2)),
        st.tuples(st.just("stub"), names),
        st.tuples(st.just("describe"), names),
        st.tuples(st.just("detect"), names),
        st.tuples(st.just("rename"), names, names),
        st.tuples(st.just("remove"), names),
        st.tuples(st.just("ask"), names),
        st.tuples(st.just("migrate"), names, st.sampled_from([None, Strategy.MERGE, Strategy.OVERRIDE])),
        st.tuples(st.just("drop"), names),
        st.tuples(st.just("end"), ends),
        st.tuples(st.just("pause")),
        st.tuples(st.just("resume")),
        st.tuples(st.just("sweep")),
        st.tuples(st.just("let it run")),
    ),
    min_size=5,
    max_size=30,
)

ERRORS: dict[str, HashError] = {
    "changed": FileChanged("it changed"),
    "vanished": FileVanished("there is no file"),
    "died": WorkerDied("killed"),
    "refused": HashError("it may not be read"),
}


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    workers = WorkerPool(1)
    yield workers
    workers.shutdown()


class Story:
    """Steps on a pipeline, and everybody who waits meanwhile."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.waiting: list[asyncio.Future[Any]] = []
        self.imports = 0
        self.described: set[int] = set()
        self.decided: set[int] = set()
        self.root = Root(str(line.root))

    async def do(self, step: tuple[Any, ...]) -> None:
        name, *arguments = step
        await getattr(self, "_" + name.replace(" ", "_"))(*arguments)
        self.check_stages()

    def path(self, name: str) -> str:
        return str(self.line.root / name)

    async def _write(self, name: str, content: int) -> None:
        self.line.file(name, safetensors(f"content {content}"))
        await self._detect(name)

    async def _stub(self, name: str) -> None:
        self.line.file(name, b"")
        await self._detect(name)

    async def _describe(self, name: str) -> None:
        self.imports += 1
        row = await self.line.described(self.path(name), name=f"Name of {name}", digest=str(self.imports))
        self.described.add(row.id)

    async def _detect(self, name: str) -> None:
        path = self.path(name)
        fingerprint = fingerprint_of(path)
        if fingerprint is None:
            self.line.pipeline.gone(path)
            return
        found = [Found(path, fingerprint.size_bytes)]
        ((row, _),) = await self.line.catalogue.detect(found, [self.root], self.line.now)
        self.line.pipeline.enqueue([(row, fingerprint)], Priority.NEW, closed=True)

    async def _rename(self, old: str, new: str) -> None:
        if old != new and fingerprint_of(self.path(old)) is not None:
            os.rename(self.path(old), self.path(new))  # noqa: PTH104
            (moved,) = await self.line.catalogue.move_paths([Rename(self.path(old), self.path(new))], self.line.now)
            self.line.pipeline.renamed(moved)
            await self._detect(new)

    async def _remove(self, name: str) -> None:
        (self.line.root / name).unlink(missing_ok=True)
        self.line.pipeline.gone(self.path(name))

    async def _ask(self, name: str) -> None:
        self.waiting.append(asyncio.ensure_future(self.line.pipeline.digest(self.path(name))))
        await settled()

    async def _migrate(self, name: str, strategy: Strategy | None) -> None:
        row = await self.line.catalogue.pending_by_path(self.path(name))
        if row is not None:
            if strategy is not None:
                self.decided.add(row.id)
            self.waiting.append(asyncio.ensure_future(self.line.pipeline.migrate_now(row.id, strategy)))
            await settled()

    async def _drop(self, name: str) -> None:
        row = await self.line.catalogue.pending_by_path(self.path(name))
        if row is not None:
            try:
                await self.line.pipeline.drop(row.id)
            except ModelkeepError:
                return
            self.described.discard(row.id)

    async def _end(self, how: str) -> None:
        for path in list(self.line.pool.running):
            fingerprint = fingerprint_of(path)
            if how == "read" and fingerprint is not None:
                self.line.pool.end(path, digest=_digest(path, fingerprint))
            else:
                self.line.pool.end(path, ERRORS.get(how, ERRORS["vanished"]))
        await settled()

    async def _pause(self) -> None:
        self.line.pipeline.pause()

    async def _resume(self) -> None:
        self.line.pipeline.resume()

    async def _sweep(self) -> None:
        self.line.now += 10**9
        self.line.pipeline.sweep()
        await settled()

    async def _let_it_run(self) -> None:
        await asyncio.sleep(0.01)

    def check_stages(self) -> None:
        """Every job is where the table says, and nowhere else."""
        pipeline = self.line.pipeline
        for job in pipeline.jobs.in_stage(*Stage):
            assert (job in pipeline.hashing.hashing) <= (job.stage is Stage.HASHING)
            assert (job in pipeline.settling) <= (job.stage is Stage.SETTLING)
        for job in pipeline.hashing.hashing:
            assert job in pipeline.jobs

    async def finish(self) -> None:
        """Let all that is left be read; then nothing is in hand and everybody has an answer."""
        self.line.pipeline.resume()
        deadline = asyncio.get_running_loop().time() + 20
        while not self.line.pipeline.is_idle or not all(waiting.done() for waiting in self.waiting):
            assert asyncio.get_running_loop().time() < deadline, (
                self.line.pipeline.jobs.in_stage(*Stage),
                self.waiting,
            )
            await self._end("read")
            await asyncio.sleep(0.002)
        for answered in self.waiting:
            assert isinstance(answered.exception(), ModelkeepError | None)
        for pending_id in self.described - self.decided:
            await self._is_kept(pending_id)

    async def _is_kept(self, pending_id: int) -> None:
        """What was described is in the queue still, or with a model."""
        if await self.line.catalogue.pending(pending_id) is None:
            assert any(record["pending_id"] == pending_id for record in self.line.records("migration.committed")), (
                f"row {pending_id} is lost"
            )


def _digest(path: str, fingerprint: Fingerprint) -> Digest:
    content = Path(path).read_bytes()
    return Digest(f"{sum(content) + len(content):064x}", fingerprint)


@pytest.mark.parametrize("settle_seconds", [0.0, 0.01])
@given(story=steps)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_nobody_waits_for_ever_and_nothing_stays_in_hand(
    workers: WorkerPool, settle_seconds: float, story: list[tuple[Any, ...]]
) -> None:
    async def live(folder: Path) -> None:
        line = Line(folder, workers, settle_seconds)
        running = asyncio.create_task(line.pipeline.run())
        try:
            told = Story(line)
            for step in story:
                await told.do(step)
            await told.finish()
        finally:
            await line.pipeline.stop_hashing()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            line.close()

    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        asyncio.run(live(Path(folder)))
