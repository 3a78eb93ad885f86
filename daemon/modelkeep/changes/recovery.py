"""Bring to an end, at a start, the migrations that a stop cut short.

The journal says which were planned and not finished, the catalogue which of them committed: those are rolled forward
(their staged pictures get their names, the originals go), the others back (their staged pictures go; their rows are
still in the queue). Every step may be done twice, so a crash in the middle of a recovery changes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from modelkeep.domain.migration import Committed
from modelkeep.domain.pictures import parse_picture_name
from modelkeep.domain.values import Record, TierFile


class FinishesPictures(Protocol):
    """What recovery needs of the picture store."""

    def publish(self, files: Sequence[TierFile]) -> None:
        """Give staged files their names; done already is fine."""

    def remove_published(self, names: Sequence[str]) -> None:
        """Remove published pictures; gone already is fine."""

    def sync(self) -> None:
        """Make the names durable."""

    def remove_pending(self, name: str) -> None:
        """Remove a pending original; gone already is fine."""

    def sweep_staging(self, keep: Collection[str]) -> list[str]:
        """Delete staged files that nobody wants."""

    def sweep_pending(self, keep: Collection[str]) -> list[str]:
        """Delete pending originals that nobody wants."""


class WritesJournal(Protocol):
    """What recovery needs of the journal."""

    @property
    def unfinished(self) -> Mapping[str, dict[str, object]]:
        """The plans of the migrations that were not brought to an end."""

    def write_many(self, records: Iterable[tuple[str, Mapping[str, object]]]) -> int:
        """Append records."""

    def sync(self) -> None:
        """Make them durable."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did: ids of the migrations, names of the files; and what the disk does not take now."""

    rolled_forward: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    left: tuple[Committed, ...] = ()


def recover(
    journal: WritesJournal,
    pictures: FinishesPictures,
    committed: Mapping[str, Mapping[str, Any]],
    wanted_pictures: Collection[str],
    named_pictures: Collection[str],
) -> Recovered:
    """Bring unfinished migrations, and acts of the owner, to an end.

    Args:
        journal: tells of them, and is told what was done.
        pictures: their files.
        committed: the migrations whose transaction committed: id, and what was left to do (`files`, `image`,
            `removed`, `originals`).
        wanted_pictures: base names of the pending originals that something still refers to.
        named_pictures: those of the published files in `removed` that a row stands for again.

    Raises:
        JournalError: what was done cannot be written down.
    """
    unfinished = journal.unfinished
    finishing = _Finishing(pictures, unfinished, wanted_pictures, named_pictures)
    # One that the journal does not name is finished, or its plan is damaged: what is still staged is published. The
    # others follow in the order of their plans: of two that publish under one name the later has to win.
    unnamed = [migration for migration in committed if migration not in unfinished]
    for migration in [*unnamed, *(migration for migration in unfinished if migration in committed)]:
        finishing.finish(migration, committed[migration])
    done, left = finishing.outcome()
    back = [migration for migration in unfinished if migration not in committed]
    records = [record for item in done for record in item.ending]
    records += [("recovery.rolled_back", _facts(unfinished[migration])) for migration in back]
    # What else is staged now belongs to no migration any more: those rolled forward have published theirs.
    staged = {file.staged for item in left for file in item.files}
    originals = {*wanted_pictures, *(name for item in left for name in item.originals)}
    swept = [
        *_as_far_as_possible(pictures.sweep_staging, staged),
        *_as_far_as_possible(pictures.sweep_pending, originals),
    ]
    journal.write_many(records)
    if committed or records:
        # Also when nothing was written: an end that a killed daemon wrote may not be on the disk yet, and the
        # catalogue forgets the migration next.
        journal.sync()
    return Recovered(tuple(item.migration for item in done), tuple(back), tuple(swept), tuple(left))


