"""What the owner does by hand, with a real catalogue, real images and a real journal."""

import asyncio
import errno
import io
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from tests.fakes import location_at
from tests.image_files import gigantic_png, png, text_as_image, truncated_png
from tests.libraries import sha256_of

from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.owner import OwnerActs
from modelkeep.changes.protocol import Changes
from modelkeep.changes.publishing import Publisher
from modelkeep.changes.recovery import recover
from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.acts import ActOrder, ActPlan
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import TierFile
from modelkeep.errors import Busy, CatalogueError, Conflict, ImageError, JournalError, NotFound, StorageError
from modelkeep.images.store import ImageStore
from modelkeep.images.tiers import render_tiers
from modelkeep.journal.keeper import JournalKeeper
from modelkeep.journal.reader import read
from modelkeep.journal.writer import JournalWriter

P = ParamSpec("P")
T = TypeVar("T")

A, B, GONE = "a" * 64, "b" * 64, "c" * 64
NOW = 1_735_689_600_000


class Threads:
    """Does in threads what workers do."""

    workers = 2

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    def abandon(self) -> bool:
        """Do nothing."""
        return True


def image(seed: int) -> bytes:
    return png(seed, (24, 16))


class Bench:
    """Acts on real parts below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = Catalogue.open(folder / "modelkeep.db")
        self.store = ImageStore(folder / "images", Threads())
        self.journal = JournalKeeper(lambda: JournalWriter.open(folder / "journal"))
        self.troubles = Troubles(lambda event, fields: None)
        self.changes = Changes(self.catalogue, self.store, self.journal, self.troubles)
        self.publisher = self.changes.publisher
        self.acts = self.fresh_acts(self.changes)

    def fresh_acts(self, changes: Changes | None = None) -> OwnerActs:
        changes = changes or Changes(self.catalogue, self.store, self.journal)
        return OwnerActs(self.catalogue, self.store, changes, lambda: NOW)

    async def add(self, sha256: str, *seeds: int) -> list[int]:
        return [await self.acts.add_image(sha256, io.BytesIO(image(seed))) for seed in seeds]

    async def shown(self, sha256: str) -> list[int]:
        """Return the seeds of a model's images, after looking at every row and every file."""
        details = await self.catalogue.model(sha256)
        rows = details.images if details else ()
        assert [row.seq for row in rows] == list(range(len(rows)))
        seeds = [next(seed for seed in range(20) if sha256_of(image(seed)) == row.source_digest) for row in rows]
        expected = {
            f"{sha256}_{seq}_{quality}.webp": content
            for seq, seed in enumerate(seeds)
            for quality, content in render_tiers(image(seed), "x").files.items()
        }
        found = {path.name: path.read_bytes() for path in (self.folder / "images").glob(f"{sha256}_*")}
        assert found == expected
        return seeds

    @property
    def staged(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "images" / ".staging").iterdir())

    def events(self) -> list[str]:
        return [str(record["event"]) for record in read(self.folder / "journal")]

    def execute(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.folder / "modelkeep.db")) as connection, connection:
            connection.execute(statement, values)

    async def recover(self) -> Publisher:
        """Do what a start does; returns who keeps what is left."""
        publisher = Publisher(self.store, self.journal, self.troubles)
        await recover(self.catalogue, self.store, self.journal, publisher)
        return publisher

    async def close(self) -> None:
        self.catalogue.close()
        self.journal.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Two models with a file, and one whose file is gone."""
    made = Bench(tmp_path)
    rows = [
        StagedRow(
            LegacyRow(
                key=sha256, digest=sha256, path=f"/m/{sha256[0]}.pt", original_path="", claim=sha256, name="Hero"
            ),
            on_disk=None if sha256 == GONE else Fingerprint(1, 2, 3, 4),
        )
        for sha256 in (A, B, GONE)
    ]
    await made.catalogue.import_rows("hikaze-v1", "/old", rows, NOW, lambda _: None)
    yield made
    await made.close()


def failing(error: Exception, times: int = 1) -> Callable[..., None]:
    """Return what fails so many times, in the place of a method that returns nothing."""
    left = [error] * times

    def fail(*_: object) -> None:
        if left:
            raise left.pop()

    return fail


async def test_images_are_added_and_removed_in_their_order(bench: Bench) -> None:
    assert await bench.add(A, 1, 2, 3) == [0, 1, 2]
    assert await bench.acts.remove_image(A, 1) == 2
    assert await bench.shown(A) == [1, 3]
    assert await bench.add(A, 2) == [2]
    assert await bench.acts.remove_image(A, 0) == 2
    assert await bench.shown(A) == [3, 2]
    assert await bench.acts.remove_image(A, 1) == 1
    assert await bench.acts.remove_image(A, 0) == 0
    assert await bench.shown(A) == []
    assert bench.staged == []
    assert bench.journal.unfinished == {}


async def test_the_same_image_is_stored_once(bench: Bench) -> None:
    await bench.add(A, 1, 2)
    records = len(bench.events())
    assert await bench.add(A, 1) == [0]
    assert await bench.add(B, 1) == [0]
    assert await bench.shown(A) == [1, 2]
    assert len([event for event in bench.events()[records:] if event == "migration.planned"]) == 1
    assert bench.staged == []


@pytest.mark.parametrize("content", [b"", text_as_image(), truncated_png(), gigantic_png()])
async def test_what_is_no_image_is_refused_in_words_and_leaves_nothing(bench: Bench, content: bytes) -> None:
    with pytest.raises(ImageError, match=r"^what was sent "):
        await bench.acts.add_image(A, io.BytesIO(content))
    assert bench.staged == []
    assert await bench.shown(A) == []


async def test_what_is_not_there_cannot_be_acted_on(bench: Bench) -> None:
    for act in (
        bench.acts.add_image("d" * 64, io.BytesIO(image(1))),
        bench.acts.remove_image("d" * 64, 0),
        bench.acts.remove_image(A, 0),
        bench.acts.purge("d" * 64),
    ):
        with pytest.raises(NotFound):
            await act
    assert bench.staged == []


async def test_acts_at_once_on_one_model_come_one_after_the_other(bench: Bench) -> None:
    await bench.add(A, 1, 2, 3, 4)
    await asyncio.gather(
        *(bench.acts.remove_image(A, 0) for _ in range(3)),
        bench.add(A, 5),
        bench.add(A, 5),
        bench.add(A, 6),
        bench.add(B, 5),
    )
    shown = await bench.shown(A)
    assert len(shown) == 3
    assert {5, 6} >= set(shown) - {4}
    assert await bench.shown(B) == [5]


async def test_an_act_waits_until_committed_images_have_their_names(bench: Bench) -> None:
    await bench.add(A, 1, 2)
    async with bench.store.turn:
        act = asyncio.ensure_future(bench.acts.remove_image(A, 0))
        await asyncio.sleep(0.05)
        assert not act.done()
        assert await bench.shown(A) == [1, 2]
    assert await act == 1
    assert await bench.shown(A) == [2]


async def test_an_act_is_brought_to_its_end_when_nobody_waits_for_it_any_more(bench: Bench) -> None:
    await bench.add(A, 1, 2)
    act = asyncio.ensure_future(bench.acts.remove_image(A, 0))
    await asyncio.sleep(0)
    act.cancel()
    with pytest.raises(asyncio.CancelledError):
        await act
    assert await bench.shown(A) == [2]


async def test_without_hard_links_images_are_copied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.add(A, 1, 2, 3)
    monkeypatch.setattr(os, "link", failing(OSError(errno.EPERM, "Operation not permitted"), times=100))
    await bench.acts.remove_image(A, 0)
    assert await bench.shown(A) == [2, 3]
    assert bench.staged == []


async def test_a_image_without_its_file_stops_what_would_move_it(bench: Bench) -> None:
    await bench.add(A, 1, 2, 3)
    (bench.folder / "images" / f"{A}_2_low.webp").unlink()
    with pytest.raises(Conflict, match=f"{A}_2_low.webp"):
        await bench.acts.remove_image(A, 0)
    assert bench.staged == []
    details = await bench.catalogue.model(A)
    assert details is not None
    assert details.images_count == 3
    assert await bench.acts.remove_image(A, 2) == 2
    assert await bench.shown(A) == [1, 2]


async def test_a_disk_that_is_full_leaves_all_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.add(A, 1, 2)
    monkeypatch.setattr(os, "link", failing(OSError(errno.ENOSPC, "No space left on device"), times=100))
    with pytest.raises(StorageError, match="No space left"):
        await bench.acts.remove_image(A, 0)
    assert await bench.shown(A) == [1, 2]
    assert bench.staged == []


async def test_a_journal_that_cannot_be_synced_leaves_all_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add(A, 1, 2)
    monkeypatch.setattr(bench.journal, "sync", failing(JournalError("it failed")))
    with pytest.raises(JournalError):
        await bench.acts.remove_image(A, 0)
    assert await bench.shown(A) == [1, 2]
    assert bench.staged == []
    assert bench.journal.unfinished == {}


async def refuse_to_tell(_: Sequence[str]) -> set[str]:
    raise CatalogueError("the catalogue cannot be read now")


async def test_what_a_failed_commit_had_staged_stays_until_it_is_certain(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add(A, 1, 2)
    act = bench.catalogue.act

    async def fail_after_the_plan(
        order: ActOrder, finished: Sequence[str], now_ms: int, before_commit: Callable[[ActPlan], None]
    ) -> ActPlan:
        def prepare_and_fail(plan: ActPlan) -> None:
            before_commit(plan)
            raise CatalogueError("the commit failed")

        return await act(order, finished, now_ms, prepare_and_fail)

    monkeypatch.setattr(bench.catalogue, "act", fail_after_the_plan)
    monkeypatch.setattr(bench.catalogue, "landed_migrations", refuse_to_tell)
    with pytest.raises(CatalogueError):
        await bench.acts.remove_image(A, 0)
    assert len(bench.staged) == 3
    assert len(bench.journal.unfinished) == 1
    monkeypatch.undo()
    assert await bench.acts.remove_image(A, 1) == 1
    assert await bench.shown(A) == [1]
    assert bench.staged == []
    assert bench.journal.unfinished == {}


async def test_images_that_could_not_be_published_are_later_and_hold_back_their_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add(A, 1, 2, 3)
    publish = bench.store.publish

    def fail_for_a(files: Sequence[TierFile]) -> None:
        if any(file.final.startswith(A) for file in files):
            raise OSError(errno.EIO, "Input/output error")
        publish(files)

    monkeypatch.setattr(bench.store, "publish", fail_for_a)
    assert await bench.acts.remove_image(A, 0) == 2
    for act in (bench.acts.remove_image(A, 0), bench.add(A, 4)):
        with pytest.raises(Busy):
            await act
    assert await bench.add(B, 4) == [0]
    assert await bench.shown(B) == [4]
    monkeypatch.undo()
    bench.publisher.publish()
    assert await bench.shown(A) == [2, 3]
    assert bench.staged == []
    assert bench.journal.unfinished == {}


async def test_a_recovery_leaves_a_image_that_has_the_name_of_a_removed_one(bench: Bench) -> None:
    await bench.add(A, 1, 2)
    await bench.acts.remove_image(A, 1)
    # Nobody tells the catalogue that the removal is finished: it is among those that a start looks at.
    await bench.fresh_acts().add_image(A, io.BytesIO(image(3)))
    await bench.recover()
    assert await bench.shown(A) == [1, 3]


async def test_images_that_wait_for_the_disk_are_a_trouble_until_they_are_published(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add(A, 1, 2)
    refused = OSError(errno.EROFS, "Read-only file system", str(bench.folder / "images" / "x.webp"))
    monkeypatch.setattr(bench.store, "remove_published", failing(refused))
    assert await bench.acts.remove_image(A, 1) == 1
    folder = bench.folder / "images"
    sentence = (
        "images that are committed cannot be written: Read-only file system; mount the disk of"
        f" {folder} so that it can be written; they are tried again by themselves"
    )
    assert [(each.part, each.sentence) for each in bench.troubles.current()] == [("images", sentence)]
    monkeypatch.undo()
    bench.publisher.publish()
    assert bench.troubles.current() == []
    assert await bench.shown(A) == [1]


async def test_what_was_published_is_not_removed_once_more_when_the_folder_could_not_be_synced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration may have given its image the name of a removed one: it waits for nobody's request."""
    await bench.add(A, 1, 2)
    monkeypatch.setattr(bench.store, "remove_published", failing(OSError(errno.EIO, "Input/output error")))
    await bench.acts.remove_image(A, 1)
    monkeypatch.undo()
    names = [f"{A}_1_{quality}.webp" for quality in ("high", "low", "medium")]
    for name in names:
        bench.store.staged_path(f"later_{name}").write_bytes(b"later")
    later = Committed("later", A, [TierFile(f"later_{name}", name) for name in names])
    bench.publisher.add([later])
    monkeypatch.setattr(bench.store, "sync", failing(OSError(errno.EIO, "Input/output error")))
    for _ in range(2):
        bench.publisher.publish()
    assert [(bench.folder / "images" / name).read_bytes() for name in names] == [b"later"] * 3
    assert not bench.publisher.waits_for(A)
    bench.publisher.pop_finished()


