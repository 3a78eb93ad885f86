"""Join the stages: settle → hash → migrate, fed by the intake and by the queue in the catalogue.

`pending_import` is the queue; here is only what of it is in hand. A stop drops what is in hand, a start takes it up
again from the catalogue.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from modelkeep.domain.migration import Outcome
from modelkeep.domain.naming import Root, root_of
from modelkeep.domain.settling import Verdict, judge_asked
from modelkeep.domain.values import (
    Action,
    Fingerprint,
    Location,
    PendingImport,
    Priority,
    Strategy,
)
from modelkeep.errors import (
    Busy,
    CatalogueError,
    Conflict,
    FileChanged,
    FileVanished,
    HashCancelled,
    HashError,
    ModelkeepError,
    NotFound,
)
from modelkeep.pipeline.claims import Claims, CopiesPictures, KeepsClaims
from modelkeep.pipeline.guard import CATALOGUE, LONGEST_WAIT_SECONDS, PASSING, HearsTroubles
from modelkeep.pipeline.hash_pool import HashPool
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.intake import age_seconds
from modelkeep.pipeline.looking import fingerprint_of, look_at
from modelkeep.pipeline.migrate import Hashed, KeepsPictures, Migrated, MigratesRows, MigrateStage, WritesJournal
from modelkeep.pipeline.parking import Parking, ParksRows
from modelkeep.pipeline.publishing import Publisher
from modelkeep.pipeline.questions import Questions
from modelkeep.pipeline.refill import AWAY, IN_HAND_LOW, IN_HAND_MAX, HoldsQueue, Refill, missing, unseen
from modelkeep.pipeline.settle import Refused, SettleStage, Taken
from modelkeep.pipeline.work import Work

REASONS = {
    Verdict.NO_MODEL: "it is empty or a Git LFS pointer, not a model: download it again",
    Verdict.CUT_OFF: "it is cut off: its header promises more than the file holds; waiting for the rest of it",
    Verdict.WAIT: "somebody is still writing it: waiting until it is complete",
}


class KeepsRows(MigratesRows, HoldsQueue, ParksRows, KeepsClaims, Protocol):
    """What the runner needs of the catalogue."""

    async def pending(self, pending_id: int) -> PendingImport | None:
        """Return a row of the queue."""

    async def lose_content(self, path: str) -> list[Location]:
        """Note that what lies at a path is no longer what it was."""

    async def offer(self, files: Mapping[str, int]) -> list[tuple[PendingImport, str]]:
        """Offer files to the rows whose file is missing."""

    async def relocate(self, pending_id: int, path: str, now_ms: int) -> PendingImport:
        """Give a row the path at which its file lies now."""

    async def drop_pending(self, pending_id: int) -> None:
        """Delete a row."""

    async def locations_at(self, paths: Sequence[str]) -> dict[str, Location]:
        """Return the locations of these paths."""


class KeepsAndCopiesPictures(KeepsPictures, CopiesPictures, Protocol):
    """What the stages need of the picture store."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How the pipeline works."""

    settle_seconds: float
    retry_base_seconds: float
    strategy: Strategy


