"""Let what is known of a path go with its file to another; many at a time, as a transaction waits for the disk."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.detection import Moved, Rename, between
from modelkeep.domain.events import FileMoved
from modelkeep.domain.values import Fingerprint, Location, Priority, Record
from modelkeep.watch.line import Line
from modelkeep.watch.touched import Disk

RENAMES_MAX = 500
"""Renames written in one transaction: others want to write too."""


class Looks(Protocol):
    """What is needed of the intake."""

    async def look_at(self, closed_by_path: Mapping[str, bool]) -> None:
        """Take in files to which something happened."""

    async def look_beside(self, concerned: Collection[Fingerprint], looked_at: Collection[str]) -> None:
        """Look at the links to files."""

    async def detect(self, files: Mapping[str, Fingerprint], priority: Priority, *, closed: bool, cause: str) -> None:
        """Queue files that have to be hashed."""

    async def note_absent(self, paths: Sequence[str]) -> None:
        """Note that files are gone."""


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
        if known is None or self.status is None or not self.status.same_file_at_same_path(known):
            return Rename(self.old, self.new, expected, self.is_replaced)
        if self.before is not None and self.before.claimed:  # it waits to be read anyway
            return Rename(self.old, self.new, expected, self.is_replaced, self.status)
        is_surely_it = self.status.is_untouched_since(known) or self.status.is_surely_born_with(known)
        is_doubtful = self.is_doubtful or not is_surely_it
        return Rename(self.old, self.new, expected, self.is_replaced, self.status, is_doubtful)


class Renames:
    """Line renames.

    Args:
        catalogue: is told.
        line: has files in hand that are renamed.
        note: appends records to the journal.
        clock_ms: milliseconds since 1970.
        intake: looks at what the renames leave open.
        disk: tells what else happened to files.
        looks: looks at paths.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        line: Line,
        note: Callable[[Sequence[Record]], object],
        clock_ms: Callable[[], int],
        intake: Looks,
        disk: Disk,
        looks: DiskLooks,
    ) -> None:
        self._looks = looks
        self._catalogue = catalogue
        self._line = line
        self._note = note
        self._clock_ms = clock_ms
        self._intake = intake
        self._disk = disk

    async def apply(self, moves: Sequence[tuple[str, str]]) -> None:
        """Follow renames that events tell of; no path may be in two of them."""
        paths = [path for move in moves for path in move]
        there = await self._looks.found(fingerprints_of, paths)
        known = await self._catalogue.locations_at(paths)
        # Some tell of an earlier file: events of different roots do not come in their order.
        late = {old: new for old, new in moves if _is_still_there(old, there, known)}
        await self._intake.look_at(dict.fromkeys([*late, *late.values()], True))
        # Of an exchange the second half may come too late to be seen with the first: the two files tell of it.
        exchanged = {old for old, new in moves if self._have_exchanged(old, new, there, known)}
        exchanged = {old for old, new in moves if old in exchanged and await self.exchange(old, new)}
        rest = [(old, new) for old, new in moves if old not in late and old not in exchanged]
        await self.follow(
            [self._followed(old, new, there.get(new), known.get(old)) for old, new in rest],
            [known[path] for move in rest for path in move if path in known],
        )
        # Another file may have taken the place of one.
        await self._intake.look_at({old: True for old, _ in rest if old in there})

    def _have_exchanged(
        self, one: str, other: str, there: Mapping[str, Fingerprint], known: Mapping[str, Location]
    ) -> bool:
        """Tell whether of two known files each lies where the other did, and nobody wrote to them since."""
        is_written = any(self._disk.was_written(path) for path in (one, other))
        return not is_written and _lies_at(one, known.get(other), there) and _lies_at(other, known.get(one), there)

    def _followed(self, old: str, new: str, status: Fingerprint | None, before: Location | None) -> Followed:
        is_doubtful = before is not None and before.doubted
        is_doubtful |= any(self._disk.was_written(path) for path in (old, new))
        return Followed(old, new, status, before, is_doubtful=is_doubtful)

    async def exchange(self, one: str, other: str) -> bool:
        """Let what is known of two files change places; tells whether they did, and were not renamed to and fro."""
        there = await self._looks.found(fingerprints_of, [one, other])
        known = await self._catalogue.locations_at([one, other])
        if len(there) < 2 or _is_still_there(one, there, known) or _is_still_there(other, there, known):
            return False
        steps = [(other, between(one), one), (one, other, other), (between(one), one, one)]
        renames = [Rename(old, new, seen=there[at]) for old, new, at in steps]
        back, moved, _ = await self._catalogue.move_paths(renames, self._clock_ms())
        for path in (one, other):
            self._disk.trust(path)
        both = [moved, replace(back, new=one)]
        self._line.exchanged(both)
        self.tell(each for each in both if each.sha256 or each.pending_id)
        return True

    async def follow(self, files: Sequence[Followed], before: Iterable[Location] = ()) -> None:
        """Give what is known of paths to others, in this order.

        Args:
            files: what got another path.
            before: the locations of the new paths, and of the old ones.
        """
        moved: list[Moved] = []
        for start in range(0, len(files), RENAMES_MAX):
            moved += await self._move(files[start : start + RENAMES_MAX])
        concerned = [move for move in moved if move.sha256 or move.pending_id]
        self.tell(concerned)
        fingerprints = {place.fingerprint for place in before if place.fingerprint}
        await self._intake.look_beside(fingerprints, [path for move in concerned for path in (move.old, move.new)])
        await self._arrived(concerned, {file.new: file.status for file in files})
        await self._intake.look_at({move.new: True for move in moved if not (move.sha256 or move.pending_id)})

    async def _move(self, files: Sequence[Followed]) -> list[Moved]:
        renames = [file.as_rename() for file in files]
        moved = await self._catalogue.move_paths(renames, self._clock_ms())
        doubtful = [rename.new for rename in renames if rename.is_doubtful]
        if doubtful:
            self._line.doubted(doubtful)
        for rename, move in zip(renames, moved, strict=True):
            is_followed = move.sha256 or move.pending_id or not rename.expected_sha256
            if rename.seen is not None:
                self._disk.trust(rename.new)
            if is_followed and not rename.is_replaced:
                self._line.renamed(move)
        return moved

    async def _arrived(self, moved: Sequence[Moved], status_by_path: Mapping[str, Fingerprint | None]) -> None:
        """Look at known files at their new paths."""
        known = await self._catalogue.locations_at([move.new for move in moved]) if moved else {}
        changed: dict[str, Fingerprint] = {}
        for move in moved:
            status, place = status_by_path[move.new], known.get(move.new)
            is_known = status and place is not None and status.same_file_at_same_path(place.fingerprint)
            # A row that was put off because its file was gone hears of it again.
            if status and (move.pending_id or not is_known):
                changed[move.new] = status
        await self._intake.note_absent([move.new for move in moved if status_by_path[move.new] is None])
        await self._intake.detect(changed, Priority.NEW, closed=True, cause="changed while it was moved")

    def tell(self, moves: Iterable[Moved]) -> None:
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
            self._note(records)