@pytest.mark.parametrize("unwritable", ["", "pending"])
async def test_an_act_on_a_folder_that_cannot_be_written_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unwritable: str
) -> None:
    await bench.add(A, 1)
    await bench.add(GONE, 2)
    folder = bench.folder / "images" / unwritable

    def may_write(path: Path, *_: object, **__: object) -> bool:
        return path != folder

    monkeypatch.setattr(os, "access", may_write)
    sentence = (
        f"the images cannot be written: Permission denied; give the daemon's user the right to write to {folder}"
    )
    for act in (bench.acts.remove_image(A, 0), bench.acts.purge(GONE), bench.add(A, 3)):
        with pytest.raises(StorageError, match=f"^{sentence}$"):
            await act
    monkeypatch.undo()
    assert (await bench.shown(A), await bench.shown(GONE)) == ([1], [2])
    assert bench.journal.unfinished == {}
    assert bench.staged == []


async def test_a_disk_that_refuses_the_upload_itself_is_told_and_not_what_clearing_away_met(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="Read-only file system; mount the disk of"):
        await bench.add(A, 1)


@pytest.mark.parametrize("lost", [("high", "medium", "low"), ("medium",)])
async def test_the_same_image_restores_files_that_were_lost(bench: Bench, lost: Sequence[str]) -> None:
    await bench.add(A, 1, 2, 3)
    for quality in lost:
        (bench.folder / "images" / f"{A}_1_{quality}.webp").unlink()
    assert await bench.add(A, 2) == [1]
    assert await bench.shown(A) == [1, 2, 3]
    assert bench.staged == []
    assert bench.journal.unfinished == {}


