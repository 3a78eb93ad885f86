"""Bring to an end, at a start, the changes that a stop cut short.

The journal says which were planned and not finished, the catalogue which of them committed: those are rolled forward
(their staged pictures get their names, the originals go), the others back (their staged pictures go; their rows are
still in the queue). Every step may be done twice, so a crash in the middle of a recovery changes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from modelkeep.changes.publishing import Publisher
from modelkeep.domain.migration import Committed
from modelkeep.domain.pictures import parse_picture_name
from modelkeep.domain.values import Record, TierFile


class KnowsMigrations(Protocol):
    """What recovery needs of the catalogue."""

    async def committed_migrations(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the migrations that are committed and not yet known to be finished: id and what is left to do."""

    async def pending_pictures(self) -> Collection[str]:
        """Return the base names of the pending originals that something still refers to."""

    async def named_pictures(self, names: Collection[str]) -> Collection[str]:
        """Return those of these published files that a row stands for."""

    async def forget_migrations(self, finished: Sequence[str]) -> None:
        """Drop the ids of migrations whose end is durable in the journal."""


class SweepsPictures(Protocol):
    """What recovery needs of the picture store."""

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


async def recover(
    catalogue: KnowsMigrations, pictures: SweepsPictures, journal: WritesJournal, publisher: Publisher
) -> None:
    """Bring unfinished migrations, and acts of the owner, to an end; the publisher keeps what the disk refuses now.

    Args:
        catalogue: knows which of them committed, and what was left to do (`files`, `image`, `removed`, `originals`).
        pictures: their files.
        journal: tells of them, and is told what was done.
        publisher: does what was left to do.

    Raises:
        JournalError: what was done cannot be written down.
        CatalogueError: the catalogue cannot be read or written.
    """
    unfinished = dict(journal.unfinished)
    committed = await catalogue.committed_migrations()
    wanted = await catalogue.pending_pictures()
    named = await catalogue.named_pictures({name for plan in committed.values() for name in plan.get("removed", ())})
    # One that the journal does not name is finished, or its plan is damaged: what is still staged is published. The
    # others follow in the order of their plans: of two that publish under one name the later has to win.
    unnamed = [migration for migration in committed if migration not in unfinished]
    for migration in [*unnamed, *(migration for migration in unfinished if migration in committed)]:
        publisher.add([_left(migration, committed[migration], unfinished.get(migration), wanted, named)])
    publisher.publish(gives_up_lost=True)
    _sweep(pictures, publisher.left, wanted)
    back = [plan for migration, plan in unfinished.items() if migration not in committed]
    journal.write_many([("recovery.rolled_back", _facts(plan)) for plan in back])
    if committed or back:
        # Also when nothing was written: an end that a killed daemon wrote may not be on the disk yet, and the
        # catalogue forgets the migration next.
        journal.sync()
    finished = publisher.take_finished()
    if finished:
        await catalogue.forget_migrations(sorted(finished))


def _left(
    migration: str,
    plan: Mapping[str, Any],
    known: Mapping[str, object] | None,
    wanted: Collection[str],
    named: Collection[str],
) -> Committed:
    """Return what is left to do for a committed migration, of which the journal knows this or nothing."""
    files = [TierFile(file["staged"], file["final"]) for file in plan.get("files", ())]
    # One that was finished long ago may be among the committed; a later picture has the name by now.
    removed = [name for name in plan.get("removed", ()) if name not in named]
    originals = (plan.get("image", ""), *plan.get("originals", ()))
    unwanted = [name for name in originals if name and name not in wanted]
    # The pictures of a finished one may have been replaced since: nothing is said of it.
    ending = _rolled_forward(known) if known is not None else []
    return Committed(migration, _model_of(known, plan), files, removed, unwanted, ending)


def _sweep(pictures: SweepsPictures, left: Sequence[Committed], wanted: Collection[str]) -> None:
    """Delete what belongs to no migration any more: those rolled forward have published theirs."""
    _as_far_as_possible(pictures.sweep_staging, {file.staged for item in left for file in item.files})
    _as_far_as_possible(pictures.sweep_pending, {*wanted, *(name for item in left for name in item.originals)})


def _as_far_as_possible(sweep: Callable[[Collection[str]], list[str]], keep: Collection[str]) -> None:
    """Sweep a folder; what cannot be swept now is in nobody's way, and the next start tries again."""
    with suppress(OSError):
        sweep(keep)


def _model_of(known: Mapping[str, object] | None, plan: Mapping[str, Any]) -> str:
    """Return whose pictures a migration is about: of one that the journal does not name, its files' names tell."""
    if known is not None:
        return str(known.get("sha256", ""))
    names = (*(file["final"] for file in plan.get("files", ())), *plan.get("removed", ()))
    parsed = (parse_picture_name(name) for name in names)
    return next((picture[0] for picture in parsed if picture), "")


def _rolled_forward(plan: Mapping[str, object]) -> list[Record]:
    facts = _facts(plan)
    return [
        ("recovery.rolled_forward", facts),
        ("migration.finished", facts | {"action": plan.get("action", "")}),
    ]


def _facts(plan: Mapping[str, object]) -> dict[str, object]:
    kept = {key: plan[key] for key in ("migration", "path", "sha256", "pending_id", "picture") if key in plan}
    # What the owner did by hand (it has no strategy) is not told by the row of the queue that it was about.
    return kept if "strategy" in plan else kept | {"action": plan.get("action", "")}
