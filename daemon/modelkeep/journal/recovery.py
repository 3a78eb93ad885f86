"""Bring to an end, at a start, the migrations that a stop cut short.

The journal says which were planned and not finished, the catalogue which of them committed: those are rolled forward
(their staged pictures get their names, the originals go), the others back (their staged pictures go; their rows are
still in the queue). Every step may be done twice, so a crash in the middle of a recovery changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelkeep.domain.values import TierFile

Record = tuple[str, Mapping[str, object]]


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
    """What a recovery did: ids of the migrations, names of the files."""

    rolled_forward: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()


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
    """
    unfinished = journal.unfinished
    records: list[Record] = []
    # One that the journal does not name is finished, or its plan is damaged: what is still staged is published. The
    # others follow in the order of their plans: of two that publish under one name the later has to win.
    unnamed = [migration for migration in committed if migration not in unfinished]
    for migration in [*unnamed, *(migration for migration in unfinished if migration in committed)]:
        lost = _finish(committed[migration], pictures, wanted_pictures, named_pictures)
        if migration in unfinished:  # the pictures of a finished one may have been replaced since
            records += _rolled_forward(unfinished[migration], lost)
    back = [migration for migration in unfinished if migration not in committed]
    records += [("recovery.rolled_back", _facts(unfinished[migration])) for migration in back]
    if committed:
        pictures.sync()
    # What is staged now belongs to no migration any more: those rolled forward have published theirs.
    swept = [*pictures.sweep_staging(()), *pictures.sweep_pending(wanted_pictures)]
    journal.write_many(records)
    if committed or records:
        # Also when nothing was written: an end that a killed daemon wrote may not be on the disk yet, and the
        # catalogue forgets the migration next.
        journal.sync()
    return Recovered(tuple(committed), tuple(back), tuple(swept))


def _finish(
    left: Mapping[str, Any],
    pictures: FinishesPictures,
    wanted_pictures: Collection[str],
    named_pictures: Collection[str],
) -> list[str]:
    """Do what was left to do; returns the pictures that are neither staged nor published any more."""
    lost = []
    for file in left.get("files", ()):
        try:
            pictures.publish([TierFile(file["staged"], file["final"])])
        except FileNotFoundError:
            lost.append(file["final"])
    # One that was finished long ago may be among the committed; a later picture has the name by now.
    pictures.remove_published([name for name in left.get("removed", ()) if name not in named_pictures])
    for image in (left.get("image", ""), *left.get("originals", ())):
        if image and image not in wanted_pictures:
            pictures.remove_pending(image)
    return lost


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
