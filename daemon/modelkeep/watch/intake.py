"""Take in what happens in the roots: turn events and scans into rows of the queue, renames and missing files.

Everything that a fingerprint answers is answered here without reading a file.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from modelkeep.base.persistence import do_for_all
from modelkeep.domain.bursts import Burst, divide
from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    WatchEvent,
)
from modelkeep.watch.blame import Blame
from modelkeep.watch.context import Context
from modelkeep.watch.file_moves import FileMoves
from modelkeep.watch.folder_moves import FolderMoves
from modelkeep.watch.renames import Renames
from modelkeep.watch.scans import Scans, outermost
from modelkeep.watch.sightings import Sightings

EVENTS_MAX = 20_000
"""Events taken in at once: the more of a burst are seen together, the more of them turn out to say the same."""


class Intake:
    """Takes in events and scans.

    Args:
        context: what is known, who is told, and how one looks.
        on_lost_track: has a root looked at as a whole.
    """

    def __init__(self, context: Context, on_lost_track: Callable[[str], None]) -> None:
        self._context = context
        self._on_lost_track = on_lost_track
        self._blame = Blame(context)
        renames = Renames(context)
        self.sightings = Sightings(context, renames)
        self.scans = Scans(context, self.sightings, self._blame)
        self._file_moves = FileMoves(context, self.sightings, renames)
        self._folder_moves = FolderMoves(context, self.sightings, self.scans, renames)

    async def apply(self, events: Sequence[WatchEvent]) -> None:
        """Take in events that came together."""
        whole = divide(events)
        disk = self._context.disk
        async with self._context.turn:
            disk.written, disk.removed = whole.written, set(whole.gone_files)
            try:
                await do_for_all(lambda some: self._apply(divide(some)), events, self._give_up)
            finally:
                disk.written = disk.removed = ()

    async def _apply(self, burst: Burst) -> None:
        for root in burst.lost:
            self._on_lost_track(root)
        # By the names of that time: what was written while it was read is read again, whatever its name is by now.
        self._context.line.looked_at(list(burst.written))
        for _, neighbours in groupby(burst.renames, type):
            await self._follow(list(neighbours), burst)
        await self.sightings.distrust_gone([path for path in burst.written if path not in burst.files])
        await self.scans.look_through(burst.folders)
        # Also by the names that they have by now: their times may have been taken for those of a new name before.
        await self.sightings.look_at({**dict.fromkeys(burst.written, True), **burst.files})
        # Last: a file that appeared elsewhere has taken its location along and is not missing.
        await self.sightings.mark_absent(list(dict.fromkeys(burst.gone_files)))
        for folder in outermost(burst.gone_folders):
            await self._folder_moves.note_gone(folder)

    async def _follow(self, moves: Sequence[FileMoved | FolderMoved | FolderExchanged], burst: Burst) -> None:
        """Follow renames of one kind; what they leave to be looked at is added to the burst."""
        await self._file_moves.follow([move for move in moves if isinstance(move, FileMoved)], burst.files)
        for move in moves:
            if isinstance(move, FolderExchanged):
                await self._folder_moves.exchange(move)
        burst.gone_folders += await self._folder_moves.follow(move for move in moves if isinstance(move, FolderMoved))
        # In the place of a moved folder another one may lie.
        folders = [move for move in moves if not isinstance(move, FileMoved)]
        burst.folders += [folder for move in folders for folder in (move.new, move.old)]

    async def _give_up(self, event: WatchEvent, error: Exception) -> None:
        """Leave out an event that cannot be taken in."""
        match event:
            case FileAppeared(path) | FileClosed(path) | FileMoved(_, path):
                await self._blame.give_up(path, error)
            case FolderMoved(_, path) | FolderExchanged(_, path) | EventsLost(path):
                self._blame.record(path, error)  # the next scan finds what it told of
            case FileGone(path) | FolderAppeared(path) | FolderGone(path):
                self._blame.record(path, error)