class Pipeline:
    """The stages behind the intake.

    Args:
        options: how it works.
        catalogue: the queue, and what is known.
        pictures: renders and publishes.
        journal: notes every step.
        pool: the hashing processes.
        roots: returns the configured roots.
        is_reachable: tells whether a root was there when it was last looked at.
        is_same: looks whether a root is there now, and the one that is followed.
        clock_ms: milliseconds since 1970.
        accepts_empty: tells of a path whether a file of zero bytes counts there.
        on_lost_track: has a root looked at as a whole.
        on_touched: has a file looked at again to which something happened while it was on its way.
        troubles: is told when the catalogue cannot be read or written.
        publisher: brings to its end what is committed; the stage's own when there is none that others use too.
    """

    def __init__(
        self,
        options: PipelineOptions,
        catalogue: KeepsRows,
        pictures: KeepsAndCopiesPictures,
        journal: WritesJournal,
        pool: HashPool,
        *,
        roots: Callable[[], Sequence[Root]],
        is_reachable: Callable[[Root], bool],
        is_same: Callable[[Root], bool],
        clock_ms: Callable[[], int],
        accepts_empty: Callable[[str], bool],
        on_lost_track: Callable[[str], None],
        on_touched: Callable[[str], None],
        troubles: HearsTroubles,
        publisher: Publisher | None = None,
    ) -> None:
        self._troubles = troubles
        self.options = options
        self._catalogue = catalogue
        self._journal = journal
        self._roots = roots
        self._clock_ms = clock_ms
        self._on_lost_track = on_lost_track
        self._on_touched = on_touched
        self._is_same = is_same
        self._accepts_empty = accepts_empty
        self._in_hand: dict[int, Work] = {}
        self._touched: set[int] = set()
        self._claims = Claims(catalogue, pictures, journal.note_many, roots, clock_ms)
        self._parking = Parking(
            catalogue, journal.note_many, self._let_go, clock_ms, options.retry_base_seconds, options.strategy
        )
        self._refill = Refill(
            catalogue,
            self,
            self._parking.put_off,
            roots=roots,
            is_reachable=is_reachable,
            clock_ms=clock_ms,
            troubles=troubles,
        )
        self.hashing = HashStage(pool, self._hashed, self._hash_failed, self._refill.ask)
        self.migrating = MigrateStage(catalogue, pictures, journal, clock_ms, self._migrated, publisher)
        self.settling = SettleStage(
            options.settle_seconds, time.monotonic, self._settled, self._refused, accepts_empty
        )
        self._questions = Questions(catalogue, self.hashing)

    # Running

    async def run(self) -> None:
        """Run the stages until cancelled; the migration in hand is finished then."""
        async with asyncio.TaskGroup() as tasks:
            for stage in (self.settling.run(), self.migrating.run(), self._refill.run()):
                tasks.create_task(stage)

    async def stop_hashing(self) -> None:
        """Call off what is being hashed; nothing more is fetched."""
        self._refill.resting = True
        await self.hashing.stop()

    @property
    def in_hand(self) -> Mapping[int, Work]:
        """The rows that are on their way, by id."""
        return self._in_hand

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._in_hand or self.hashing.queued or self.hashing.hashing or self.migrating.busy)

    def pause(self) -> None:
        """Begin no more background hashing; questions are still answered."""
        self.hashing.paused = self._refill.resting = True

    def resume(self) -> None:
        """Undo `pause`."""
        self.hashing.paused = self._refill.resting = False
        self.hashing.dispatch()
        self._refill.ask()

    def sweep(self) -> None:
        """Take up what is due in the queue, and try again the claims that could not be looked at."""
        self._refill.sweep()

    # What the intake and the refill hand over

    def take_up(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        """Settle rows that were found by an event (priority `NEW`), by a scan or by the sweep."""
        for row, fingerprint in rows:
            if len(self._in_hand) >= IN_HAND_MAX and row.id not in self._in_hand:
                break  # they wait in the catalogue's queue
            if self._is_beyond_settling(row.id):
                self._touched.add(row.id)
                continue
            work = Work.of_row(row, priority, self.options.strategy)
            self._in_hand[row.id] = work
            age = None if priority is Priority.NEW else age_seconds(fingerprint)
            self.settling.put(work, closed=closed, age_seconds=age)

    def confirm(self, location: Location, fingerprint: Fingerprint) -> None:
        """Hash a file whose hash is a claim."""
        work = Work(location.path, Priority.CLAIM, size_bytes=fingerprint.size_bytes, claim=location.sha256)
        self.hashing.put(work, fingerprint)

    def renamed(self, old: str, new: str) -> None:
        """Follow the rename of a file in hand."""
        if self.settling.holds(old) or self.hashing.waits(old):
            self._let_go_of_waiting(new, FileChanged("another file has taken its place"))
        for pending_id, work in self._in_hand.items():
            if work.path == old:
                self._in_hand[pending_id] = work.at(new)
                break
        self.settling.rename(old, new)
        self.hashing.rename(old, new)
        self._questions.rename(old, new)

    def gone(self, path: str) -> None:
        """Let go of a file in hand."""
        if path not in self.hashing.hashing:
            self._questions.fail(path, missing(path))
        self._let_go_of_waiting(path, missing(path))

    def lost_track(self, root: str) -> None:
        """Have a root looked at as a whole."""
        self._on_lost_track(root)

    def _is_beyond_settling(self, pending_id: int) -> bool:
        """Tell whether a row is being hashed, migrated or parked: its file is looked at again when that is done."""
        work = self._in_hand.get(pending_id)
        if work is None or self.settling.holds(work.path):
            return False
        return self.hashing.take_back(work.path) is None

    # From stage to stage

    @asynccontextmanager
    async def _letting_go(self, works: Sequence[Work]) -> AsyncIterator[None]:
        """Let go of works when the catalogue fails: they are in its queue, and taken up again from there."""
        try:
            yield
        except PASSING as error:
            self._troubles.report(CATALOGUE, error)
            for work in works:
                self._let_go(work, error if isinstance(error, ModelkeepError) else CatalogueError(str(error)))
            asyncio.get_running_loop().call_later(LONGEST_WAIT_SECONDS, self._refill.ask)
        else:
            self._troubles.clear(CATALOGUE)

    async def _settled(self, taken: Taken) -> None:
        async with self._letting_go([work for work, _ in taken]):
            await self._send_on(taken)

    async def _send_on(self, taken: Taken) -> None:
        known = await self._catalogue.locations_at([work.path for work, _ in taken])
        self._journal.note_many(
            [("file.settled", {"path": work.path, "pending_id": work.pending_id}) for work, _ in taken]
        )
        for work, fingerprint in taken:
            place = known.get(work.path)
            if place is not None and not place.claimed and fingerprint.same_file_at_same_path(place.fingerprint):
                self.migrating.put(Hashed(work, place.sha256, fingerprint))
            else:
                self.hashing.put(work, fingerprint)

    async def _refused(self, refused: list[Refused]) -> None:
        async with self._letting_go([work for work, _, _ in refused]):
            await self._turn_away(refused)

    async def _turn_away(self, refused: list[Refused]) -> None:
        for work, verdict, _ in refused:
            if verdict is None:
                status = await asyncio.to_thread(fingerprint_of, work.path)
                unreadable = HashError("it may not be read by the daemon's user: check its rights")
                await self._parking.park(work, unseen(work.path) if status is None else unreadable)
            elif verdict is Verdict.NO_MODEL and await self._knows_nothing(work):
                await self._catalogue.drop_pending(work.pending_id)
                self._let_go(work, HashError(REASONS[verdict]))
            else:
                await self._parking.park(work, HashError(REASONS[verdict]))
                await self._tell_replaced(work)

    async def _tell_replaced(self, work: Work) -> None:
        """Note that a file which is no whole model is not the one either that was at its path."""
        cause = "it is being replaced, and not whole yet"
        for place in await self._catalogue.lose_content(work.path):
            self._journal.note_many([("file.missing", {"path": place.path, "sha256": place.sha256, "cause": cause})])

    async def _knows_nothing(self, work: Work) -> bool:
        """Tell whether a row still knows nothing but its path: an import may have described it meanwhile."""
        row = await self._catalogue.pending(work.pending_id)
        return row is not None and row.knows_nothing

    async def _hashed(self, work: Work, digest: Digest, seconds: float) -> None:
        self._questions.answer(work.path, digest)
        size_bytes = digest.fingerprint.size_bytes
        fields: dict[str, object] = {
            "path": work.path,
            "sha256": digest.sha256,
            "bytes": size_bytes,
            "seconds": round(seconds, 6),
        }
        if work.pending_id:
            fields["pending_id"] = work.pending_id
        self._journal.note_many([("hash.finished", fields)])
        if work.claim:
            async with self._letting_go([work]):
                row = await self._claims.judge(work, digest)
                if row is not None:
                    own = Work.of_row(row, Priority.CLAIM, self.options.strategy)
                    self._in_hand[row.id] = own
                    self.migrating.put(Hashed(own, digest.sha256, digest.fingerprint))
        if work.pending_id:
            current = self._in_hand.get(work.pending_id, work)  # it may have been renamed while it was read
            self.migrating.put(Hashed(current, digest.sha256, digest.fingerprint))

    async def _hash_failed(self, work: Work, error: HashError) -> None:
        self._questions.fail(work.path, error)
        if isinstance(error, HashCancelled):
            self._let_go(work, error)
        elif isinstance(error, FileChanged) and work.pending_id:
            self.settling.put(self._in_hand.get(work.pending_id, work), closed=False)
        elif work.claim and not isinstance(error, FileVanished):
            # It stays a claim, and is tried again with the next sweep.
            self._journal.note_many([("hash.failed", {"path": work.path, "sha256": work.claim, "error": str(error)})])
        else:
            async with self._letting_go([work]):
                if isinstance(error, FileVanished) and work.pending_id:
                    await self._vanished(self._in_hand.get(work.pending_id, work), error)
                else:
                    await self._parking.park(work, error)

    async def _vanished(self, work: Work, error: HashError) -> None:
        """Park a row whose file is gone; it may be its root that is, and both may be back by now."""
        root = root_of(work.path, self._roots())
        if root is not None and not await asyncio.to_thread(self._is_same, root):
            await self._parking.park(work, HashError(AWAY.format(root=root.path)))
        elif await asyncio.to_thread(fingerprint_of, work.path) is not None:
            self.settling.put(work, closed=False)
        else:
            await self._parking.park(work, error)

    async def _migrated(self, done: list[Migrated]) -> None:
        for item in done:
            outcome = item.result.outcome
            work = item.hashed.work
            async with self._letting_go([work]):
                if outcome in (Outcome.MOVED, Outcome.NEEDS_PICTURE):
                    await self._again(work)
                elif outcome is Outcome.FAILED:
                    await self._parking.park(work, HashError(item.result.error), event="migration.failed")
                else:
                    if outcome is Outcome.GONE:  # another turn has migrated the row, perhaps an earlier content
                        self._touched.add(work.pending_id)
                    self._leave(work.pending_id)
                    _answer(item)
        if len(self._in_hand) < IN_HAND_LOW:
            self._refill.ask()
        async with self._letting_go([]):
            await self._offer(done)

    async def _offer(self, done: Sequence[Migrated]) -> None:
        """Offer files that nobody knew to the rows whose file is missing: perhaps they were renamed."""
        new = {
            item.result.order.path: item.result.order.fingerprint.size_bytes
            for item in done
            if item.hashed.work.knows_nothing and item.result.outcome is Outcome.DONE
        }
        offered = await self._catalogue.offer(new) if new else []
        self._journal.note_many(
            [
                (
                    "pending.offered",
                    {"path": row.path, "pending_id": row.id, "offered": path, "cause": "same name and size"},
                )
                for row, path in offered
            ]
        )

    async def _again(self, work: Work) -> None:
        """Look at a file anew: its row or itself changed while it was on its way."""
        row = await self._catalogue.pending(work.pending_id)
        if row is None:
            self._let_go(work, NotFound("the row is no longer in the queue"))
            return
        fresh = replace(work, path=row.path, picture=row.image)
        self._in_hand[row.id] = fresh
        self.settling.put(fresh, closed=False)

    def _let_go(self, work: Work, error: ModelkeepError) -> None:
        self._leave(work.pending_id)
        work.fail(error)

    def _let_go_of_waiting(self, path: str, error: HashError) -> None:
        """Let go of a file that waits to be settled or hashed; what became of its row is looked at."""
        queued = self.hashing.take_back(path)
        for work in (self.settling.forget(path), queued[0] if queued else None):
            if work is not None:
                if isinstance(error, FileChanged):
                    self._touched.add(work.pending_id)
                self._let_go(work, error)

    def _leave(self, pending_id: int) -> None:
        """Have a row in hand no more."""
        work = self._in_hand.pop(pending_id, None)
        if pending_id in self._touched:
            self._touched.discard(pending_id)
            if work is not None:
                self._on_touched(work.path)

    # Questions

    async def digest(self, path: str) -> Digest:
        """Return the digest of a file, at once when its fingerprint is known, else hashed before all else.

        Raises:
            HashError: it cannot be hashed now, with the reason.
        """
        return await self._questions.digest(path)

    async def migrate_now(self, pending_id: int, strategy: Strategy | None, path: str = "") -> tuple[str, Action]:
        """Migrate a row before all else.

        Args:
            pending_id: the row.
            strategy: what to do when its content is known; None for the configured one.
            path: where its file lies now, when that is not where the row says.

        Raises:
            NotFound: there is no such row.
            Busy: it is being hashed or migrated at this moment.
            Conflict: the content is in the catalogue and the two differ.
            HashError: its file cannot be hashed now, with the reason.
        """
        joined = self._join(pending_id) if strategy is None and not path else None
        if joined is not None:
            return await asyncio.shield(joined)  # others may wait for it too
        row = await self._row_taken_back(pending_id)
        if path and path != row.path:
            old, row = row.path, await self._catalogue.relocate(pending_id, path, self._clock_ms())
            fields = {"path": path, "old_path": old, "pending_id": pending_id, "cause": "said by the owner"}
            self._journal.note_many([("file.moved", fields)])
        asked: asyncio.Future[tuple[str, Action]] = asyncio.get_running_loop().create_future()
        work = Work.of_row(row, Priority.INTERACTIVE, strategy or self.options.strategy)
        self._in_hand[row.id] = work = replace(work, migration_asked=asked)
        try:
            await self._require_model(row.path)
            digest = await self._questions.digest(row.path)
        except HashError as error:
            await self._parking.park(replace(work, migration_asked=None), error)
            raise
        except BaseException:
            self._leave(row.id)  # whoever asked has gone
            raise
        self.migrating.put(Hashed(work, digest.sha256, digest.fingerprint))
        return await asked

    async def _require_model(self, path: str) -> None:
        """Raise HashError for a file that is no model, or not yet: that somebody asks for it changes nothing."""
        look = await asyncio.to_thread(look_at, path)
        verdict = judge_asked(look) if look is not None else Verdict.TAKE  # the reading tells what is wrong then
        if verdict is not Verdict.TAKE and not (verdict is Verdict.NO_MODEL and self._accepts_empty(path)):
            raise HashError(REASONS[verdict])

    def _join(self, pending_id: int) -> asyncio.Future[tuple[str, Action]] | None:
        """Wait with a row that is being hashed, when it will be migrated in the way that is asked for."""
        work = self._in_hand.get(pending_id)
        if work is None or work.path not in self.hashing.hashing or work.strategy is not self.options.strategy:
            return None
        if work.migration_asked is None:
            asked: asyncio.Future[tuple[str, Action]] = asyncio.get_running_loop().create_future()
            self._in_hand[pending_id] = work = replace(work, migration_asked=asked)
        return work.migration_asked

    async def drop(self, pending_id: int) -> PendingImport:
        """Delete a row of the queue; returns what it was.

        Raises:
            NotFound: there is no such row.
            Busy: it is being hashed or migrated at this moment.
        """
        row = await self._row_taken_back(pending_id)
        await self._catalogue.drop_pending(pending_id)
        return row

    async def _row_taken_back(self, pending_id: int) -> PendingImport:
        """Return a row after taking it out of the stages in which it only waits."""
        row = await self._catalogue.pending(pending_id)
        if row is None:
            raise NotFound(f"there is no row {pending_id} in the queue")
        held = self._in_hand.get(pending_id)
        if held is not None:
            queued = self.hashing.take_back(held.path)
            if queued is not None:
                self._questions.ask_again(held.path, queued[1])
            elif self.settling.forget(held.path) is None:
                raise Busy(
                    f"row {pending_id} is being hashed or migrated at this moment: try again when that is done"
                )
            self._in_hand.pop(pending_id, None)
        return row


def _answer(item: Migrated) -> None:
    """Tell whoever waits what became of a row."""
    asked, result = item.hashed.work.migration_asked, item.result
    if asked is None or asked.done():
        return
    if result.decision is None:
        asked.set_exception(NotFound("the row is no longer in the queue"))
    elif result.decision.action is Action.CONFLICTED:
        sentence = "the same content is in the catalogue and the two differ: choose a strategy"
        asked.set_exception(Conflict(sentence))
    else:
        asked.set_result((result.order.sha256, result.decision.action))
