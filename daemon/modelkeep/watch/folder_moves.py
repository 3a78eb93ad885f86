"""Follow renames of folders with all that is known below them, and record what went with a folder that is gone."""

import os
from collections.abc import Iterable

from modelkeep.disk.files import fingerprints_of
from modelkeep.domain.events import FolderExchanged, FolderMoved
from modelkeep.errors import RootSilent
from modelkeep.watch.context import Context
from modelkeep.watch.renames import Renames, is_in_place
from modelkeep.watch.scans import Scans
from modelkeep.watch.sightings import Sightings


class FolderMoves:
    """Follows renames of folders.

    Args:
        context: what is known, who is told, and how one looks.
        sightings: is told what is gone.
        scans: knows what belongs to a root.
        renames: tells what got another path.
    """

    def __init__(self, context: Context, sightings: Sightings, scans: Scans, renames: Renames) -> None:
        self._context = context
        self._sightings = sightings
        self._scans = scans
        self._renames = renames

    async def exchange(self, move: FolderExchanged) -> None:
        """Let what is known below two folders change places."""
        if await self._lies_in(move.old, known_in=move.old):
            return
        moved = await self._context.catalogue.exchange_folders(move.old, move.new, self._context.clock_ms())
        self._context.line.exchanged(moved)
        self._renames.record(moved)

    async def follow(self, moves: Iterable[FolderMoved]) -> list[str]:
        """Let what is known below folders go along; returns those that went where nothing is looked at."""
        out_of_sight: list[str] = []
        for move in moves:
            if not self._context.is_visible(os.path.join(move.new, "file")):
                out_of_sight.append(move.old)
                continue
            if await self._lies_in(move.old, known_in=move.old):
                continue
            if await self._lies_in(move.old, known_in=move.new) and await self._lies_in(move.new, known_in=move.old):
                # Of an exchange one half came alone: the two folders tell of it.
                await self.exchange(FolderExchanged(move.old, move.new))
                continue
            moved = await self._context.catalogue.move_folder(move.old, move.new, self._context.clock_ms())
            for each in moved:
                self._context.line.renamed(each)
            self._renames.record(moved)
        return out_of_sight

    async def note_gone(self, folder: str) -> None:
        """Record that all is gone that was known below a folder."""
        try:
            if await self._context.looks.run(folder, os.path.isdir, folder):
                return  # made again meanwhile: its own event tells of it
        except RootSilent:
            return  # it is looked through when it answers again
        if any(root.path == folder for root in self._context.roots.configured):
            return  # nothing in it is missing then: it is unreachable as a whole
        known, pending = await self._context.catalogue.known_below(folder)
        paths = {*(location.path for location in known), *pending}
        await self._sightings.mark_absent(self._scans.of_its_root(folder, paths))

    async def _lies_in(self, folder: str, *, known_in: str) -> bool:
        """Return whether something known below a folder lies in this one now, or still: an event came late."""
        if not await self._context.looks.run(folder, os.path.isdir, folder):
            return False
        known, _ = await self._context.catalogue.known_below(known_in)
        location_by_path = {folder + location.path[len(known_in) :]: location for location in known}
        there = await self._context.looks.found(fingerprints_of, location_by_path)
        return any(is_in_place(location, there.get(path)) for path, location in location_by_path.items())