async def test_a_recovery_leaves_what_the_disk_does_not_take_to_whoever_tries_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add(A, 1, 2, 3)
    await bench.add(B, 1, 2)
    refused = OSError(errno.EROFS, "Read-only file system")
    monkeypatch.setattr(bench.store, "publish", failing(refused, times=100))
    monkeypatch.setattr(bench.store, "remove_published", failing(refused, times=100))
    await bench.acts.remove_image(A, 0)
    await bench.acts.remove_image(B, 1)
    monkeypatch.undo()
    (stuck,) = [plan["migration"] for plan in bench.journal.unfinished.values() if plan["sha256"] == A]
    publish = bench.store.publish

    def fail_for_a(files: Sequence[TierFile]) -> None:
        if any(file.final.startswith(A) for file in files):
            raise refused
        publish(files)

    monkeypatch.setattr(bench.store, "publish", fail_for_a)
    again = await bench.recover()
    assert {left.sha256 for left in again.left} == {A}
    assert await bench.shown(B) == [1]
    assert list(bench.journal.unfinished) == [stuck]
    assert len(bench.staged) == 6
    monkeypatch.undo()
    again.publish()
    assert await bench.shown(A) == [2, 3]
    assert bench.staged == []
    assert bench.journal.unfinished == {}
    assert stuck in again.pop_finished()
    assert bench.events()[-2:] == ["recovery.rolled_forward", "migration.finished"]