class _Finishing:
    """Does what was left to do, one migration after the other, and keeps what it cannot do."""

    def __init__(
        self,
        pictures: FinishesPictures,
        unfinished: Mapping[str, Mapping[str, object]],
        wanted_pictures: Collection[str],
        named_pictures: Collection[str],
    ) -> None:
        self._pictures = pictures
        self._unfinished = unfinished
        self._wanted = wanted_pictures
        self._named = named_pictures
        self._done: list[Committed] = []
        self._left: list[Committed] = []

    def finish(self, migration: str, plan: Mapping[str, Any]) -> None:
        """Do what was left to do; what cannot be done holds back the later ones of its model."""
        item = self._item(migration, plan)
        if any(earlier.sha256 == item.sha256 for earlier in self._left):
            self._left.append(item)
            return
        item, is_published = self._published(item)
        (self._done if is_published and self._has_removed(item) else self._left).append(item)

    def outcome(self) -> tuple[list[Committed], list[Committed]]:
        """Return what is done, durably, and what is left to do."""
        if self._done:
            try:
                self._pictures.sync()
            except OSError:
                # Nobody knows what of it is on the disk: all of it is done again, in the same order.
                return [], [*self._done, *self._left]
        return self._done, self._left

    def _item(self, migration: str, plan: Mapping[str, Any]) -> Committed:
        files = tuple(TierFile(file["staged"], file["final"]) for file in plan.get("files", ()))
        # One that was finished long ago may be among the committed; a later picture has the name by now.
        removed = tuple(name for name in plan.get("removed", ()) if name not in self._named)
        originals = (plan.get("image", ""), *plan.get("originals", ()))
        unwanted = tuple(name for name in originals if name and name not in self._wanted)
        known = self._unfinished.get(migration)
        # The pictures of a finished one may have been replaced since: nothing is said of it.
        ending = tuple(_rolled_forward(known, [])) if known is not None else ()
        return Committed(migration, _model_of(known, plan), files, removed, unwanted, ending)

    def _published(self, item: Committed) -> tuple[Committed, bool]:
        """Publish; returns the item without the pictures that are lost, and whether no other is left."""
        is_published, kept, lost = True, [], []
        for file in item.files:
            try:
                self._pictures.publish([file])
            except FileNotFoundError:
                lost.append(file.final)
                continue
            except OSError:
                is_published = False
            kept.append(file)
        known = self._unfinished.get(item.migration)
        ending = tuple(_rolled_forward(known, lost)) if known is not None else ()
        return replace(item, files=tuple(kept), ending=ending), is_published

    def _has_removed(self, item: Committed) -> bool:
        try:
            self._pictures.remove_published(item.removed)
            for name in item.originals:
                self._pictures.remove_pending(name)
        except OSError:
            return False
        return True


def _as_far_as_possible(sweep: Callable[[Collection[str]], list[str]], keep: Collection[str]) -> list[str]:
    """Sweep a folder; what cannot be swept now is in nobody's way, and the next start tries again."""
    try:
        return sweep(keep)
    except OSError:
        return []


def _model_of(known: Mapping[str, object] | None, plan: Mapping[str, Any]) -> str:
    """Return whose pictures a migration is about: of one that the journal does not name, its files' names tell."""
    if known is not None:
        return str(known.get("sha256", ""))
    names = (*(file["final"] for file in plan.get("files", ())), *plan.get("removed", ()))
    parsed = (parse_picture_name(name) for name in names)
    return next((picture[0] for picture in parsed if picture), "")


def _rolled_forward(plan: Mapping[str, object], lost: list[str]) -> list[Record]:
    facts = _facts(plan)
    told = facts | {"error": f"these pictures are gone: {', '.join(lost)}"} if lost else facts
    return [
        ("recovery.rolled_forward", told),
        ("migration.finished", facts | {"action": plan.get("action", "")}),
    ]


def _facts(plan: Mapping[str, object]) -> dict[str, object]:
    kept = {key: plan[key] for key in ("migration", "path", "sha256", "pending_id", "picture") if key in plan}
    # What the owner did by hand (it has no strategy) is not told by the row of the queue that it was about.
    return kept if "strategy" in plan else kept | {"action": plan.get("action", "")}
