"""Bring to an end, at a start, the migrations that a stop cut short.

The journal says which were planned and not finished, the catalogue which of them committed: those are rolled forward
(their staged pictures get their names, the originals go), the others back (their staged pictures go; their rows are
still in the queue). Every step may be done twice, so a crash in the middle of a recovery changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelkeep.domain.values import TierFile


class FinishesPictures(Protocol):
    """What recovery needs of the picture store."""

    def publish(self, files: Sequence[TierFile]) -> None:
        """Give staged files their names; done already is fine."""

    def sync(self) -> None:
        """Make the names durable."""

    def remove_pending(self, name: str) -> None:
        """Remove a pending original; gone already is fine."""

    def sweep_staging(self, keep: Collection[str]) -> list[str]:
        """Delete staged files that nobody wants."""


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
    journal: WritesJournal, pictures: FinishesPictures, committed: Collection[str], wanted_pictures: Collection[str]
) -> Recovered:
    """Bring unfinished migrations to an end.

    Args:
        journal: tells of them, and is told what was done.
        pictures: their files.
        committed: ids of the migrations whose transaction committed.
        wanted_pictures: base names of the pending originals that something still refers to.
    """
    forward: list[str] = []
    back: list[str] = []
    records: list[tuple[str, Mapping[str, object]]] = []
    for migration, plan in journal.unfinished.items():
        facts = _facts(plan)
        if migration in committed:
            _finish(plan, pictures, wanted_pictures)
            forward.append(migration)
            records += [
                ("recovery.rolled_forward", facts),
                ("migration.finished", facts | {"action": plan.get("action", "")}),
            ]
        else:
            back.append(migration)
            records.append(("recovery.rolled_back", facts))
    if forward:
        pictures.sync()
    # What is staged now belongs to no migration any more: those rolled forward have published theirs.
    swept = pictures.sweep_staging(())
    if records:
        journal.write_many(records)
        journal.sync()
    return Recovered(tuple(forward), tuple(back), tuple(swept))


def _finish(plan: Mapping[str, object], pictures: FinishesPictures, wanted_pictures: Collection[str]) -> None:
    files = plan.get("files")
    if isinstance(files, list):
        pictures.publish([TierFile(file["staged"], file["final"]) for file in files])
    pending = plan.get("pending")
    image = pending.get("image") if isinstance(pending, Mapping) else None
    if isinstance(image, str) and image and image not in wanted_pictures:
        pictures.remove_pending(image)


def _facts(plan: Mapping[str, object]) -> dict[str, object]:
    return {key: plan[key] for key in ("migration", "path", "sha256", "pending_id") if key in plan}