def apart(moves: Iterable[FileMoved]) -> list[list[FileMoved]]:
    """Divide renames, in their order, such that no path is in two of one part."""
    parts: list[list[FileMoved]] = [[]]
    paths: set[str] = set()
    for move in moves:
        if not paths.isdisjoint((move.old, move.new)) or len(parts[-1]) == RENAMES_MAX:
            parts.append([])
            paths = set()
        parts[-1].append(move)
        paths |= {move.old, move.new}
    return parts


def exchanges(moves: Sequence[FileMoved]) -> Iterator[tuple[FileMoved, bool]]:
    """Tell of each rename whether it may be half of an exchange; the other half, which follows it, is left out."""
    waiting = list(reversed(moves))
    while waiting:
        move = waiting.pop()
        is_half = bool(waiting) and (waiting[-1].old, waiting[-1].new) == (move.new, move.old)
        if is_half:
            waiting.pop()
        yield move, is_half


def _is_still_there(path: str, there: Mapping[str, Fingerprint], known: Mapping[str, Location]) -> bool:
    return _lies_at(path, known.get(path), there)


def _lies_at(path: str, known: Location | None, there: Mapping[str, Fingerprint]) -> bool:
    """Tell whether a known file lies at a path."""
    return known is not None and path in there and there[path].same_file_at_same_path(known.fingerprint)