async def test_a_purged_model_leaves_nothing_but_its_story(bench: Bench) -> None:
    await bench.add(GONE, 1, 2)
    await bench.add(A, 1)
    original = bench.store.pending_path("7.png")
    original.write_bytes(b"x")
    bench.execute("INSERT INTO refused_pictures VALUES ('7.png', ?, 'no image', 1)", GONE)
    bench.execute(
        "INSERT INTO pending_import (path, sha256, state, due_at, attempts) VALUES ('/m/x', ?, 'conflict', 9, 3)",
        GONE,
    )
    await bench.acts.purge(GONE)
    assert await bench.catalogue.model(GONE) is None
    assert await location_at(bench.catalogue, "/m/c.pt") is None
    assert await bench.shown(GONE) == []
    assert not original.exists()
    assert await bench.shown(A) == [1]
    row = await bench.catalogue.pending_by_path("/m/x")
    assert row is not None
    assert (row.state, row.due_at, row.attempts) == ("waiting", NOW, 0)
    with pytest.raises(NotFound):
        await bench.acts.purge(GONE)
    plan = next(record for record in read(bench.folder / "journal") if record.get("action") == "purged")
    assert plan["event"] == "migration.planned"
    assert isinstance(plan["model"], dict)
    assert plan["model"]["name"] == "Hero"


async def test_a_model_whose_file_is_there_or_back_is_not_purged(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="its file is there"):
        await bench.acts.purge(A)
    file = tmp_path / "back.pt"
    file.write_bytes(b"x")
    known = fingerprint_of(str(file))
    assert known is not None
    bench.execute(
        "INSERT INTO locations (path, sha256, device, inode, size_bytes, mtime_ns, state)"
        " VALUES (?, ?, ?, ?, ?, ?, 'missing')",
        *(str(file), GONE, known.device, known.inode, known.size_bytes, known.mtime_ns),
    )
    with pytest.raises(Conflict, match="is back"):
        await bench.acts.purge(GONE)
    file.write_bytes(b"other content")
    await bench.acts.purge(GONE)
    assert file.exists()
