"""Let what is known of a path go with its file to another; many at a time, as a transaction waits for the disk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelkeep.disk.files import fingerprints_of
from modelkeep.domain.detection import Moved, Rename, between
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, Record
from modelkeep.watch.context import Concerned, Context

RENAMES_MAX = 500
"""Renames written in one transaction: others want to write too."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A file that got another path.

    `status` is what lies there now. Nothing may: what became of it is told by a later event, which knows the file by
    this name. `before` is what was known of its old path; `is_replaced` says that another file lies there,
    `is_doubtful` that more than the rename may have happened to the file.
    """

    old: str
    new: str
    status: Fingerprint | None
    before: Location | None
    is_replaced: bool = False
    is_doubtful: bool = False

    def as_rename(self) -> Rename:
        """Return what the catalogue is told."""
        expected = self.before.sha256 if self.before else ""
        known = self.before.fingerprint if self.before else None
        rename = Rename(self.old, self.new, expected, self.is_replaced, known=known)
        if known is None or self.status is None or not self.status.same_file_at_same_path(known):
            return rename
        if self.before is not None and self.before.claimed:  # it waits to be read anyway
            return replace(rename, seen=self.status)
        is_surely_it = self.status.is_untouched_since(known) or self.status.is_surely_born_with(known)
        return replace(rename, seen=self.status, is_doubtful=self.is_doubtful or not is_surely_it)


@dataclass(slots=True)
class Aftermath:
    """What renames leave to be looked at.

    `concerned` are known files to which that happened, `followed` the paths of what went
    along, `absent` those at which nothing lies, `changed` those with other content than before. Of `unknown` nothing
    was known; something else may have been known by then of `left`, from where they came, and stayed.
    """

    concerned: Concerned = field(default_factory=Concerned)
    followed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    changed: dict[str, Fingerprint] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class Renames:
    """Follows renames.

    Args:
        context: what is known, who is told, and how one looks.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def exchange(self, one: str, other: str) -> bool:
        """Let what is known of two files change places; returns whether they did, and were not renamed to and fro."""
        there = await self._context.looks.found(fingerprints_of, [one, other])
        known = await self._context.catalogue.locations_at([one, other])
        if len(there) < 2 or any(is_in_place(known.get(path), there.get(path)) for path in (one, other)):
            return False
        came_from = {one: other, other: one}
        renames = [
            # Whatever the catalogue knows by then changes places; where else it lies than was seen is looked at next.
            replace(Followed(old, new, there[at], known.get(came_from[at])).as_rename(), expected_sha256=None)
            for old, new, at in ((other, between(one), one), (one, other, other), (between(one), one, one))
        ]
        back, moved, _ = await self._context.catalogue.move_paths(renames, self._context.clock_ms())
        self._tell_doubtful(renames)
        for rename in renames:
            if rename.seen is not None and rename.new in there:
                self._context.disk.trust(rename.new)
        both = [moved, replace(back, new=one)]
        self._context.line.exchanged(both)
        self.record(each for each in both if each.sha256 or each.pending_id)
        return True

    async def follow(self, files: Sequence[Followed], before: Iterable[Location] = ()) -> Aftermath:
        """Give what is known of paths to others, in this order.

        Args:
            files: what got another path.
            before: the locations of the new paths, and of the old ones.
        """
        moved: list[Moved] = []
        for start in range(0, len(files), RENAMES_MAX):
            moved += await self._move(files[start : start + RENAMES_MAX])
        concerned = [move for move in moved if move.sha256 or move.pending_id]
        self.record(concerned)
        status_by_path = {file.new: file.status for file in files}
        return Aftermath(
            self._context.concerned_by(before),
            [path for move in concerned for path in (move.old, move.new)],
            [move.new for move in concerned if status_by_path[move.new] is None],
            await self._changed(concerned, status_by_path),
            [move.new for move in moved if not (move.sha256 or move.pending_id)],
            [move.old for move in moved if not move.sha256],
        )

    async def _move(self, files: Sequence[Followed]) -> list[Moved]:
        renames = [file.as_rename() for file in files]
        moved = await self._context.catalogue.move_paths(renames, self._context.clock_ms())
        self._tell_doubtful(renames)
        for rename, move in zip(renames, moved, strict=True):
            is_followed = move.sha256 or move.pending_id or not rename.expected_sha256
            if rename.seen is not None:
                self._context.disk.trust(rename.new)
            if is_followed and not rename.is_replaced:
                self._context.line.renamed(move)
        return moved

    def _tell_doubtful(self, renames: Iterable[Rename]) -> None:
        self._context.line.doubted([rename.new for rename in renames if rename.is_doubtful])

    async def _changed(
        self, moved: Sequence[Moved], status_by_path: Mapping[str, Fingerprint | None]
    ) -> dict[str, Fingerprint]:
        """Return what has to be hashed at the new paths of known files."""
        paths = [move.new for move in moved]
        known = await self._context.catalogue.locations_at(paths) if moved else {}
        # Rows that were put off because their files were gone hear of them again.
        put_off = await self._context.catalogue.put_off_at(paths) if moved else set()
        changed: dict[str, Fingerprint] = {}
        for move in moved:
            status = status_by_path[move.new]
            has_row = move.pending_id or move.new in put_off
            if status and (has_row or not is_in_place(known.get(move.new), status)):
                changed[move.new] = status
        return changed

    def record(self, moves: Iterable[Moved]) -> None:
        """Write into the journal what got another path."""
        records: list[Record] = []
        for move in moves:
            fields: dict[str, object] = {"path": move.new, "old_path": move.old, "cause": "renamed"}
            if move.sha256:
                fields["sha256"] = move.sha256
            if move.pending_id:
                fields["pending_id"] = move.pending_id
            records.append(("file.moved", fields))
            if move.displaced:
                cause = f"replaced by {move.old.rpartition('/')[2]}"
                records.append(("file.changed", {"path": move.new, "sha256": move.displaced, "cause": cause}))
        if records:
            self._context.record(records)


def is_in_place(known: Location | None, found: Fingerprint | None) -> bool:
    """Return whether what lies at a path is the file that is known, which may have been touched since."""
    return known is not None and found is not None and found.same_file_at_same_path(known.fingerprint)
