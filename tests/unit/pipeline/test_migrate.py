"""The stage that migrates, with a real catalogue, real images and a real journal; every step is recorded."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NOT_UTF8
from tests.image_files import png, text_as_image
from tests.libraries import safetensors, sha256_of
from tests.waiting import DEADLINE_SECONDS, wait_until, wait_until_async

from modelkeep.base.workers import WorkerPool
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.protocol import Changes
from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow
from modelkeep.domain.migration import MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.planning import Decision
from modelkeep.domain.values import (
    Action,
    PendingState,
    Priority,
    RenderedImage,
    Strategy,
    TierFile,
)
from modelkeep.errors import CatalogueError, JournalError
from modelkeep.images.store import ImageStore
from modelkeep.journal.keeper import JournalKeeper
from modelkeep.journal.reader import read
from modelkeep.journal.writer import JournalWriter
from modelkeep.pipeline import migrate as migrate_stage
from modelkeep.pipeline.jobs import Job
from modelkeep.pipeline.migrate import Hashed, Migrated, MigrateStage

NOW = 1_735_689_600_000

Record = tuple[str, Mapping[str, object]]


@dataclass
class Steps:
    """What was done, in order; and what the test does at a step: raise, wait, or look."""

    done: list[str] = field(default_factory=list)
    at: dict[str, Callable[[], object]] = field(default_factory=dict)

    def reach(self, step: str) -> None:
        self.done.append(step)
        self.at.get(step, lambda: None)()

    def fail_at(self, step: str, error: Exception, times: int = 1) -> None:
        """Raise at a step, so many times."""
        left = [error] * times

        def fail() -> None:
            if left:
                raise left.pop()

        self.at[step] = fail


class NotedCatalogue:
    """The real catalogue; its commits and failures are noted."""

    def __init__(self, catalogue: Catalogue, steps: Steps) -> None:
        self._catalogue = catalogue
        self._steps = steps

    async def preview(self, orders: Sequence[MigrationOrder]) -> dict[str, Decision]:
        self._steps.reach("preview")
        return await self._catalogue.preview(orders)

    async def migrate(
        self,
        orders: Sequence[MigrationOrder],
        finished: Sequence[str],
        now_ms: int,
        before_commit: Callable[[Sequence[MigrationResult]], None],
    ) -> list[MigrationResult]:
        def journal_and_commit(results: Sequence[MigrationResult]) -> None:
            before_commit(results)
            self._steps.reach("commit")  # what raises here fails as the commit itself may

        results = await self._catalogue.migrate(orders, finished, now_ms, journal_and_commit)
        self._steps.reach("committed")  # what raises here fails though it is committed
        return results

    async def landed_migrations(self, asked: Sequence[str]) -> set[str]:
        self._steps.reach("ask")
        return await self._catalogue.landed_migrations(asked)


class NotedImages:
    """The real images."""

    def __init__(self, store: ImageStore, steps: Steps) -> None:
        self._store = store
        self._steps = steps
        self.turn = store.turn

    async def render(self, source: Path, stem: str) -> RenderedImage:
        self._steps.reach("render")
        return await self._store.render(source, stem)

    def pending_path(self, name: str) -> Path:
        return self._store.pending_path(name)

    def publish(self, files: Sequence[TierFile]) -> None:
        self._steps.reach("publish" if files else "publish nothing")
        self._store.publish(files)

    def remove_published(self, names: Sequence[str]) -> None:
        self._store.remove_published(names)

    def sync(self) -> None:
        self._steps.reach("sync images")
        self._store.sync()

    def remove_pending(self, name: str) -> None:
        self._steps.reach("remove original")
        self._store.remove_pending(name)

    def discard(self, staged: Iterable[str]) -> None:
        self._store.discard(staged)


class NotedJournal:
    """The real journal."""

    def __init__(self, journal: JournalKeeper, steps: Steps) -> None:
        self._journal = journal
        self._steps = steps

    def write(self, event: str, **fields: object) -> int:
        return self.write_many([(event, fields)])

    def write_many(self, records: Iterable[Record]) -> int:
        listed = list(records)
        for event, _ in listed:
            self._steps.reach(event)
        return self._journal.write_many(listed)

    def append_many(self, records: Iterable[Record]) -> bool:
        listed = list(records)
        for event, _ in listed:
            self._steps.reach(event)
        return self._journal.append_many(listed)

    def sync(self) -> None:
        self._steps.reach("sync journal")
        self._journal.sync()


class Bench:
    """A stage with real parts below one folder."""

    def __init__(self, folder: Path, pool: WorkerPool) -> None:
        self.folder = folder
        self.steps = Steps()
        self.catalogue = Catalogue.open(folder / "modelkeep.db")
        self.store = ImageStore(folder / "images", pool)
        self.writer = JournalWriter.open(folder / "journal")
        self.journal = JournalKeeper(lambda: self.writer)
        self.done: list[Migrated] = []
        catalogue, images = NotedCatalogue(self.catalogue, self.steps), NotedImages(self.store, self.steps)
        self.changes = Changes(catalogue, images, NotedJournal(self.journal, self.steps))
        self.stage = MigrateStage(catalogue, images, self.changes, lambda: NOW)

    async def take(self, done: Sequence[Migrated]) -> None:
        self.done += done

    async def queue(self, file: str, content: bytes = b"", image: bytes = b"", **values: Any) -> Hashed:
        """Put a model file and a described row for it into the queue; returns it as hashed."""
        path = self.folder / "models" / file
        write(path, content or safetensors(file.encode("utf-8", "replace")))
        number = len(self.steps.done)
        suffix = ".png" if image else ""
        row = LegacyRow(
            key="1",
            digest=str(number),
            path=str(path),
            original_path=str(path),
            tags=(LegacyTag("x"),),
            image="x.png" if image else "",
            **{"name": "Chosen", **values},
        )
        fingerprint = fingerprint_of(str(path))
        assert fingerprint is not None
        staged = StagedRow(row, copied=f"staged{suffix}" if image else "", on_disk=fingerprint)
        told = await self.catalogue.import_rows("hikaze-v1", f"{path} {number}", [staged], NOW, lambda _: None)
        (taken,) = told.rows
        if taken.pending_image:
            write(self.store.pending_path(taken.pending_image), image)
        return await self.hashed(path)

    async def hashed(self, path: Path) -> Hashed:
        row = await self.catalogue.pending_by_path(str(path))
        fingerprint = fingerprint_of(str(path))
        assert row is not None
        assert fingerprint is not None
        job = Job.of_row(row, Priority.NEW, Strategy.AUTO)
        return Hashed(job, sha256_of(path), fingerprint)

    async def migrate(self, *hashed: Hashed) -> list[Migrated]:
        """Hand rows to the stage and wait until it is done with them; results in the order of the arguments."""
        before = len(self.done)
        for each in hashed:
            self.stage.put(each)
        await wait_until_async(lambda: len(self.done) >= before + len(hashed) and not self.stage.busy)
        by_row = {item.hashed.job.pending_id: item for item in self.done[before:]}
        return [by_row[each.job.pending_id] for each in hashed]

    def records(self, event: str = "") -> list[dict[str, object]]:
        return [record for record in read(self.folder / "journal") if not event or record["event"] == event]

    def images(self) -> list[str]:
        return sorted(entry.name for entry in (self.folder / "images").iterdir() if entry.is_file())

    def originals(self) -> list[str]:
        return sorted(entry.name for entry in (self.folder / "images" / "pending").iterdir())

    def staged(self) -> list[str]:
        return sorted(entry.name for entry in (self.folder / "images" / ".staging").iterdir())

    def lose_staged(self) -> None:
        for name in self.staged():
            (self.folder / "images" / ".staging" / name).unlink()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def tiers(sha256: str, seq: int = 0) -> list[str]:
    return sorted(f"{sha256}_{seq}_{quality}.webp" for quality in ("high", "medium", "low"))


def outcomes(done: Sequence[Migrated]) -> list[Outcome]:
    return [item.result.outcome for item in done]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.shutdown()


@pytest.fixture
async def bench(tmp_path: Path, pool: WorkerPool) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, pool)
    task = asyncio.create_task(bench.stage.run(bench.take))
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bench.catalogue.close()
    bench.writer.close()


class TestTheProtocol:
    async def test_every_step_comes_after_that_on_which_it_relies(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        (done,) = await bench.migrate(hashed)
        assert bench.steps.done == [
            "preview",
            "render",
            "migration.planned",
            "sync journal",
            "commit",
            "committed",
            "migration.committed",
            "publish",
            "sync images",
            "remove original",
            "image.published",
            "migration.finished",
        ]
        assert (done.result.outcome, done.hashed) == (Outcome.DONE, hashed)
        assert bench.images() == tiers(hashed.sha256)
        assert (bench.originals(), bench.staged()) == ([], [])
        assert bench.writer.unfinished == {}
        details = await bench.catalogue.model(hashed.sha256)
        assert details is not None
        assert [image.seq for image in details.images] == [0]

    async def test_nobody_else_commits_images_until_those_of_the_batch_have_their_names(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        held: list[bool] = []
        for step in ("migration.planned", "sync images"):
            bench.steps.at[step] = lambda: held.append(bench.store.turn.locked())
        async with bench.store.turn:
            migrated = asyncio.ensure_future(bench.migrate(hashed))
            await wait_until_async(lambda: "render" in bench.steps.done, what="the image to be rendered")
            await asyncio.sleep(0.05)
            assert "migration.planned" not in bench.steps.done
        await migrated
        assert held == [True, True]
        assert not bench.store.turn.locked()

    async def test_the_plan_holds_everything(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png(), meta={"description": "d"}, base="SDXL")
        (done,) = await bench.migrate(hashed)
        (plan,) = bench.records("migration.planned")
        assert plan["migration"] == done.result.order.migration
        assert (plan["path"], plan["sha256"]) == (hashed.job.path, hashed.sha256)
        assert (plan["pending_id"], plan["action"], plan["strategy"]) == (hashed.job.pending_id, "created", "auto")
        assert plan["files"] == [file.as_json() for file in done.result.files]
        assert len(done.result.files) == 3
        pending = plan["pending"]
        assert isinstance(pending, dict)
        assert (pending["meta"], pending["base"], pending["image"]) == (
            {"description": "d"},
            "SDXL",
            hashed.job.image,
        )
        assert pending["tags"] == ["x"]

    async def test_without_a_image_nothing_is_rendered_or_synced_for_it(self, bench: Bench) -> None:
        await bench.migrate(await bench.queue("a.safetensors"))
        assert {"render", "publish", "sync images", "remove original"}.isdisjoint(bench.steps.done)
        assert bench.steps.done[-1] == "migration.finished"

    async def test_a_batch_shares_its_barriers(self, bench: Bench) -> None:
        rows = [await bench.queue(f"{number}.safetensors") for number in range(40)]
        done = await bench.migrate(*rows)
        assert set(outcomes(done)) == {Outcome.DONE}
        assert bench.steps.done.count("commit") <= 3
        assert bench.steps.done.count("sync journal") == bench.steps.done.count("commit")
        assert bench.steps.done.count("migration.finished") == 40

    async def test_a_batch_has_few_images_for_a_stop_waits_for_it(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(migrate_stage, "IMAGES_MAX", 2)
        imaged = [await bench.queue(f"p{number}.safetensors", image=png(number)) for number in range(3)]
        plain = [await bench.queue(f"{number}.safetensors") for number in range(3)]
        done = await bench.migrate(*imaged, *plain)
        assert set(outcomes(done)) == {Outcome.DONE}
        rendered_and_committed = [step for step in bench.steps.done if step in ("render", "commit")]
        assert rendered_and_committed == ["render", "render", "commit", "render", "commit"]
        assert bench.images() == sorted(name for hashed in imaged for name in tiers(hashed.sha256))

    async def test_the_id_stays_in_the_catalogue_until_its_end_is_durable(self, bench: Bench) -> None:
        (first,) = await bench.migrate(await bench.queue("a.safetensors"))
        assert set(await bench.catalogue.committed_migrations()) == {first.result.order.migration}
        (second,) = await bench.migrate(await bench.queue("b.safetensors"))
        assert set(await bench.catalogue.committed_migrations()) == {second.result.order.migration}

    async def test_names_of_whatever_bytes_go_all_the_way(self, bench: Bench) -> None:
        hashed = await bench.queue(NOT_UTF8, image=png(), name="N\udcff")
        (done,) = await bench.migrate(hashed)
        assert done.result.outcome is Outcome.DONE
        assert bench.records("migration.finished")[0]["path"] == hashed.job.path


class TestImages:
    async def test_a_image_that_is_a_text_does_not_hold_the_model_back(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=text_as_image())
        (done,) = await bench.migrate(hashed)
        assert done.result.outcome is Outcome.DONE
        assert bench.originals() == [hashed.job.image]
        assert (bench.images(), bench.staged()) == ([], [])
        (ending,) = bench.records("migration.finished")
        assert ending["kept"] == f"images/pending/{hashed.job.image}"
        assert hashed.job.image in str(ending["error"])
        details = await bench.catalogue.model(hashed.sha256)
        assert details is not None
        assert [refused.file for refused in details.refused] == [hashed.job.image]
        assert details.refused[0].reason == ending["error"]

    async def test_a_image_that_is_gone_does_not_hold_the_model_back(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.store.remove_pending(hashed.job.image)
        (done,) = await bench.migrate(hashed)
        assert done.result.outcome is Outcome.DONE

    async def test_a_full_disk_puts_the_row_off_and_no_other(self, bench: Bench) -> None:
        rows = [await bench.queue("a.safetensors", image=png()), await bench.queue("b.safetensors")]
        bench.steps.fail_at("render", OSError(errno.ENOSPC, "No space left on device"))
        done = await bench.migrate(*rows)
        assert outcomes(done) == [Outcome.FAILED, Outcome.DONE]
        assert done[0].result.error.startswith("its image could not be written: No space left on device; make room")
        assert await bench.catalogue.pending(rows[0].job.pending_id) is not None
        assert bench.originals() == [rows[0].job.image]
        (again,) = await bench.migrate(rows[0])
        assert again.result.outcome is Outcome.DONE

    async def test_the_same_image_of_two_copies_is_stored_once(self, bench: Bench) -> None:
        content = safetensors("same")
        first = await bench.queue("a.safetensors", content, png(), name="")
        second = await bench.queue("b.safetensors", content, png(), name="")
        await bench.migrate(first)
        (done,) = await bench.migrate(second)
        assert (done.result.outcome, done.result.files) == (Outcome.DONE, ())
        assert bench.images() == tiers(first.sha256)
        assert (bench.originals(), bench.staged()) == ([], [])

    async def test_a_row_of_which_a_image_became_known_meanwhile_is_looked_at_again(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        unaware = replace(hashed, job=replace(hashed.job, image=""))
        (done,) = await bench.migrate(unaware)
        assert done.result.outcome in (Outcome.MOVED, Outcome.NEEDS_IMAGE)
        assert bench.originals() == [hashed.job.image]
        assert await bench.catalogue.pending(hashed.job.pending_id) is not None

    @pytest.mark.parametrize("strategy", [Strategy.DELETE, Strategy.IGNORE, Strategy.ASK])
    async def test_what_is_not_stored_is_not_rendered(self, bench: Bench, strategy: Strategy) -> None:
        content = safetensors("same")
        await bench.migrate(await bench.queue("a.safetensors", content))
        second = await bench.queue("b.safetensors", content, png(), name="other")
        bench.steps.done.clear()
        await bench.migrate(replace(second, job=replace(second.job, strategy=strategy)))
        assert "render" not in bench.steps.done
        assert bench.originals() == ([] if strategy is Strategy.DELETE else [second.job.image])


class TestOneContentTwice:
    async def test_the_second_sees_what_the_first_did(self, bench: Bench) -> None:
        content = safetensors("same")
        rows = [await bench.queue(name, content, name="") for name in ("a.safetensors", "b.safetensors")]
        done = await bench.migrate(*rows)
        actions = [item.result.decision.action for item in done if item.result.decision]
        assert actions == [Action.CREATED, Action.MERGED]
        details = await bench.catalogue.model(rows[0].sha256)
        assert details is not None
        assert len(details.locations) == 2

    async def test_a_conflict_is_told_and_nothing_is_lost(self, bench: Bench) -> None:
        content = safetensors("same")
        first = await bench.queue("a.safetensors", content, name="Mine", meta={"description": "mine"})
        second = await bench.queue("b.safetensors", content, png(), name="Theirs", meta={"description": "theirs"})
        done = await bench.migrate(first, second)
        assert outcomes(done) == [Outcome.DONE, Outcome.CONFLICTED]
        (told,) = bench.records("migration.conflicted")
        assert (told["differing"], told["pending_id"]) == (["name", "description"], second.job.pending_id)
        row = await bench.catalogue.pending(second.job.pending_id)
        assert row is not None
        assert row.state is PendingState.CONFLICT
        assert bench.originals() == [second.job.image]
        assert bench.staged() == []

    async def test_content_that_gives_way_is_told(self, bench: Bench) -> None:
        old = await bench.queue("a.safetensors", safetensors("old"))
        await bench.migrate(old)
        new = await bench.queue("a.safetensors", safetensors("new"))
        await bench.migrate(new)
        (told,) = bench.records("file.changed")
        assert (told["path"], told["sha256"], told["replaced_by"]) == (new.job.path, old.sha256, new.sha256)


class TestFilesThatChange:
    @pytest.mark.parametrize("change", ["rewritten", "gone"])
    async def test_a_file_that_changed_since_it_was_hashed_is_not_migrated(self, bench: Bench, change: str) -> None:
        stale, good = await bench.queue("a.safetensors"), await bench.queue("b.safetensors")
        path = Path(stale.job.path)
        await asyncio.to_thread(path.unlink if change == "gone" else lambda: write(path, b"other content"))
        done = await bench.migrate(stale, good)
        assert outcomes(done) == [Outcome.MOVED, Outcome.DONE]
        assert await bench.catalogue.model(stale.sha256) is None
        assert await bench.catalogue.pending(stale.job.pending_id) is not None


class TestFailures:
    async def test_when_the_plans_cannot_be_made_durable_nothing_has_happened(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("sync journal", JournalError("the disk is full"))
        (done,) = await bench.migrate(hashed)
        assert (done.result.outcome, done.result.error) == (Outcome.FAILED, "the disk is full")
        assert await bench.catalogue.model(hashed.sha256) is None
        assert await bench.catalogue.committed_migrations() == {}
        assert (bench.images(), bench.staged()) == ([], [])
        assert bench.originals() == [hashed.job.image]
        (again,) = await bench.migrate(hashed)
        assert again.result.outcome is Outcome.DONE
        assert bench.images() == tiers(hashed.sha256)

    async def test_a_commit_that_fails_leaves_the_row_and_its_plan_is_closed(self, bench: Bench) -> None:
        """A plan that stays open keeps the journal's segments until the next start."""
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("commit", CatalogueError("the disk is full"))
        (done,) = await bench.migrate(hashed)
        assert (done.result.outcome, done.result.error) == (Outcome.FAILED, "the disk is full")
        assert await bench.catalogue.model(hashed.sha256) is None
        assert (bench.staged(), bench.writer.unfinished) == ([], {})
        assert [record["error"] for record in bench.records("migration.failed")] == ["the disk is full"]
        (again,) = await bench.migrate(hashed)
        assert again.result.outcome is Outcome.DONE

    async def test_while_nobody_can_tell_whether_a_commit_landed_its_images_and_plan_stay(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("commit", CatalogueError("the disk is full"))
        bench.steps.fail_at("ask", CatalogueError("the disk is still full"), times=2)
        (done,) = await bench.migrate(hashed)
        assert done.result.outcome is Outcome.FAILED
        assert await bench.catalogue.model(hashed.sha256) is None
        assert len(bench.staged()) == 3
        assert len(bench.records("migration.planned")) == 1
        assert len(bench.writer.unfinished) == 1
        (refused,) = await bench.migrate(await bench.queue("b.safetensors"))
        assert (refused.result.outcome, refused.result.error) == (Outcome.FAILED, "the disk is still full")
        assert bench.steps.done.count("migration.planned") == 1
        (again,) = await bench.migrate(hashed)
        assert again.result.outcome is Outcome.DONE
        assert bench.staged() == []
        assert bench.writer.unfinished == {}

    async def test_a_commit_that_landed_though_it_failed_is_carried_on(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("committed", CatalogueError("the connection was lost"))
        (done,) = await bench.migrate(hashed)
        assert (done.result.outcome, done.result.error) == (Outcome.DONE, "")
        assert bench.images() == tiers(hashed.sha256)
        assert (bench.originals(), bench.staged(), bench.writer.unfinished) == ([], [], {})

    async def test_a_commit_that_is_later_found_to_have_landed_is_carried_on_then(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("committed", CatalogueError("the connection was lost"))
        bench.steps.fail_at("ask", CatalogueError("nobody answers"))
        (done,) = await bench.migrate(hashed)
        assert done.result.outcome is Outcome.FAILED
        assert (len(bench.staged()), bench.images()) == (3, [])
        await bench.changes.tend()
        assert bench.images() == tiers(hashed.sha256)
        assert (bench.originals(), bench.staged(), bench.writer.unfinished) == ([], [], {})

    async def test_finished_ids_are_handed_in_again_after_a_commit_that_failed(self, bench: Bench) -> None:
        (first,) = await bench.migrate(await bench.queue("a.safetensors"))
        hashed = await bench.queue("b.safetensors")
        bench.steps.fail_at("commit", CatalogueError("the disk is full"))
        await bench.migrate(hashed)
        assert set(await bench.catalogue.committed_migrations()) == {first.result.order.migration}
        (again,) = await bench.migrate(hashed)
        assert set(await bench.catalogue.committed_migrations()) == {again.result.order.migration}

    async def test_a_catalogue_that_cannot_be_asked_fails_the_row_and_not_the_stage(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("preview", CatalogueError("locked"))
        (done,) = await bench.migrate(hashed)
        assert (done.result.outcome, done.result.error) == (Outcome.FAILED, "locked")
        (again,) = await bench.migrate(hashed)
        assert again.result.outcome is Outcome.DONE

    @pytest.mark.parametrize("step", ["publish", "sync images", "remove original"])
    async def test_what_is_left_to_do_after_a_commit_is_done_later(self, bench: Bench, step: str) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at(step, OSError(errno.EIO, "Input/output error"))
        (done,) = await bench.migrate(hashed)
        assert done.result.outcome is Outcome.DONE
        assert bench.records("migration.finished") == []
        assert list(bench.writer.unfinished) == [done.result.order.migration]
        bench.changes.publisher.publish()
        assert bench.images() == tiers(hashed.sha256)
        assert (bench.originals(), bench.writer.unfinished) == ([], {})
        assert len(bench.records("migration.finished")) == 1

    async def test_an_id_is_not_forgotten_while_its_images_wait_to_be_published(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("publish", OSError(errno.EIO, "Input/output error"), times=2)
        (first,) = await bench.migrate(hashed)
        (second,) = await bench.migrate(await bench.queue("b.safetensors"))
        ids = {first.result.order.migration, second.result.order.migration}
        assert set(await bench.catalogue.committed_migrations()) == ids

    async def test_the_next_batch_publishes_what_waits(self, bench: Bench) -> None:
        hashed = await bench.queue("a.safetensors", image=png())
        bench.steps.fail_at("publish", OSError(errno.EIO, "Input/output error"))
        await bench.migrate(hashed)
        await bench.migrate(await bench.queue("b.safetensors"))
        assert bench.images() == tiers(hashed.sha256)
        assert bench.writer.unfinished == {}

    async def test_a_image_that_can_never_be_published_does_not_hold_back_the_others(self, bench: Bench) -> None:
        lost = await bench.queue("lost.safetensors", image=png(1))
        bench.steps.at["committed"] = bench.lose_staged
        await bench.migrate(lost)
        del bench.steps.at["committed"]
        good = await bench.queue("good.safetensors", image=png(2))
        (done,) = await bench.migrate(good)
        assert done.result.outcome is Outcome.DONE
        assert bench.images() == tiers(good.sha256)
        assert bench.originals() == [lost.job.image]
        assert [record["sha256"] for record in bench.records("migration.finished")] == [good.sha256]


class TestTogether:
    async def test_two_who_publish_at_once_publish_once(self, bench: Bench) -> None:
        """As the housekeeping and the end of a batch may."""
        hashed = await bench.queue("a.safetensors", image=png())
        begun, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            assert go_on.wait(60)

        bench.steps.at["sync images"] = hold
        bench.stage.put(hashed)
        assert await asyncio.to_thread(begun.wait, DEADLINE_SECONDS)
        other = asyncio.ensure_future(asyncio.to_thread(bench.changes.publisher.publish))
        with suppress(AssertionError):  # it waits for its turn
            await wait_until_async(lambda: bench.steps.done.count("publish") == 2, seconds=0.3)
        go_on.set()
        await other
        await wait_until_async(lambda: bench.done and not bench.stage.busy)
        assert len(bench.records("migration.finished")) == 1
        assert len(bench.records("image.published")) == 1
        assert bench.images() == tiers(hashed.sha256)

    async def test_a_stop_waits_for_the_batch_in_hand(self, tmp_path: Path, pool: WorkerPool) -> None:
        bench = Bench(tmp_path, pool)
        hashed = await bench.queue("a.safetensors", image=png())
        begun, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            assert go_on.wait(60)

        bench.steps.at["commit"] = hold
        task = asyncio.create_task(bench.stage.run(bench.take))
        bench.stage.put(hashed)
        assert await asyncio.to_thread(begun.wait, DEADLINE_SECONDS)
        assert bench.stage.busy
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.images() == tiers(hashed.sha256)
        assert bench.writer.unfinished == {}
        assert outcomes(bench.done) == [Outcome.DONE]
        bench.catalogue.close()
        bench.writer.close()

    async def test_nothing_in_hand_is_not_busy(self, bench: Bench) -> None:
        assert not bench.stage.busy
        await bench.migrate(await bench.queue("a.safetensors"))
        wait_until(lambda: not bench.stage.busy)
