"""Look through folders, and take in what differs from the catalogue."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from modelkeep.base.persistence import do_for_all
from modelkeep.catalogue.store.scanning import Compared
from modelkeep.disk.files import statuses_of
from modelkeep.disk.walk import Listing, walk
from modelkeep.domain.reconcile import Differences, compare, is_touched
from modelkeep.domain.values import Fingerprint, Location, LocationState, Priority
from modelkeep.errors import RootSilent
from modelkeep.watch.blame import Blame
from modelkeep.watch.context import Context
from modelkeep.watch.sightings import Sightings


class Scans:
    """Looks through folders.

    Args:
        context: what is known, who is told, and how one looks.
        sightings: takes in what is found.
        blame: parks files that cannot be taken in.
    """

    def __init__(self, context: Context, sightings: Sightings, blame: Blame) -> None:
        self._context = context
        self._sightings = sightings
        self._blame = blame
        self._last: dict[str, tuple[tuple[bytes, int], Compared]] = {}
        """By root: what it held and how often the catalogue had changed by then, and what differed."""

    async def scan(
        self, folder: str, priority: Priority, *, tries_again: bool = False
    ) -> tuple[Listing, Differences]:
        """Look at everything below a folder and take in what differs from the catalogue.

        Args:
            folder: a root, or a folder in one.
            priority: of what is queued.
            tries_again: also queue what failed before, not only when its size is another since.

        Raises:
            RootSilent: the root does not answer.
        """
        listing, found = await self._differences(folder, tries_again=tries_again)
        await self._take_in(found, priority, cause="scan")
        return listing, found

    async def look_through(self, folders: Iterable[str]) -> None:
        """Look at everything below folders of which events told; what all of them hold is taken in at once."""
        found = Differences()
        for folder in outermost(folders):
            if not self._context.is_visible(os.path.join(folder, "file")):
                continue
            with suppress(RootSilent):  # it is looked through when it answers again
                if await self._context.looks.run(folder, self._sightings.is_folder, folder):
                    _, differences = await self._differences(folder)
                    found.add(differences)
        await self._take_in(found, Priority.NEW, cause="watch")

    async def look_outside(self, locations: Sequence[Location]) -> None:
        """Look at locations that no root contains: nobody watches them, and they may have gone or come back.

        What a root that is no longer configured left behind stays unreachable, except for claims.
        """
        seen = await self._context.looks.found(statuses_of, [location.path for location in locations])
        present = {path: status for path, status in seen.items() if status is not None}
        back = {
            location.path: present[location.path]
            for location in locations
            if location.path in present and _is_back(location, present[location.path])
        }
        touched = {
            location.path
            for location in locations
            if location.path in back and is_touched(location, back[location.path])
        }
        untouched = {path: status for path, status in back.items() if path not in touched}
        await self._sightings.take_back(untouched, untouched)
        await self._sightings.review(touched)
        told = (location for location in locations if location.path in seen and location.path not in present)
        await self._sightings.mark_absent(
            [location.path for location in told if location.state is LocationState.PRESENT]
        )

    def of_its_root(self, folder: str, paths: Iterable[str]) -> list[str]:
        """Leave out what lies in a root in this one: whether that is there is the other root's matter."""
        own = self._context.roots.of(folder)
        return [path for path in paths if self._context.roots.of(path) == own]

    async def _differences(self, folder: str, *, tries_again: bool = False) -> tuple[Listing, Differences]:
        """Compare a folder with the catalogue."""
        root = self._context.roots.of(folder)
        base = root.path if root is not None else None
        listing = await self._context.looks.run(folder, walk, folder, self._context.extensions, base)
        compared = await self._compared(folder, listing, is_root=base == folder)
        files = {entry[0]: Fingerprint.of(*entry[1:]) for entry in compared.entries}
        found = await asyncio.to_thread(compare, files, compared.known, compared.pending)
        for path, size_bytes in compared.failed_sizes.items():
            status = files.get(path)
            if status is not None and (tries_again or status.size_bytes != size_bytes):
                found.queued[path] = status
        # What lies in a folder that cannot be read is neither missing nor changed: nobody knows.
        unreadable = tuple(path for path, _ in listing.unreadable)
        found.missing = [
            path for path in self.of_its_root(folder, found.missing) if not _is_below_any(path, unreadable)
        ]
        return listing, found

    async def _compared(self, folder: str, listing: Listing, *, is_root: bool) -> Compared:
        """Compare what lies below a folder with the catalogue; once, while neither of the two changes."""
        catalogue = self._context.catalogue
        state = (await asyncio.to_thread(listing.digest), catalogue.changes)
        last = self._last.pop(folder, None)
        if last is not None and last[0] == state:
            compared = last[1]
        else:
            compared = await catalogue.compare_below(folder, await asyncio.to_thread(listing.entries))
        if compared.is_small and catalogue.changes == state[1] and is_root:
            self._last[folder] = state, compared
        return compared

    async def _take_in(self, found: Differences, priority: Priority, *, cause: str) -> None:
        """Take in the differences that a scan found."""

        async def take_in_some(paths: Sequence[str]) -> None:
            some = found if paths is all_paths else found.at(paths)
            await self._take_in_together(some, priority, cause)

        all_paths = found.paths()
        await do_for_all(take_in_some, all_paths, self._blame.give_up)

    async def _take_in_together(self, found: Differences, priority: Priority, cause: str) -> None:
        await self._sightings.take_back({**found.returned, **found.seen}, found.returned)
        unknown = await self._sightings.without_known({**found.appeared, **found.changed})
        await self._sightings.detect({**unknown, **found.queued}, priority, closed=False, cause=cause)
        # Last: a file that appeared elsewhere has taken its location along and is not missing.
        await self._sightings.mark_absent(found.missing)
        await self._sightings.review(found.touched)


def outermost(folders: Iterable[str]) -> list[str]:
    """Leave out folders that lie in another one of them."""
    chosen: list[str] = []
    for folder in sorted(set(folders), key=lambda path: path + "/"):
        if not _is_below_any(folder, chosen[-1:]):
            chosen.append(folder)
    return chosen


def _is_below_any(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _is_back(location: Location, fingerprint: Fingerprint) -> bool:
    """Return whether the file of a location that counts as gone is there again."""
    if location.claimed:
        return location.state is not LocationState.PRESENT
    return location.state is LocationState.MISSING and fingerprint.same_file_at_same_path(location.fingerprint)
