"""Follow the renames of files that events tell of, in their order, and tell exchanges from them.

The kernel tells an exchange of two files (`RENAME_EXCHANGE`) as two renames, of which the second may come late.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from modelkeep.disk.files import fingerprints_of
from modelkeep.domain.events import FileMoved
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location
from modelkeep.watch.context import Context
from modelkeep.watch.renames import RENAMES_MAX, Followed, Renames, is_in_place
from modelkeep.watch.sightings import Sightings

EXCHANGE_SECONDS = 2.0
"""How soon the second half of an exchange of files follows the first, on a machine however busy."""


class FileMoves:
    """Follows renames of files.

    Args:
        context: what is known, who is told, and how one looks.
        sightings: takes in what the renames leave to be looked at.
        renames: gives what is known to other paths.
    """

    def __init__(self, context: Context, sightings: Sightings, renames: Renames) -> None:
        self._context = context
        self._sightings = sightings
        self._renames = renames
        self._last: tuple[FileMoved, float] | None = None

    async def follow(self, moves: Sequence[FileMoved], appeared: Collection[str]) -> None:
        """Follow renames in their order.

        Args:
            moves: came together.
            appeared: paths of which other events tell that something happened to a file there.
        """
        waiting: list[FileMoved] = []
        if moves and await self._completes_exchange(moves[0], appeared):
            moves = moves[1:]
        self._last = (moves[-1], time.monotonic()) if moves else None
        for move, is_exchange in exchanges(moves):
            waiting.append(move)
            if is_exchange:  # it is told as two renames also when it is none
                await self._follow_apart(waiting[:-1])
                waiting = await self._exchanged(move, appeared)
        await self._follow_apart(waiting)

    async def _completes_exchange(self, move: FileMoved, appeared: Collection[str]) -> bool:
        """Tell, and follow, that a rename is the second half of an exchange whose first half came before it alone."""
        first, at = self._last or (None, 0.0)
        is_half = first == FileMoved(move.new, move.old) and time.monotonic() - at < EXCHANGE_SECONDS
        return is_half and await self._met_again(move) and not await self._exchanged(move, appeared)

    async def _met_again(self, move: FileMoved) -> bool:
        """Return whether two rows describe the two paths of a rename: neither went along with the half before."""
        paths = (move.old, move.new)
        rows = [await self._context.catalogue.pending_by_path(path) for path in paths]
        return None not in rows and not await self._context.catalogue.locations_at(paths)

    async def _exchanged(self, move: FileMoved, appeared: Collection[str]) -> list[FileMoved]:
        """Follow an exchange of files; returns the two renames that it was, if it was none."""
        both = (move.old, move.new)
        is_seen = all(self._context.is_visible(path) and path not in appeared for path in both)
        if is_seen and await self._changed_places(*both):
            return []
        return [move, FileMoved(move.new, move.old)]

    async def _follow_apart(self, moves: Sequence[FileMoved]) -> None:
        for together in apart(moves):
            hidden = [move.old for move in together if not self._context.is_visible(move.new)]
            await self._sightings.mark_absent(hidden)
            await self._follow_together([move for move in together if self._context.is_visible(move.new)])

    async def _follow_together(self, moves: Sequence[FileMoved]) -> None:
        """Follow renames of which no two have a path in common."""
        paths = [path for move in moves for path in (move.old, move.new)]
        there = await self._context.looks.found(fingerprints_of, paths)
        known = await self._context.catalogue.locations_at(paths)
        # Some tell of an earlier file: events of different roots do not come in their order.
        late = [move for move in moves if is_in_place(known.get(move.old), there.get(move.old))]
        await self._sightings.look_at({path: True for move in late for path in (move.old, move.new)})
        rest = [move for move in moves if move not in late and not await self._swapped(move, there, known)]
        aftermath = await self._renames.follow(
            [self._followed(move, there.get(move.new), known.get(move.old)) for move in rest],
            [known[path] for move in rest for path in (move.old, move.new) if path in known],
        )
        await self._sightings.finish(aftermath)
        # Another file may have taken the place of one.
        await self._sightings.look_at({move.old: True for move in rest if move.old in there})

    async def _swapped(
        self, move: FileMoved, there: Mapping[str, Fingerprint], known: Mapping[str, Location]
    ) -> bool:
        """Tell, and follow, that two known files lie each where the other did, and nobody wrote to them since.

        The second half of their exchange may come too late to be seen with the first.
        """
        one, other = move.old, move.new
        have_met = is_in_place(known.get(other), there.get(one)) and is_in_place(known.get(one), there.get(other))
        is_written = any(self._context.disk.was_written(path) for path in (one, other))
        return have_met and not is_written and await self._changed_places(one, other)

    async def _changed_places(self, one: str, other: str) -> bool:
        """Let what is known of two files change places; returns whether they did, and were not renamed to and fro."""
        if not await self._renames.exchange(one, other):
            return False
        # What was known of them may be of files of before, or be others' by now.
        await self._sightings.look_at({one: True, other: True})
        return True

    def _followed(self, move: FileMoved, status: Fingerprint | None, before: Location | None) -> Followed:
        is_doubtful = before is not None and before.doubted
        is_doubtful |= any(self._context.disk.was_written(path) for path in (move.old, move.new))
        return Followed(move.old, move.new, status, before, is_doubtful=is_doubtful)


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
