"""Stage 1 against small doubles of the catalogue, the images and the journal, which note what happens."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import wait_until_async

from modelkeep.changes.imports import ImportReport, Progress, StageOne
from modelkeep.changes.protocol import Changes
from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, Refusal, StagedRow, Survey, TakenRow, TakenRows, Taking
from modelkeep.domain.values import RenderedImage, TierFile
from modelkeep.errors import CatalogueError, ImageError, JournalError, SourceError
from modelkeep.importers.base import SourceContent, SourceOptions

HASHES = ["aa" * 32, "bb" * 32, "cc" * 32]
NOW_MS = 1_735_689_600_000


@dataclass
class RowCatalogue:
    """Takes rows as the real one does: the first row of a hash is its model, a second with a name conflicts."""

    log: list[str]
    known: dict[str, Taking] = field(default_factory=dict)
    fails: Exception | None = None
    """Raised after `before_commit`: whether the commit succeeded is not known then."""
    landed: bool | None = None
    """Whether it did; None when nobody can tell."""
    meanwhile: list[str] = field(default_factory=list)
    """Hashes that become models between the question and the transaction."""
    seen: list[StagedRow] = field(default_factory=list)
    dry_seen: list[StagedRow] = field(default_factory=list)

    async def survey(self, kind: str, source: str, prepared: Path, *, again: bool = False) -> Survey:
        raise AssertionError("nothing is prepared")

    async def import_rows(
        self,
        kind: str,
        source: str,
        rows: Sequence[StagedRow],
        now_ms: int,
        before_commit: Callable[[TakenRows], None],
        *,
        dry_run: bool = False,
        again: bool = False,
        finished: Sequence[str] = (),
        prepared: Path | None = None,
        on_disk: Mapping[int, Fingerprint] = MappingProxyType({}),
    ) -> TakenRows:
        assert now_ms == NOW_MS
        (self.dry_seen if dry_run else self.seen)[:] = rows
        models = set() if dry_run else set(self.meanwhile)
        taken = TakenRows([self._take(staged, number, models) for number, staged in enumerate(rows, start=1)])
        if not dry_run:
            self.log.append("begin")
            await asyncio.to_thread(before_commit, taken)
            if self.fails is not None:
                raise self.fails
            self.log.append("commit")
        return taken

    async def landed_migrations(self, asked: Sequence[str]) -> set[str]:
        if self.landed is None:
            raise CatalogueError("nobody answers")
        return set(asked) if self.landed else set()

    def _take(self, staged: StagedRow, number: int, models: set[str]) -> TakenRow:
        row, has_image = staged.row, bool(staged.row.image)
        if row.key in self.known:
            return TakenRow(row, self.known[row.key], pending_id=number, wants_copy=False)
        is_second = row.claim in models
        if not row.claim or (is_second and row.name):
            image = f"{number}{Path(staged.copied).suffix}" if staged.copied else ""
            return TakenRow(row, Taking.PENDING, "", number, pending_image=image, wants_copy=has_image)
        models.add(row.claim)
        taking = Taking.MERGED if is_second else Taking.MODEL
        taken = TakenRow(row, taking, row.claim, wants_rendering=has_image)
        if staged.rendered is None:
            return taken
        files = tuple(TierFile(name, f"{row.claim}_{number}_{tier}") for tier, name in staged.rendered.staged.items())
        return replace(taken, migration=f"migration-{row.key}", files=files)


@dataclass
class ImageShelf:
    """Keeps images by name in sets; an image whose name begins with `bad` cannot be used."""

    log: list[str]
    staging: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    published: set[str] = field(default_factory=set)
    most_at_once: int = 0
    at_once: int = 0
    full: bool = False
    fails_placing: str = ""
    is_rendering: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def render(self, source: Path, stem: str) -> RenderedImage:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.is_rendering.set()
        await asyncio.sleep(0)
        if self.may_end is not None:
            await self.may_end.wait()
        self.at_once -= 1
        self._check(source)
        staged = {quality: f"{stem}_{quality}.webp" for quality in ("high", "medium", "low")}
        assert not self.staging & set(staged.values())
        self.staging |= set(staged.values())
        return RenderedImage(staged, 1, 1, hashlib.sha256(source.name.encode()).hexdigest())

    def stage_copy(self, source: Path, stem: str) -> str:
        self._check(source)
        name = stem + source.suffix
        assert name not in self.staging
        self.staging.add(name)
        return name

    async def check(self, source: Path) -> None:
        self._check(source)

    async def check_copy(self, staged: str, source: Path) -> None:
        if source.name.startswith("fake"):
            self.staging.remove(staged)
            raise ImageError(f"{source.name} is not an image")

    def place_pending(self, staged: str, name: str) -> None:
        if name == self.fails_placing:
            raise OSError(28, "No space left on device")
        self.staging.remove(staged)
        self.pending.add(name)
        self.log.append(f"place {name}")

    def sync_pending(self) -> None:
        self.log.append("sync pending")

    def remove_pending(self, name: str) -> None:
        self.pending.discard(name)

    def remove_published(self, names: Sequence[str]) -> None:
        assert not names

    def publish(self, files: Sequence[TierFile]) -> None:
        for file in files:
            self.staging.remove(file.staged)
            self.published.add(file.final)
        self.log.append(f"publish {len(files)}")

    def sync(self) -> None:
        self.log.append("sync published")

    def discard(self, staged: Iterable[str]) -> None:
        self.staging -= set(staged)

    def _check(self, source: Path) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        if source.name.startswith("bad"):
            raise ImageError(f"{source.name} is no image")


@dataclass
class RecordList:
    """Keeps records in a list."""

    log: list[str]
    records: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    broken: str = ""
    hold: Callable[[str], None] = lambda event: None

    def write(self, event: str, **fields: object) -> int:
        return self.write_many([(event, fields)])

    def write_many(self, records: Iterable[tuple[str, Mapping[str, object]]]) -> int:
        for event, fields in records:
            if event == self.broken:
                raise JournalError("the journal cannot be written")
            self.hold(event)
            self.records.append((event, dict(fields)))
            self.log.append(event)
        return len(self.records)

    def append_many(self, records: Sequence[tuple[str, Mapping[str, object]]]) -> bool:
        self.write_many(records)
        return True

    def sync(self) -> None:
        self.log.append("sync journal")

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.records if name == event]


@dataclass
class Listed:
    """An importer whose source is a list."""

    rows: Sequence[LegacyRow]
    refusals: Sequence[Refusal] = ()
    kind: str = "hikaze"
    description: str = "a list"
    thread: int = 0

    def read(self, options: SourceOptions) -> SourceContent:
        self.thread = threading.get_ident()
        if not options.source.name:
            raise SourceError("there is nothing to read")
        remarks = (Refusal("", "/list", "about the whole"),)
        return SourceContent(self.kind, str(options.source), tuple(self.rows), tuple(self.refusals), remarks)


class World:
    """A StageOne and the doubles that it works on."""

    def __init__(self, concurrency: int = 2) -> None:
        self.log: list[str] = []
        self.catalogue = RowCatalogue(self.log)
        self.shelf = ImageShelf(self.log)
        self.journal = RecordList(self.log)
        self.progress: list[Progress] = []
        self.changes = Changes(self.catalogue, self.shelf, self.journal)
        self.stage_one = StageOne(self.catalogue, self.shelf, self.journal, self.changes, lambda: NOW_MS, concurrency)

    async def run(self, *rows: LegacyRow, refusals: Sequence[Refusal] = (), dry_run: bool = False) -> ImportReport:
        options = SourceOptions(Path("/old/list"))
        importer = Listed(rows, refusals)
        return await self.stage_one.run(importer, options, dry_run=dry_run, progress=self.progress.append)


def row(key: str, *, claim: str = "", image: str = "", name: str = "", path: str = "", **more: Any) -> LegacyRow:
    path = path or f"/models/{key}"
    image = f"/old/images/{image}" if image else ""
    return LegacyRow(key, f"digest-{key}", path, path, name=name, claim=claim, image=image, **more)


async def test_the_order_in_which_things_become_durable() -> None:
    world = World()
    await world.run(row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"))
    assert world.log == [
        "import.started",
        "begin",
        "migration.planned",
        "sync journal",
        "place 2.png",
        "sync pending",
        "commit",
        "file.detected",
        "publish 3",
        "sync published",
        "migration.finished",
        "import.finished",
    ]
    assert world.shelf.staging == set()
    assert world.shelf.pending == {"2.png"}
    assert len(world.shelf.published) == 3


async def test_nobody_else_commits_images_until_those_of_the_import_have_their_names() -> None:
    world = World()
    held: dict[str, bool] = {}
    world.journal.hold = lambda event: held.update({event: world.shelf.turn.locked()})
    async with world.shelf.turn:
        run = asyncio.ensure_future(world.run(row("1", claim=HASHES[0], image="a.png")))
        await wait_until_async(lambda: "import.started" in held)
        await asyncio.wait([run], timeout=0.05)
        assert "commit" not in world.log
    await run
    assert held == {
        "import.started": True,
        "migration.planned": True,
        "migration.finished": True,
        "import.finished": False,
    }


async def test_the_plan_says_all_that_is_needed_to_resume_it() -> None:
    world = World()
    await world.run(row("k7", claim=HASHES[0], image="a.png"))
    (plan,) = world.journal.of("migration.planned")
    files = plan.pop("files")
    assert plan == {
        "migration": "migration-k7",
        "path": "/models/k7",
        "sha256": HASHES[0],
        "action": "created",
        "strategy": "auto",
        "source": "hikaze",
        "source_row": "k7",
    }
    assert {file["final"] for file in files} == world.shelf.published
    assert all(set(file) == {"staged", "final"} for file in files)


async def test_every_row_that_was_taken_has_a_record() -> None:
    world = World()
    world.catalogue.known = {"5": Taking.UPDATED, "6": Taking.UNCHANGED}
    await world.run(
        row("1", claim=HASHES[0]),
        row("2", claim=HASHES[0], image="a.png"),
        row("3", claim=HASHES[0], name="otherwise"),
        row("4"),
        row("5"),
        row("6"),
    )
    origin = {"source": "hikaze"}
    assert world.journal.of("migration.finished") == [
        {"path": "/models/1", "sha256": HASHES[0], "action": "created", "source_row": "1", **origin},
        {
            "migration": "migration-2",
            "path": "/models/2",
            "sha256": HASHES[0],
            "action": "merged",
            "source_row": "2",
            **origin,
        },
    ]
    assert [
        (record["source_row"], record["pending_id"], record["cause"]) for record in world.journal.of("file.detected")
    ] == [("3", 3, "import"), ("4", 4, "import"), ("5", 5, "import")]


async def test_a_source_without_images_needs_neither_a_question_nor_a_barrier() -> None:
    world = World()
    await world.run(row("1", claim=HASHES[0]), row("2"))
    assert world.catalogue.dry_seen == []
    assert world.log[:4] == ["import.started", "begin", "commit", "migration.finished"]
    assert [step.phase for step in world.progress] == ["reading", "writing", "done"]


async def test_the_question_is_asked_of_rows_with_a_image_and_of_those_of_the_same_content() -> None:
    world = World()
    await world.run(
        row("1", claim=HASHES[0]),
        row("2"),
        row("3", claim=HASHES[0], image="a.png", name="otherwise"),
        row("4", claim=HASHES[1]),
        row("5", image="b.png"),
    )
    assert [staged.row.key for staged in world.catalogue.dry_seen] == ["1", "3", "5"]
    assert world.shelf.pending == {"3.png", "5.png"}


async def test_the_report_counts_every_row_once() -> None:
    world = World()
    world.catalogue.known = {"5": Taking.UPDATED, "6": Taking.UNCHANGED}
    refusal = Refusal("9", "D:\\x", "no such drive")
    report = await world.run(
        row("1", claim=HASHES[0], image="a.png"),
        row("2", claim=HASHES[0], image="bad.png"),
        row("4", image="c.gif", remarks=("odd", "odder")),
        row("5"),
        row("6"),
        refusals=[refusal],
    )
    assert report.as_json() == {
        "kind": "hikaze",
        "source": "/old/list",
        "dry_run": False,
        "rows": 6,
        "migrated": 2,
        "pending": 1,
        "updated": 1,
        "unchanged": 1,
        "dropped": 0,
        "errors": 1,
        "images_processed": 2,
        "counts": {
            "rows": 6,
            "migrated": 2,
            "pending": 1,
            "updated": 1,
            "unchanged": 1,
            "dropped": 0,
            "errors": 1,
            "images_processed": 2,
            "image_errors": 1,
        },
        "refusals": [{"key": "9", "path": "D:\\x", "reason": "no such drive"}],
        "image_errors": [{"key": "2", "path": "/old/images/bad.png", "reason": "bad.png is no image"}],
        "remarks": [
            {"key": "", "path": "/list", "reason": "about the whole"},
            {"key": "4", "path": "/models/4", "reason": "odd"},
            {"key": "4", "path": "/models/4", "reason": "odder"},
        ],
        "not_found": [f"/models/{key}" for key in "12456"] + ["D:\\x"],
    }
    assert world.journal.of("import.finished") == [{"kind": "hikaze", "source": "/old/list", **report.counts()}]
    assert world.journal.of("import.started") == [{"kind": "hikaze", "source": "/old/list", "rows": 5, "refused": 1}]


async def test_a_dry_run_asks_and_changes_nothing() -> None:
    world = World()
    report = await world.run(row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"), dry_run=True)
    assert (report.dry_run, report.migrated, report.pending, report.images_processed) == (True, 1, 1, 2)
    assert world.log == []
    assert (world.shelf.staging, world.shelf.most_at_once) == (set(), 0)


async def test_a_dry_run_foretells_which_images_cannot_be_used() -> None:
    rows = (row("1", claim=HASHES[0], image="bad.png"), row("2", image="bad.gif"), row("3", image="b.png"))
    rehearsed, report = await World().run(*rows, dry_run=True), await World().run(*rows)
    assert rehearsed.images_processed == 1
    assert rehearsed.image_errors == report.image_errors
    assert rehearsed.counts() == report.counts()


async def test_a_image_that_cannot_be_used_keeps_no_row_back() -> None:
    world = World()
    report = await world.run(row("1", claim=HASHES[0], image="bad.png"), row("2", image="bad.gif"))
    assert (report.migrated, report.pending, report.images_processed) == (1, 1, 0)
    assert {error.key for error in report.image_errors} == {"1", "2"}
    assert all(staged.rendered is None and not staged.copied for staged in world.catalogue.seen)


async def test_the_same_image_of_two_rows_is_made_ready_for_each() -> None:
    world = World()
    await world.run(row("a/b", image="a.png"), row("a_b", image="a.png"))
    copies = [staged.copied for staged in world.catalogue.seen]
    assert len(set(copies)) == 2
    assert all(copy.startswith("import-") and copy.endswith("-a_b.png") for copy in copies)


async def test_images_are_made_ready_some_at_a_time() -> None:
    world = World(concurrency=3)
    rows = [row(str(number), claim=f"{number:064x}", image=f"{number}.png") for number in range(10)]
    await world.run(*rows)
    assert world.shelf.most_at_once == 3
    images = [step for step in world.progress if step.phase == "images"]
    assert images == [Progress("images", done, 10) for done in range(11)]
    assert world.progress[-1] == Progress("done", 10, 10)


async def test_the_source_is_read_outside_of_the_event_loop() -> None:
    importer = Listed([])
    await World().stage_one.run(importer, SourceOptions(Path("/old/list")))
    assert importer.thread not in (0, threading.get_ident())


async def test_a_source_that_cannot_be_read_leaves_no_trace() -> None:
    world = World()
    with pytest.raises(SourceError):
        await world.stage_one.run(Listed([]), SourceOptions(Path("/")))
    assert world.log == []


async def test_a_row_knows_whether_its_file_is_there(tmp_path: Path) -> None:
    there, link, folder = tmp_path / "there", tmp_path / "link", tmp_path / "folder"
    there.write_bytes(b"model")
    link.symlink_to(there)
    folder.mkdir()
    world = World()
    paths = [str(there), str(link), str(folder), str(tmp_path / "gone"), "/models/\ud800"]
    await world.run(*(row(str(number), path=path) for number, path in enumerate(paths)))
    status = fingerprint_of(str(there))
    assert [staged.on_disk for staged in world.catalogue.seen] == [status, status, None, None, None]


async def test_a_row_that_changes_sides_meanwhile_keeps_its_image() -> None:
    world = World()
    world.catalogue.meanwhile = [HASHES[0]]
    report = await world.run(row("1", claim=HASHES[0], image="a.png", name="otherwise"))
    assert (report.pending, report.images_processed) == (1, 1)
    assert world.shelf.pending == {"1.png"}
    assert world.shelf.staging == set()
    assert world.log.count("begin") == 2


async def test_a_full_disk_ends_the_import_and_leaves_nothing_behind() -> None:
    world = World()
    world.shelf.full = True
    with pytest.raises(OSError, match="No space left"):
        await world.run(row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"))
    assert world.log == ["import.started", "import.failed"]
    assert world.journal.of("import.failed")[0]["error"] == "[Errno 28] No space left on device"


async def test_a_journal_that_cannot_be_written_ends_the_import_before_the_commit() -> None:
    world = World()
    world.journal.broken = "migration.planned"
    with pytest.raises(JournalError):
        await world.run(row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"))
    assert "commit" not in world.log
    assert (world.shelf.staging, world.shelf.pending, world.shelf.published) == (set(), set(), set())


async def test_pending_images_that_were_placed_are_taken_back_when_the_next_cannot_be() -> None:
    world = World()
    world.shelf.fails_placing = "3.png"
    with pytest.raises(OSError, match="No space left"):
        await world.run(*(row(str(number), image="a.png") for number in (1, 2, 3)))
    assert "commit" not in world.log
    assert (world.shelf.pending, world.shelf.staging) == (set(), set())


@pytest.mark.parametrize("landed", [True, False])
async def test_after_a_commit_that_failed_the_catalogue_is_asked_whether_it_landed(landed: bool) -> None:
    world = World()
    world.catalogue.fails, world.catalogue.landed = CatalogueError("the disk went away"), None
    rows = (row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"))
    with pytest.raises(CatalogueError):
        await world.run(*rows)
    world.catalogue.landed = landed
    await world.changes.tend()
    assert world.shelf.staging == set()
    assert len(world.shelf.published) == (3 if landed else 0)
    assert len(world.journal.of("migration.finished")) == int(landed)
    assert [record["error"] for record in world.journal.of("migration.failed")] == (
        [] if landed else ["the disk went away"]
    )


async def test_an_import_that_landed_though_its_commit_failed_has_not_failed() -> None:
    world = World()
    world.catalogue.fails, world.catalogue.landed = CatalogueError("the disk went away"), True
    report = await world.run(row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"))
    assert (report.migrated, report.pending, report.images_processed) == (1, 1, 2)
    assert "import.failed" not in world.log
    assert (len(world.shelf.published), world.shelf.staging) == (3, set())


async def test_after_a_commit_of_unknown_outcome_what_the_plan_names_stays() -> None:
    world = World()
    world.catalogue.fails = CatalogueError("the disk went away")
    with pytest.raises(CatalogueError):
        await world.run(row("1", claim=HASHES[0], image="a.png"), row("2", image="b.png"))
    planned = {file["staged"] for file in world.journal.of("migration.planned")[0]["files"]}
    assert world.shelf.staging == planned
    assert world.shelf.pending == {"2.png"}
    assert world.log[-1] == "import.failed"


async def test_an_import_that_is_called_off_while_it_makes_images_ready_leaves_nothing_behind() -> None:
    world = World()
    world.shelf.may_end = asyncio.Event()
    rows = [row("1", image="b.png"), row("2", claim=HASHES[0], image="a.png")]
    task = asyncio.create_task(world.run(*rows))
    await world.shelf.is_rendering.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.journal.of("import.failed")[0]["error"] == "it was called off"
    assert (world.shelf.staging, world.shelf.pending, world.shelf.published) == (set(), set(), set())


async def test_an_import_that_is_called_off_while_it_commits_goes_on_to_its_end() -> None:
    world = World()
    inside, go_on = threading.Event(), threading.Event()

    def hold(event: str) -> None:
        if event == "migration.planned":
            inside.set()
            assert go_on.wait(60)

    world.journal.hold = hold
    task = asyncio.create_task(world.run(row("1", claim=HASHES[0], image="a.png")))
    assert await asyncio.to_thread(inside.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.log[-1] == "import.finished"
    assert "import.failed" not in world.log
    assert len(world.shelf.published) == 3
    assert world.shelf.staging == set()


rows_of_a_source = st.lists(
    st.builds(
        lambda claim, image, name: (claim, image, name),
        st.sampled_from(["", *HASHES]),
        st.sampled_from(["", "a.png", "bad.png", "b.gif"]),
        st.sampled_from(["", "one", "two"]),
    ),
    max_size=8,
)


@given(rows_of_a_source, st.integers(0, 3), st.lists(st.sampled_from(HASHES)), st.booleans())
def test_every_row_is_counted_once_and_every_usable_image_is_kept(
    rows: list[tuple[str, str, str]], refused: int, meanwhile: list[str], dry_run: bool
) -> None:
    world = World()
    world.catalogue.meanwhile = meanwhile
    legacy = [row(str(n), claim=claim, image=image, name=name) for n, (claim, image, name) in enumerate(rows)]
    refusals = [Refusal(f"r{number}", "", "refused") for number in range(refused)]
    report = asyncio.run(world.run(*legacy, refusals=refusals, dry_run=dry_run))
    assert report.rows == len(legacy) + refused
    assert report.migrated + report.pending + report.updated + report.unchanged + len(report.refusals) == report.rows
    if dry_run:
        assert world.log == []
    usable = sum(1 for _, image, _ in rows if image and not image.startswith("bad"))
    assert report.images_processed == usable
    if dry_run:
        return
    assert len(world.shelf.pending) + len(world.shelf.published) // 3 == usable
    assert world.shelf.staging == set()
