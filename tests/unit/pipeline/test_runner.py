"""The stages joined: a real catalogue, real files and a real journal; what is hashed ends when the test says so."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from tests.fakes import NOT_UTF8, followed, location_at, settled
from tests.libraries import safetensors, sha256_of
from tests.waiting import DEADLINE_SECONDS, wait_until_async

from modelkeep.base.troubles import Troubles
from modelkeep.base.workers import WorkerPool
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.protocol import Changes
from modelkeep.dev.hashing_double import GatedHashing
from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.detection import Found, Rename
from modelkeep.domain.hashing import Digest
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.naming import Root
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import (
    Action,
    LocationState,
    PendingImport,
    PendingState,
    Priority,
    RenderedImage,
    Strategy,
)
from modelkeep.errors import (
    Busy,
    Conflict,
    FileChanged,
    FileVanished,
    HashCancelled,
    HashError,
    NotFound,
    NoWorkers,
    WorkerDied,
)
from modelkeep.images.store import ImageStore
from modelkeep.journal.keeper import JournalKeeper
from modelkeep.journal.reader import read
from modelkeep.journal.writer import JournalWriter
from modelkeep.pipeline.hashing import DEATHS_MAX
from modelkeep.pipeline.jobs import MigratedRow
from modelkeep.pipeline.runner import Pipeline, PipelineOptions

NOW = 1_735_689_600_000
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"


class Line:
    """A pipeline over one root."""

    def __init__(self, folder: Path, pool: WorkerPool, settle_seconds: float) -> None:
        self.root = folder / "models"
        self.root.mkdir()
        self.now = NOW
        self.roots = followed(self.root)
        self.pool = GatedHashing(1)
        self.catalogue = Catalogue.open(folder / "modelkeep.db")
        self.journal_folder = folder / "journal"
        self._writer = JournalWriter.open(self.journal_folder)
        self.store = ImageStore(folder / "images", pool)
        self.troubles = Troubles(lambda event, fields: None)
        self.touched: list[str] = []
        self.absent: list[str] = []
        journal = JournalKeeper(lambda: self._writer)
        self.pipeline = Pipeline(
            PipelineOptions(settle_seconds, 30.0, Strategy.AUTO),
            self.catalogue,
            self.store,
            journal,
            Changes(self.catalogue, self.store, journal),
            self.pool,
            DiskLooks(self.roots),
            self.troubles,
            self.touched.append,
            clock_ms=lambda: self.now,
            on_absent=self.absent.append,
        )

    def settle_for(self, seconds: float) -> None:
        """Have what is found from now on lie still for so long, unless its format proves it whole."""
        self.pipeline.settling.settle_seconds = seconds

    def close(self) -> None:
        self.catalogue.close()
        self._writer.close()

    def file(self, name: str, content: bytes | None = None) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(safetensors(name.encode("utf-8", "replace")) if content is None else content)
        return str(path)

    async def found(self, name: str, content: bytes | None = None) -> PendingImport:
        """Put a file into the root and hand it to the pipeline as the intake does."""
        path = self.file(name, content)
        ((row, _),) = await self.catalogue.detect([Found(path, 10)], [Root(str(self.root))], self.now)
        self.enqueue(row)
        return row

    async def described(self, path: str, **values: Any) -> PendingImport:
        """Queue a legacy row for a path."""
        chosen = {"digest": "d", "name": "Chosen", **values}
        row = LegacyRow(key=path, path=path, original_path=path, **chosen)
        staged = StagedRow(row, on_disk=fingerprint_of(path))
        await self.catalogue.import_rows("hikaze-v1", "source", [staged], self.now, lambda _: None)
        pending = await self.catalogue.pending_by_path(path)
        assert pending is not None
        return pending

    def enqueue(self, row: PendingImport, priority: Priority = Priority.NEW) -> None:
        fingerprint = fingerprint_of(row.path)
        assert fingerprint is not None
        self.pipeline.enqueue([(row, fingerprint)], priority, closed=True)

    async def ask(self, path: str) -> "asyncio.Future[Digest]":
        """Ask for a file that has to be read; returns when the question is known."""
        before = self.waiting_for(path)
        asked = asyncio.ensure_future(self.pipeline.digest(path))
        await wait_until_async(lambda: self.waiting_for(path) > before)
        return asked

    def waiting_for(self, path: str) -> int:
        """Return how many questions for a file wait for their answer."""
        return sum(len(job.digest_waiters) for job in self.pipeline.jobs.at(path))

    def waiting_for_row(self, pending_id: int) -> int:
        """Return how many wait for what becomes of a row that is in hand."""
        job = self.pipeline.jobs.rows.get(pending_id)
        return len(job.row_waiters) if job is not None else 0

    async def rename(self, old: str, new: str) -> None:
        """Rename a file and follow that as the intake does."""
        await asyncio.to_thread(os.rename, old, new)
        (moved,) = await self.catalogue.move_paths([Rename(old, new)], self.now)
        self.pipeline.renamed(moved)

    async def hashing(self, path: str) -> None:
        """Wait until a file is being read."""
        await wait_until_async(lambda: path in self.pool.running, what=f"{path} to be read")

    async def read(self, path: str) -> str:
        """Let a file be read to its end; returns its digest."""
        await self.hashing(path)
        fingerprint = fingerprint_of(path)
        assert fingerprint is not None
        sha256 = await asyncio.to_thread(sha256_of, Path(path))
        self.pool.end(path, digest=Digest(sha256, fingerprint))
        return sha256

    async def migrated(self, path: str) -> str:
        """Let a file be read and wait until it is a model."""
        sha256 = await self.read(path)
        await wait_until_async(lambda: self.pipeline.is_idle, what=f"{path} to be migrated")
        return sha256

    def records(self, event: str) -> list[dict[str, object]]:
        return [record for record in read(self.journal_folder) if record["event"] == event]


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    workers = WorkerPool(1)
    yield workers
    workers.shutdown()


MakeLine = Callable[[float], Line]


@pytest.fixture
async def make_line(tmp_path: Path, workers: WorkerPool) -> AsyncIterator[MakeLine]:
    made: list[tuple[Line, asyncio.Task[None]]] = []

    def make(settle_seconds: float) -> Line:
        line = Line(tmp_path, workers, settle_seconds)
        made.append((line, asyncio.create_task(line.pipeline.run())))
        return line

    yield make
    for line, task in made:
        await line.pipeline.stop_hashing()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        line.close()


@pytest.fixture
async def line(make_line: MakeLine) -> Line:
    return make_line(0.1)


async def paths_of(line: Line, sha256: str) -> dict[str, LocationState]:
    details = await line.catalogue.model(sha256)
    return {place.path: place.state for place in details.locations} if details else {}


class TestTheWayOfAFile:
    @pytest.mark.parametrize("name", ["a.safetensors", f"loras/{NOT_UTF8}"])
    async def test_a_new_file_becomes_a_model(self, line: Line, name: str) -> None:
        row = await line.found(name)
        sha256 = await line.migrated(row.path)
        assert await paths_of(line, sha256) == {row.path: LocationState.PRESENT}
        assert await line.catalogue.pending_imports() == []
        assert [record["path"] for record in line.records("file.settled")] == [row.path]
        assert [record["sha256"] for record in line.records("hash.finished")] == [sha256]

    async def test_a_row_is_at_work_until_its_migration_is_closed(
        self, line: Line, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        is_committed, may_close, discard = threading.Event(), threading.Event(), line.store.discard

        def close(staged: Iterable[str]) -> None:
            is_committed.set()
            may_close.wait(60)
            discard(staged)

        monkeypatch.setattr(line.store, "discard", close)
        row = await line.found("a.safetensors")
        assert line.pipeline.rows_at_work == 0
        await line.hashing(row.path)
        assert line.pipeline.rows_at_work == 1
        await line.read(row.path)
        try:
            await wait_until_async(is_committed.is_set, what="the row to be committed")
            assert (await line.catalogue.pending_imports(), line.pipeline.rows_at_work) == ([], 1)
        finally:
            may_close.set()
        await wait_until_async(lambda: line.pipeline.is_idle, what="the migration to be closed")
        assert line.pipeline.rows_at_work == 0

    async def test_whoever_reads_a_file_may_know_its_disk_by_another_number(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        status = fingerprint_of(row.path)
        assert status is not None
        line.pool.end(row.path, digest=Digest("a" * 64, status._replace(device=status.device + 1)))
        await wait_until_async(lambda: line.pipeline.is_idle)
        assert (await line.catalogue.locations_at([row.path]))[row.path].fingerprint == status
        assert line.pool.begun == [row.path]

    async def test_a_file_that_is_written_again_while_it_is_migrated_is_looked_at_afterwards(
        self, line: Line
    ) -> None:
        row = await line.found("a.safetensors")
        migrate = line.catalogue.migrate

        async def write_and_migrate(*arguments: Any) -> Any:
            await line.found("a.safetensors", safetensors("another"))
            return await migrate(*arguments)

        with patch.object(line.catalogue, "migrate", write_and_migrate):
            await line.migrated(row.path)
        assert line.touched == [row.path]

    @pytest.mark.parametrize("is_read", [False, True])
    async def test_a_file_that_is_looked_at_while_it_is_at_work_is_looked_at_afterwards(
        self, line: Line, is_read: bool
    ) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        migrate = line.catalogue.migrate

        async def look_and_migrate(*arguments: Any) -> Any:
            line.pipeline.looked_at([row.path] if is_read else [])
            assert line.pipeline.will_look_again
            return await migrate(*arguments)

        line.pipeline.looked_at([] if is_read else [row.path])
        assert not line.pipeline.will_look_again
        with patch.object(line.catalogue, "migrate", look_and_migrate):
            await line.migrated(row.path)
        assert line.touched == [row.path]
        assert not line.pipeline.will_look_again

    async def test_its_reading_is_prepared_when_it_is_seen_first_and_when_its_writer_is_done(
        self, make_line: MakeLine
    ) -> None:
        line = make_line(60.0)
        row = await line.found("a.pt", b"proves nothing")
        fingerprint = fingerprint_of(row.path)
        assert fingerprint is not None
        assert line.pool.expected == [1]
        for closed in (False, False, True):
            line.pipeline.enqueue([(row, fingerprint)], Priority.NEW, closed=closed)
        assert line.pool.expected == [1, 1]

    async def test_a_file_that_waits_to_be_read_is_looked_at_then(self, make_line: MakeLine) -> None:
        line = make_line(60.0)
        row = await line.found("a.ckpt", b"a")
        line.pipeline.looked_at([row.path])
        assert not line.pipeline.in_hand[row.id].touched

    async def test_a_file_whose_row_is_migrated_already_is_looked_at_again(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.migrated(row.path)
        line.file("a.safetensors", safetensors("another"))
        line.enqueue(row)  # it was found just before its row left the queue
        await line.migrated(row.path)
        assert line.touched == [row.path]

    async def test_a_file_whose_fingerprint_is_known_is_not_read_again(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        sha256 = await line.migrated(row.path)
        described = await line.described(row.path, meta={"description": "d"})
        line.enqueue(described)
        await wait_until_async(lambda: len(line.records("migration.finished")) == 2)
        assert line.pool.begun == [row.path]
        details = await line.catalogue.model(sha256)
        assert details is not None
        assert (details.model.name, details.model.meta) == ("Chosen", {"description": "d"})

    @pytest.mark.parametrize("asked", [False, True])
    async def test_a_known_file_that_is_doubted_before_its_row_is_migrated_is_read_again(
        self, line: Line, monkeypatch: pytest.MonkeyPatch, asked: bool
    ) -> None:
        row = await line.found("a.safetensors")
        sha256 = await line.migrated(row.path)
        described = await line.described(row.path, meta={"description": "d"})
        migrate = line.catalogue.migrate

        async def doubt_and_migrate(*arguments: Any) -> Any:
            monkeypatch.undo()
            here = fingerprint_of(row.path)
            assert here is not None
            await line.catalogue.doubt({row.path: here}, line.now)
            return await migrate(*arguments)

        monkeypatch.setattr(line.catalogue, "migrate", doubt_and_migrate)
        line.pool.begun.clear()
        if asked:
            answer = asyncio.ensure_future(line.pipeline.migrate_now(described.id, None))
        else:
            line.enqueue(described)
        assert await line.migrated(row.path) == sha256
        assert line.pool.begun == [row.path]
        place = await location_at(line.catalogue, row.path)
        assert place is not None
        assert not place.doubted
        if asked:
            assert await answer == (sha256, Action.MERGED)

    async def test_what_came_with_its_folder_and_is_untouched_has_had_its_quiet_time(self, line: Line) -> None:
        line.settle_for(60.0)
        rows = {}
        for name, untouched_seconds in (("lay.bin", 61.0), ("came.bin", 5.0)):
            path = line.file(name, b"a model of which no format tells the end")
            os.utime(path, (1.0, 1.0))
            ((rows[name], _),) = await line.catalogue.detect([Found(path, 40)], [Root(str(line.root))], line.now)
            there = fingerprint_of(path)
            assert there is not None
            changed_ns = time.time_ns() - int(untouched_seconds * 1e9)
            told = there._replace(ctime_ns=changed_ns)  # nothing but time makes a file's ctime an old one
            line.pipeline.enqueue([(rows[name], told)], Priority.NEW, closed=False)
        await line.read(rows["lay.bin"].path)
        await wait_until_async(lambda: bool(line.records("migration.finished")))
        assert [record["path"] for record in line.records("file.settled")] == [rows["lay.bin"].path]
        assert len(line.pipeline.settling) == 1

    async def test_a_file_that_changed_while_it_was_read_is_read_again(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        line.pool.end(row.path, FileChanged("changed"))
        await wait_until_async(lambda: line.pool.begun == [row.path, row.path])
        await line.migrated(row.path)
        assert await line.catalogue.pending_imports() == []

    @pytest.mark.parametrize("is_written", [False, True])
    async def test_a_file_that_is_renamed_while_it_is_read_is_not_read_again_unless_it_was_written(
        self, line: Line, is_written: bool
    ) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        line.pipeline.looked_at([row.path] if is_written else [])
        new = f"{line.root}/b.safetensors"
        fingerprint = fingerprint_of(row.path)
        assert fingerprint is not None
        os.rename(row.path, new)  # noqa: PTH104 - no coroutine waits for it
        (moved,) = await line.catalogue.move_paths([Rename(row.path, new)], NOW)
        line.pipeline.renamed(moved)
        line.pool.end(row.path, digest=Digest("ab" * 32, fingerprint))
        sha256 = await line.migrated(new) if is_written else "ab" * 32
        await wait_until_async(lambda: line.pipeline.is_idle)
        assert await paths_of(line, sha256) == {new: LocationState.PRESENT}
        assert line.pool.begun == [row.path, *([new] if is_written else [])]

    @pytest.mark.parametrize("error", [FileVanished("there is no file"), WorkerDied("killed")])
    async def test_a_file_that_is_renamed_before_it_is_read_is_not_lost(self, line: Line, error: HashError) -> None:
        """The worker finds nothing at the old name, or dies and the old name is tried again."""
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        new = f"{line.root}/b.safetensors"
        os.rename(row.path, new)  # noqa: PTH104 - no coroutine waits for it
        (moved,) = await line.catalogue.move_paths([Rename(row.path, new)], NOW)
        line.pipeline.renamed(moved)
        line.pool.end(row.path, error)
        for _ in range(5):
            await settled()
            if row.path in line.pool.running:
                line.pool.end(row.path, FileVanished("there is no file"))
        await wait_until_async(lambda: row.id not in line.pipeline.in_hand or new in line.pool.running)
        line.pipeline.sweep()
        assert await line.catalogue.pending_by_path(new) is not None
        await line.migrated(new)

    async def test_a_file_that_is_gone_before_it_is_read_is_let_go(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        Path(row.path).unlink()  # noqa: ASYNC240 - it takes no time
        line.pool.end(row.path, FileVanished(f"there is no file at {row.path}"))
        await wait_until_async(lambda: line.pipeline.is_idle)
        assert await line.catalogue.pending_imports() == []

    async def test_a_file_that_cannot_be_read_is_put_off_with_the_reason(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        line.pool.end(row.path, HashError("it may not be read"))
        await wait_until_async(lambda: line.pipeline.is_idle)
        parked = await line.catalogue.pending(row.id)
        assert parked is not None
        assert (parked.state, parked.last_error, parked.attempts) == (PendingState.FAILED, "it may not be read", 1)
        assert parked.due_at == NOW + 30_000
        (told,) = line.records("hash.failed")
        assert (told["path"], told["error"], told["retry_at"]) == (row.path, "it may not be read", NOW + 30_000)


class TestVanishedFiles:
    async def test_a_file_whose_root_is_away_for_the_moment_is_not_missing(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        line.roots.lose(str(line.root))
        line.pool.end(row.path, error=FileVanished("there is no file"))
        await wait_until_async(lambda: line.pipeline.is_idle)
        (parked,) = await line.catalogue.pending_imports()
        assert parked.state is PendingState.FAILED
        assert str(line.root) in parked.last_error

    async def test_a_file_that_is_back_is_settled_again(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        line.pool.end(row.path, error=FileVanished("there is no file"))
        await wait_until_async(lambda: line.pool.begun == [row.path, row.path], what="it to be read again")
        await line.migrated(row.path)
        assert await line.catalogue.pending_imports() == []


class TestRenamesInHand:
    async def test_a_waiting_file_that_takes_the_place_of_another_leaves_none_of_them_in_hand(
        self, make_line: MakeLine
    ) -> None:
        line = make_line(60.0)
        mine, theirs = await line.found("mine.ckpt", b"mine"), await line.found("theirs.ckpt", b"theirs")
        assert len(line.pipeline.in_hand) == 2
        (moved,) = await line.catalogue.move_paths([Rename(mine.path, theirs.path)], NOW)
        line.pipeline.renamed(moved)
        assert {job.path for job in line.pipeline.in_hand.values()} == {theirs.path}
        assert list(line.pipeline.in_hand) == [mine.id]
        assert line.touched == [theirs.path]

    async def test_a_queued_file_that_takes_the_place_of_another_during_a_pause(self, line: Line) -> None:
        line.pipeline.pause()
        mine, theirs = await line.found("mine.safetensors"), await line.found("theirs.safetensors")
        await wait_until_async(lambda: line.pipeline.hashing.queued == 2)
        await line.rename(mine.path, theirs.path)
        line.pipeline.resume()
        await line.migrated(theirs.path)
        await wait_until_async(lambda: line.pipeline.is_idle, what="all to be over")
        assert await line.catalogue.pending_imports() == []

    async def test_a_file_moved_over_one_that_settles_and_is_described(self, make_line: MakeLine) -> None:
        line = make_line(60.0)
        mine = await line.described(line.file("mine.ckpt", b"mine"), name="Mine")
        theirs = await line.described(line.file("theirs.ckpt", b"theirs"), name="Theirs")
        for row in (mine, theirs):
            line.enqueue(row)
        await line.rename(mine.path, theirs.path)
        await wait_until_async(lambda: set(line.pipeline.in_hand) == {theirs.id})
        assert await line.catalogue.pending(mine.id) is not None

    async def test_known_content_moved_over_a_file_that_settles_is_recognised(self, make_line: MakeLine) -> None:
        line = make_line(0.1)
        known = await line.found("known.safetensors")
        sha256 = await line.migrated(known.path)
        line.settle_for(60.0)
        cut_off = safetensors("other")[:-1]
        described = await line.described(line.file("other.safetensors", cut_off), name="Other")
        line.enqueue(described)
        await line.rename(known.path, described.path)
        with suppress(AssertionError):
            await wait_until_async(lambda: line.pipeline.is_idle or line.pool.running)
        if line.pool.running:  # it was looked at before the catalogue knew of the rename
            await line.read(described.path)
        await wait_until_async(lambda: line.pipeline.is_idle)
        assert await paths_of(line, sha256) == {described.path: LocationState.PRESENT}


class TestBatches:
    async def test_what_was_read_together_is_migrated_and_put_back_together(self, line: Line) -> None:
        line.pool.workers = 20
        rows = [await line.found(f"{number}.safetensors") for number in range(20)]
        await wait_until_async(lambda: len(line.pool.running) == 20)
        with (
            patch.object(line.catalogue, "park", wraps=line.catalogue.park) as park,
            patch.object(line.catalogue, "migrate", wraps=line.catalogue.migrate) as migrate,
        ):
            for row in rows[:10]:
                line.pool.end(row.path, HashError("it may not be read"))
            for row in rows[10:]:
                fingerprint = fingerprint_of(row.path)
                assert fingerprint is not None
                line.pool.end(row.path, digest=Digest(f"{row.id:064x}", fingerprint))
            await wait_until_async(lambda: line.pipeline.is_idle)
        assert (park.await_count, migrate.await_count) == (1, 1)
        left = await line.catalogue.pending_imports()
        assert {(row.path, row.last_error) for row in left} == {(row.path, "it may not be read") for row in rows[:10]}
        assert len(line.records("hash.failed")) == len(line.records("migration.finished")) == 10

    async def test_a_defect_that_one_file_meets_is_its_own_matter(self, line: Line) -> None:
        line.pool.workers = 3
        rows = [await line.found(f"{number}.safetensors") for number in range(3)]
        await wait_until_async(lambda: len(line.pool.running) == 3)
        park = line.catalogue.park

        async def refuse_the_first(parked: Sequence[Parked]) -> list[Parked]:
            if rows[0].id in [item.pending_id for item in parked] and "nobody foresaw" not in parked[0].last_error:
                raise ZeroDivisionError
            return await park(parked)

        with patch.object(line.catalogue, "park", refuse_the_first):
            for row in rows:
                line.pool.end(row.path, HashError("it may not be read"))
            await wait_until_async(lambda: line.pipeline.is_idle)
        told = {row.id: row.last_error for row in await line.catalogue.pending_imports()}
        assert "nobody foresaw: ZeroDivisionError" in told.pop(rows[0].id)
        assert told == {row.id: "it may not be read" for row in rows[1:]}


class TestStubs:
    async def test_a_stranger_that_is_no_model_is_forgotten(self, line: Line) -> None:
        row = await line.found("a.safetensors", LFS_POINTER)
        await wait_until_async(lambda: row.id not in line.pipeline.in_hand)
        assert await line.catalogue.pending_imports() == []

    async def test_what_an_import_said_meanwhile_is_not_forgotten_with_the_stub(self, make_line: MakeLine) -> None:
        line = make_line(0.5)
        row = await line.found("a.safetensors", LFS_POINTER)
        described = await line.described(row.path, meta={"description": "mine"})
        assert described.id == row.id
        await wait_until_async(lambda: row.id not in line.pipeline.in_hand)
        after = await line.catalogue.pending(row.id)
        assert after is not None
        assert after.meta == {"description": "mine"}
        assert after.state is PendingState.FAILED
        assert "pointer" in after.last_error


class TestTheSweep:
    async def test_what_is_due_is_taken_up(self, line: Line) -> None:
        path = line.file("a.safetensors")
        await line.described(path)
        line.pipeline.sweep()
        sha256 = await line.migrated(path)
        details = await line.catalogue.model(sha256)
        assert details is not None
        assert details.model.name == "Chosen"

    async def test_what_lies_outside_the_roots_is_never_opened(self, line: Line, tmp_path: Path) -> None:
        path = str(tmp_path / "outside.safetensors")
        await asyncio.to_thread(Path(path).write_bytes, safetensors("x"))
        row = await line.described(path)
        line.pipeline.sweep()
        await wait_until_async(lambda: line.records("hash.failed"))
        parked = await line.catalogue.pending(row.id)
        assert parked is not None
        assert parked.state is PendingState.FAILED
        assert "none of the configured roots" in parked.last_error
        assert "--map" in parked.last_error
        assert line.pool.begun == []

    async def test_what_lies_in_a_root_that_is_gone_is_neither_missing_nor_opened(self, line: Line) -> None:
        path = line.file("a.safetensors")
        row = await line.described(path)
        line.roots.lose(str(line.root))
        line.pipeline.sweep()
        await wait_until_async(lambda: line.records("hash.failed"))
        parked = await line.catalogue.pending(row.id)
        assert parked is not None
        assert parked.state is PendingState.FAILED
        assert "mounted" in parked.last_error
        assert line.pool.begun == []

    async def test_a_missing_file_is_told_once_and_not_at_every_sweep(self, line: Line) -> None:
        path = line.file("a.safetensors")
        row = await line.described(path)
        Path(path).unlink()  # noqa: ASYNC240 - it takes no time
        for attempt in range(1, 4):
            line.pipeline.sweep()
            assert await _reaches(line, row.id, attempt)
            line.now += 10**9
        assert len(line.records("hash.failed")) == 1

    async def test_claims_are_confirmed_when_nothing_else_is_to_do(self, line: Line) -> None:
        path = line.file("a.safetensors")
        sha256 = sha256_of(Path(path))
        row = LegacyRow("k", "d", path, path, name="Mine", claim=sha256)
        staged = StagedRow(row, on_disk=fingerprint_of(path))
        await line.catalogue.import_rows("hikaze-v1", "s", [staged], NOW, lambda _: None)
        line.pipeline.sweep()
        await line.migrated(path)
        await wait_until_async(lambda: line.records("claim.confirmed"))
        assert await line.catalogue.claims(10) == []

    async def test_a_claim_that_is_wrong_costs_nobody_anything(self, line: Line) -> None:
        path = line.file("a.safetensors")
        row = LegacyRow("k", "d", path, path, name="Mine", claim="ab" * 32)
        staged = StagedRow(row, on_disk=fingerprint_of(path))
        await line.catalogue.import_rows("hikaze-v1", "s", [staged], NOW, lambda _: None)
        line.pipeline.sweep()
        sha256 = await line.read(path)
        await wait_until_async(lambda: line.records("migration.finished"))
        (told,) = line.records("claim.refuted")
        assert (told["claimed"], told["found"]) == ("ab" * 32, sha256)
        assert await paths_of(line, sha256) == {path: LocationState.PRESENT}
        claimed = await line.catalogue.model("ab" * 32)
        assert claimed is not None
        assert (claimed.model.name, claimed.locations) == ("Mine", ())

    async def test_a_refuted_claim_leaves_the_image_of_a_row_that_waits_for_the_file(self, line: Line) -> None:
        path = line.file("a.safetensors")
        tiers = RenderedImage({"high": "staged.webp"}, 1, 1, "digest")
        claim = LegacyRow("k", "d", path, path, name="Mine", claim="ab" * 32, image="/x.webp")
        claimed = StagedRow(claim, tiers, on_disk=fingerprint_of(path))
        await line.catalogue.import_rows("hikaze-v1", "s", [claimed], NOW, lambda _: None)
        line.store.published_path("ab" * 32, 0, "high").write_bytes(b"the image of the claimed model")
        described = StagedRow(LegacyRow("k", "d", path, path, name="Theirs", image="/y.webp"), copied="s.webp")
        told = await line.catalogue.import_rows("hikaze-v1", "other", [described], NOW, lambda _: None)
        (taken,) = told.rows
        line.store.pending_path(taken.pending_image).write_bytes(b"its own image")
        await line.catalogue.park([Parked(taken.pending_id, path, PendingState.FAILED, "later", NOW + 10**9, 1)])
        line.pipeline.sweep()
        await line.hashing(path)
        fingerprint = fingerprint_of(path)
        assert fingerprint is not None
        with patch.object(line.pipeline.migrating, "put"):
            line.pool.end(path, digest=Digest("cd" * 32, fingerprint))
            await wait_until_async(lambda: line.records("claim.refuted"))
        assert line.store.pending_path(taken.pending_image).read_bytes() == b"its own image"


async def _reaches(line: Line, pending_id: int, attempts: int) -> bool:
    async def has_reached() -> bool:
        row = await line.catalogue.pending(pending_id)
        return row is not None and row.attempts == attempts

    return await wait_until_async(has_reached)


class TestQuestions:
    async def test_those_who_ask_for_one_file_share_one_reading(self, line: Line) -> None:
        path = line.file("a.safetensors")
        asked = [await line.ask(path) for _ in range(3)]
        sha256 = await line.read(path)
        assert [digest.sha256 for digest in await asyncio.gather(*asked)] == 3 * [sha256]
        assert line.pool.begun == [path]

    async def test_a_known_file_is_answered_at_once(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        sha256 = await line.migrated(row.path)
        assert (await line.pipeline.digest(row.path)).sha256 == sha256
        assert line.pool.begun == [row.path]

    async def test_a_question_for_a_file_in_the_queue_hurries_it_and_both_get_their_answer(self, line: Line) -> None:
        first = await line.found("first.safetensors")
        await line.hashing(first.path)
        others = [await line.found(f"{number}.safetensors") for number in range(3)]
        await wait_until_async(lambda: line.pipeline.hashing.queued == 3)
        asked = await line.ask(others[2].path)
        await line.read(first.path)
        sha256 = await line.read(others[2].path)
        assert (await asked).sha256 == sha256
        for row in others[:2]:
            await line.read(row.path)
        await wait_until_async(lambda: line.pipeline.is_idle)
        assert await line.catalogue.pending_imports() == []
        assert len(line.pool.begun) == 4

    async def test_a_question_during_a_pause_is_answered(self, line: Line) -> None:
        line.pipeline.pause()
        path = line.file("a.safetensors")
        asked = asyncio.ensure_future(line.pipeline.digest(path))
        sha256 = await line.read(path)
        assert (await asked).sha256 == sha256

    async def test_a_file_that_is_not_there_is_an_error(self, line: Line) -> None:
        with pytest.raises(FileVanished):
            await line.pipeline.digest(f"{line.root}/nowhere.safetensors")

    async def test_whoever_asks_for_a_file_that_cannot_be_read_is_told_why(self, line: Line) -> None:
        path = line.file("a.safetensors")
        asked = asyncio.ensure_future(line.pipeline.digest(path))
        await line.hashing(path)
        line.pool.end(path, HashError("it may not be read"))
        with pytest.raises(HashError, match="it may not be read"):
            await asked

    async def test_whoever_asks_for_a_file_that_goes_before_it_is_read_is_told(self, line: Line) -> None:
        first = await line.found("first.safetensors")
        await line.hashing(first.path)
        path = line.file("a.safetensors")
        asked = await line.ask(path)
        Path(path).unlink()  # noqa: ASYNC240 - it takes no time
        line.pipeline.gone(path)
        await line.read(first.path)
        with pytest.raises(FileVanished):
            await asyncio.wait_for(asked, DEADLINE_SECONDS)

    async def test_whoever_asks_for_a_file_whose_row_is_dropped_is_answered(self, line: Line) -> None:
        first = await line.found("first.safetensors")
        await line.hashing(first.path)
        row = await line.found("a.safetensors")
        await wait_until_async(lambda: line.pipeline.hashing.queued == 1)
        asked = await line.ask(row.path)
        await line.pipeline.drop(row.id)
        await line.read(first.path)
        with suppress(AssertionError):
            await wait_until_async(lambda: asked.done() or row.path in line.pool.running)
        if row.path in line.pool.running:
            await line.read(row.path)
        with suppress(HashError):
            await asyncio.wait_for(asked, DEADLINE_SECONDS)

    async def test_a_stop_tells_those_who_wait(self, line: Line) -> None:
        path = line.file("a.safetensors")
        asked = asyncio.ensure_future(line.pipeline.digest(path))
        await line.hashing(path)
        await line.pipeline.stop_hashing()
        with pytest.raises(HashCancelled):
            await asyncio.wait_for(asked, DEADLINE_SECONDS)


class TestMigratingNow:
    @pytest.mark.parametrize(
        ("content", "word"),
        [(b"", "empty"), (LFS_POINTER, "pointer"), (safetensors("a")[:-1], "cut off")],
    )
    async def test_what_is_no_whole_model_is_refused_whoever_asks(
        self, line: Line, content: bytes, word: str
    ) -> None:
        row = await line.described(line.file("a.safetensors", content))
        with pytest.raises(HashError, match=word):
            await line.pipeline.migrate_now(row.id, Strategy.MERGE)
        (kept,) = await line.catalogue.pending_imports()
        assert (kept.id, kept.state) == (row.id, PendingState.FAILED)
        assert word in kept.last_error
        assert not line.pool.begun

    async def test_a_file_that_somebody_writes_is_not_migrated_by_half(self, line: Line) -> None:
        row = await line.described(line.file("a.ckpt", b"half"))
        with open(row.path, "ab"), pytest.raises(HashError, match="still writing"):  # noqa: ASYNC230, PTH123
            await line.pipeline.migrate_now(row.id, Strategy.MERGE)

    async def test_a_row_is_migrated_before_all_else(self, line: Line) -> None:
        line.pipeline.pause()
        path = line.file("a.safetensors")
        row = await line.described(path)
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        sha256 = await line.read(path)
        assert await asked == (sha256, Action.CREATED)

    async def test_a_conflict_is_an_error_until_a_strategy_is_chosen(self, line: Line) -> None:
        first = await line.found("a.safetensors", safetensors("same"))
        sha256 = await line.migrated(first.path)
        line.pipeline.pause()
        await line.described(first.path, meta={"description": "mine"})
        row = await line.catalogue.pending_by_path(first.path)
        assert row is not None
        assert await line.pipeline.migrate_now(row.id, Strategy.MERGE) == (sha256, Action.MERGED)
        path = line.file("b.safetensors", safetensors("same"))
        row = await line.described(path, name="Theirs", meta={"description": "theirs"})
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await line.read(path)
        with pytest.raises(Conflict, match="choose a strategy"):
            await asked
        assert await line.pipeline.migrate_now(row.id, Strategy.IGNORE) == (sha256, Action.IGNORED)
        assert await line.pipeline.migrate_now(row.id, Strategy.OVERRIDE) == (sha256, Action.OVERRIDDEN)
        details = await line.catalogue.model(sha256)
        assert details is not None
        assert details.model.name == "Theirs"

    async def test_what_the_owner_wants_counts_for_a_row_that_is_being_read(self, line: Line) -> None:
        first = await line.found("a.safetensors", safetensors("same"))
        sha256 = await line.migrated(first.path)
        path = line.file("b.safetensors", safetensors("same"))
        row = await line.described(path, name="Theirs")
        line.enqueue(row)
        await line.hashing(path)
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, Strategy.OVERRIDE))
        await wait_until_async(lambda: line.pipeline.jobs.rows[row.id].is_awaited)
        with pytest.raises(Busy, match="try again"):
            await line.pipeline.migrate_now(row.id, Strategy.DELETE)
        with pytest.raises(Busy):
            await line.pipeline.drop(row.id)
        await line.read(path)
        assert await asyncio.wait_for(asked, DEADLINE_SECONDS) == (sha256, Action.OVERRIDDEN)

    async def test_whoever_asks_for_a_row_that_is_being_read_waits_with_it(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        asked = [asyncio.ensure_future(line.pipeline.migrate_now(row.id, None)) for _ in range(2)]
        await settled()
        asked.pop().cancel()
        sha256 = await line.read(row.path)
        assert await asyncio.wait_for(asked[0], DEADLINE_SECONDS) == (sha256, Action.CREATED)
        assert line.pool.begun == [row.path]

    async def test_a_row_that_is_not_there_is_an_error(self, line: Line) -> None:
        with pytest.raises(NotFound):
            await line.pipeline.migrate_now(4711, None)
        with pytest.raises(NotFound):
            await line.pipeline.drop(4711)

    @pytest.mark.parametrize("seen_by", [{"pending_by_path"}, {"pending_by_path", "pending"}])
    async def test_a_row_that_is_migrated_while_its_file_is_asked_for_leaves_the_question_for_its_digest(
        self, line: Line, monkeypatch: pytest.MonkeyPatch, seen_by: set[str]
    ) -> None:
        row = await line.found("a.safetensors")
        await line.migrated(row.path)

        async def look_before_that(_: object) -> PendingImport:
            return row

        for question in seen_by:
            monkeypatch.setattr(line.catalogue, question, look_before_that)
        assert await asyncio.wait_for(line.pipeline.migrate_at(row.path), DEADLINE_SECONDS) is None

    async def test_a_row_that_is_migrated_while_it_is_to_be_dropped_is_not_there(
        self, line: Line, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        with monkeypatch.context() as patched:
            patched.setattr(line.pipeline.jobs, "_by_row", {})  # it was not in hand yet when one looked
            forget = line.catalogue.drop_pending

            async def migrate_and_drop(pending_id: int) -> bool:
                patched.undo()
                await line.migrated(row.path)
                return await forget(pending_id)

            patched.setattr(line.catalogue, "drop_pending", migrate_and_drop)
            with pytest.raises(NotFound):
                await line.pipeline.drop(row.id)

    async def test_a_row_that_only_waits_can_be_dropped(self, line: Line) -> None:
        first = await line.found("first.safetensors")
        await line.hashing(first.path)
        row = await line.found("a.safetensors")
        await wait_until_async(lambda: line.pipeline.hashing.queued == 1)
        await line.pipeline.drop(row.id)
        await line.migrated(first.path)
        assert line.pool.begun == [first.path]
        assert await line.catalogue.pending_imports() == []

    async def test_when_whoever_asked_has_gone_the_work_goes_on(self, line: Line) -> None:
        line.pipeline.pause()
        path = line.file("a.safetensors")
        row = await line.described(path)
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await line.hashing(path)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await line.migrated(path)
        assert line.records("migration.finished")

    async def test_whoever_joined_is_answered_when_workers_die_again_and_again(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await wait_until_async(lambda: line.pipeline.jobs.rows[row.id].is_awaited)
        for _ in range(DEATHS_MAX):
            await line.hashing(row.path)
            line.pool.end(row.path, WorkerDied("killed"))
            await settled()
        with pytest.raises(HashError, match="killed under this file"):
            await asyncio.wait_for(asked, DEADLINE_SECONDS)
        await wait_until_async(lambda: line.pipeline.is_idle, what="all to be over")

    async def test_whoever_joined_is_answered_when_the_file_changes_and_the_row_goes_on(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await wait_until_async(lambda: line.pipeline.jobs.rows[row.id].is_awaited)
        line.pool.end(row.path, FileChanged("changed"))
        with pytest.raises(FileChanged):
            await asyncio.wait_for(asked, DEADLINE_SECONDS)
        await line.migrated(row.path)

    async def test_a_rename_while_a_request_hashes_the_file_is_followed(self, line: Line) -> None:
        row = await line.described(line.file("a.safetensors"))
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await line.hashing(row.path)
        fingerprint = fingerprint_of(row.path)
        assert fingerprint is not None
        new = f"{line.root}/b.safetensors"
        await line.rename(row.path, new)
        line.pool.end(row.path, digest=Digest("ab" * 32, fingerprint))

        # The commit sees that the path has changed, and has the file looked at again; nobody waits for ever.
        # That may be after it was told, too: so whenever it is read, the reading ends.
        def is_over() -> bool:
            return asked.done() and line.pipeline.is_idle

        while not is_over():
            await wait_until_async(lambda: is_over() or new in line.pool.running, what="all to be over")
            if new in line.pool.running:
                await line.read(new)
        assert asked.result()[1] is Action.CREATED

    async def test_a_file_that_cannot_be_read_is_an_error_and_noted_on_the_row(self, line: Line) -> None:
        line.pipeline.pause()
        path = line.file("a.safetensors")
        row = await line.described(path)
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await line.hashing(path)
        line.pool.end(path, HashError("it may not be read"))
        with pytest.raises(HashError, match="it may not be read"):
            await asked
        parked = await line.catalogue.pending(row.id)
        assert parked is not None
        assert (parked.state, parked.last_error) == (PendingState.FAILED, "it may not be read")


class TestRowsOfABatch:
    async def test_a_row_that_is_being_read_is_judged_by_the_strategy_of_the_batch(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        asked = [asyncio.ensure_future(line.pipeline.migrate_in_turn(row.id, Strategy.ASK)) for _ in range(2)]
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 2)
        sha256 = await line.read(row.path)
        assert await asyncio.wait_for(asyncio.gather(*asked), DEADLINE_SECONDS) == [(sha256, Action.CREATED)] * 2
        assert line.pool.begun == [row.path]

    async def test_a_row_for_which_others_ask_is_waited_for_and_what_it_became_is_told(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        first = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 1)
        second = asyncio.ensure_future(line.pipeline.migrate_in_turn(row.id, Strategy.OVERRIDE))
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 2)
        sha256 = await line.read(row.path)
        assert [*await asyncio.wait_for(asyncio.gather(first, second), DEADLINE_SECONDS)] == [
            (sha256, Action.CREATED)
        ] * 2

    async def test_a_row_that_is_being_migrated_is_waited_for_and_then_decided(self, line: Line) -> None:
        known = await line.found("a.safetensors", safetensors("same"))
        sha256 = await line.migrated(known.path)
        row = await line.described(line.file("b.safetensors", safetensors("same")), meta={"description": "mine"})
        await line.described(known.path, meta={"description": "theirs"})
        theirs = await line.catalogue.pending_by_path(known.path)
        assert theirs is not None
        await line.pipeline.migrate_now(theirs.id, Strategy.MERGE)
        line.enqueue(row)
        await line.hashing(row.path)
        asked: list[asyncio.Future[tuple[str, Action]]] = []
        migrate = line.catalogue.migrate

        async def ask_and_migrate(*arguments: Any) -> Any:
            if not asked:
                asked.append(asyncio.ensure_future(line.pipeline.migrate_in_turn(row.id, Strategy.OVERRIDE)))
                await wait_until_async(lambda: line.waiting_for_row(row.id))
            return await migrate(*arguments)

        with patch.object(line.catalogue, "migrate", ask_and_migrate):
            await line.read(row.path)
            await wait_until_async(lambda: asked)
            assert await asyncio.wait_for(asked[0], DEADLINE_SECONDS) == (sha256, Action.OVERRIDDEN)
        assert await line.catalogue.pending_imports() == []

    async def test_a_row_whose_file_fails_meanwhile_is_tried_again_for_the_batch(self, line: Line) -> None:
        row = await line.described(line.file("a.safetensors"))
        line.enqueue(row)
        await line.hashing(row.path)
        first = asyncio.ensure_future(line.pipeline.migrate_now(row.id, None))
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 1)
        second = asyncio.ensure_future(line.pipeline.migrate_in_turn(row.id, Strategy.MERGE))
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 2)
        line.pool.end(row.path, HashError("could not be read"))
        with pytest.raises(HashError, match="could not be read"):
            await asyncio.wait_for(first, DEADLINE_SECONDS)
        sha256 = await line.read(row.path)
        assert await asyncio.wait_for(second, DEADLINE_SECONDS) == (sha256, Action.CREATED)


class TestWithoutWorkers:
    async def test_nobody_waits_in_vain_and_no_row_is_blamed(self, line: Line) -> None:
        row = await line.found("a.safetensors")
        await line.hashing(row.path)
        question = await line.ask(row.path)
        joined = asyncio.ensure_future(line.pipeline.migrate_in_turn(row.id, Strategy.ASK))
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 1)
        line.pool.end(row.path, NoWorkers("no process can be started"))
        for asked in (question, joined):
            with pytest.raises(NoWorkers):
                await asyncio.wait_for(asked, DEADLINE_SECONDS)
        waiting = await line.catalogue.pending(row.id)
        assert waiting is not None
        assert (waiting.state, waiting.attempts, waiting.last_error) == (PendingState.WAITING, 0, "")
        await line.migrated(row.path)
        assert await line.catalogue.pending_imports() == []

    async def test_a_row_that_somebody_asks_for_stays_as_it_was(self, line: Line) -> None:
        line.pipeline.pause()
        row = await line.described(line.file("a.safetensors"))
        asked = asyncio.ensure_future(line.pipeline.migrate_now(row.id, Strategy.MERGE))
        await line.hashing(row.path)
        line.pool.end(row.path, NoWorkers("no process can be started"))
        with pytest.raises(NoWorkers):
            await asyncio.wait_for(asked, DEADLINE_SECONDS)
        assert await line.catalogue.pending(row.id) == row
        assert row.id not in line.pipeline.in_hand


async def test_who_asks_for_a_file_that_was_just_written_over_is_not_told_what_it_held_before(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await line.found("a.safetensors", safetensors("a"))
    migrate = line.catalogue.migrate
    asked: list[asyncio.Task[MigratedRow | None]] = []

    async def write_over_and_migrate(*arguments: Any) -> Any:
        monkeypatch.undo()
        line.file("a.safetensors", safetensors("b"))
        asked.append(asyncio.create_task(line.pipeline.migrate_at(row.path)))
        await wait_until_async(lambda: line.waiting_for_row(row.id) == 1)
        return await migrate(*arguments)

    monkeypatch.setattr(line.catalogue, "migrate", write_over_and_migrate)
    await line.read(row.path)
    await wait_until_async(lambda: asked and asked[0].done())
    assert asked[0].result() is None
