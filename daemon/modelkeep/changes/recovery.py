"""Bring to an end, at a start, the changes that a stop cut short.

The journal says which were planned and not finished, the catalogue which of them committed: those are rolled forward
(their staged images get their names, the originals go), the others back (their staged images go; their rows are
still in the queue). Every step may be done twice, so a crash in the middle of a recovery changes nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.publishing import Publisher
from modelkeep.domain.images import parse_image_name
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import Record, TierFile
from modelkeep.images.store import ImageStore
from modelkeep.journal.keeper import JournalKeeper


async def recover(catalogue: Catalogue, images: ImageStore, journal: JournalKeeper, publisher: Publisher) -> None:
    """Bring unfinished migrations, and acts of the owner, to an end; the publisher keeps what the disk refuses now.

    Args:
        catalogue: knows which of them committed, and what was left to do (`files`, `image`, `removed`, `originals`).
        images: their files.
        journal: tells of them, and is told what was done.
        publisher: does what was left to do.

    Raises:
        JournalError: what was done cannot be written down.
        CatalogueError: the catalogue cannot be read or written.
    """
    unfinished = dict(journal.unfinished)
    committed = await catalogue.committed_migrations()
    wanted = await catalogue.pending_images()
    named = await catalogue.named_images({name for plan in committed.values() for name in plan.get("removed", ())})
    # One that the journal does not name is finished, or its plan is damaged: what is still staged is published. The
    # others follow in the order of their plans: of two that publish under one name the later has to win.
    unnamed = [migration for migration in committed if migration not in unfinished]
    for migration in [*unnamed, *(migration for migration in unfinished if migration in committed)]:
        publisher.add([_left(migration, committed[migration], unfinished.get(migration), wanted, named)])
    publisher.publish(gives_up_lost=True)
    _sweep(images, publisher.left, wanted)
    back = [plan for migration, plan in unfinished.items() if migration not in committed]
    journal.write_many([("recovery.rolled_back", _facts(plan)) for plan in back])
    if committed or back:
        # Also when nothing was written: an end that a killed daemon wrote may not be on the disk yet, and the
        # catalogue forgets the migration next.
        journal.sync()
    finished = publisher.pop_finished()
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
    # One that was finished long ago may be among the committed; a later image has the name by now.
    removed = [name for name in plan.get("removed", ()) if name not in named]
    originals = (plan.get("image", ""), *plan.get("originals", ()))
    unwanted = [name for name in originals if name and name not in wanted]
    # The images of a finished one may have been replaced since: nothing is said of it.
    ending = _rolled_forward(known) if known is not None else []
    return Committed(migration, _model_of(known, plan), files, removed, unwanted, ending)


def _sweep(images: ImageStore, left: Sequence[Committed], wanted: Collection[str]) -> None:
    """Delete what belongs to no migration any more: those rolled forward have published theirs."""
    _as_far_as_possible(images.sweep_staging, {file.staged for item in left for file in item.files})
    _as_far_as_possible(images.sweep_pending, {*wanted, *(name for item in left for name in item.originals)})


def _as_far_as_possible(sweep: Callable[[Collection[str]], list[str]], keep: Collection[str]) -> None:
    """Sweep a folder; what cannot be swept now is in nobody's way, and the next start tries again."""
    with suppress(OSError):
        sweep(keep)


def _model_of(known: Mapping[str, object] | None, plan: Mapping[str, Any]) -> str:
    """Return whose images a migration is about: of one that the journal does not name, its files' names tell."""
    if known is not None:
        return str(known.get("sha256", ""))
    names = (*(file["final"] for file in plan.get("files", ())), *plan.get("removed", ()))
    parsed = (parse_image_name(name) for name in names)
    return next((image[0] for image in parsed if image), "")


def _rolled_forward(plan: Mapping[str, object]) -> list[Record]:
    facts = _facts(plan)
    return [
        ("recovery.rolled_forward", facts),
        ("migration.finished", facts | {"action": plan.get("action", "")}),
    ]


def _facts(plan: Mapping[str, object]) -> dict[str, object]:
    kept = {key: plan[key] for key in _KEPT if key in plan}
    # What the owner did by hand (it has no strategy) is not told by the row of the queue that it was about.
    return kept if "strategy" in plan else kept | {"action": plan.get("action", "")}


_KEPT = ("migration", "path", "sha256", "pending_id", "image", "names")
