"""Look through folders, and take in what differs from the catalogue."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field

from modelkeep.base.persistence import do_for_all
from modelkeep.catalogue.store.scanning import Compared
from modelkeep.disk.files import statuses_of
from modelkeep.disk.portions import portions
from modelkeep.disk.walk import Listing, walk
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.reconcile import Differences, Tally, compare, is_touched
from modelkeep.domain.values import Location, LocationState, Priority
from modelkeep.errors import RootSilent
from modelkeep.watch.blame import Blame
from modelkeep.watch.context import Context
from modelkeep.watch.sightings import Sightings

PORTION = 2_000
"""So many files are compared, and taken in, together: what a scan holds does not grow with the library."""


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

    async def scan(self, folder: str, priority: Priority, *, tries_again: bool = False) -> tuple[Listing, Tally]:
        """Look at everything below a folder and take in what differs from the catalogue.

        Args:
            folder: a root, or a folder in one.
            priority: of what is queued.
            tries_again: also queue what failed before, not only when its size is another since.

        Raises:
            RootSilent: the root does not answer.
        """
        current = _Pass(priority, "scan", tries_again, turn=self._context.turn)
        listing = await self._look_through(folder, current)
        await self._finish(current)
        return listing, current.tally

    async def look_through(self, folders: Iterable[str]) -> None:
        """Look at everything below folders of which events told; what is missing is judged after all of them."""
        current = _Pass(Priority.NEW, "watch")
        for folder in outermost(folders):
            if not self._context.is_visible(os.path.join(folder, "file")):
                continue
            with suppress(RootSilent):  # it is looked through when it answers again
                if await self._context.looks.run(folder, self._sightings.is_folder, folder):
                    await self._look_through(folder, current)
        await self._finish(current)

    async def look_outside(self, locations: Sequence[Location]) -> None:
        """Look at locations that no root contains: nobody watches them, and they may have gone or come back.

        What a root that is no longer configured left behind stays unreachable, except for claims.
        """
        async with self._context.turn:
            await self._look_outside(locations)

    async def _look_outside(self, locations: Sequence[Location]) -> None:
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

    async def _look_through(self, folder: str, current: "_Pass") -> Listing:
        """Compare a folder with the catalogue, portion by portion, and take in what differs as it becomes much."""
        root = self._context.roots.of(folder)
        base = root.path if root is not None else None
        listing = await self._context.looks.run(folder, walk, folder, self._context.extensions, base)
        unknown = (*listing.gone, *(path for path, _ in listing.unreadable))
        async for compared in self._compared(folder, listing, is_root=base == folder):
            found = await asyncio.to_thread(_differences, compared, tries_again=current.tries_again)
            # What lies in a folder that could not be read is neither missing nor changed: nobody knows.
            own = self.of_its_root(folder, found.missing)
            found.missing = [path for path in own if not _is_below_any(path, unknown)]
            current.found.add(found)
            if len(current.found) >= PORTION:
                await self._take_in(current)
        return listing

    async def _compared(self, folder: str, listing: Listing, *, is_root: bool) -> AsyncIterator[Compared]:
        """Yield how portions of what lies below a folder compare with the catalogue.

        That is asked once while neither of the two changes.
        """
        catalogue = self._context.catalogue
        state = (await asyncio.to_thread(listing.digest), catalogue.changes)
        last = self._last.pop(folder, None)
        if last is not None and last[0] == state:
            kept: Compared | None = last[1]
            yield last[1]
        else:
            kept = Compared()
            parts = portions(listing, folder, PORTION)
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                compared = await catalogue.compare_within(*part)
                kept = kept.joined(compared) if kept is not None else None
                yield compared
        if kept is not None and catalogue.changes == state[1] and is_root:
            self._last[folder] = state, kept

    async def _take_in(self, current: "_Pass") -> None:
        """Take in what was found until now, but for what is judged at the end."""
        found = current.take()

        async def take_in_some(paths: Sequence[str]) -> None:
            some = found if paths is all_paths else found.at(paths)
            await self._sightings.take_back({**some.returned, **some.seen}, some.returned)
            unknown = await self._sightings.without_known({**some.appeared, **some.changed})
            files = {**unknown, **some.queued}
            await self._sightings.detect(files, current.priority, closed=False, cause=current.cause)

        all_paths = found.paths()
        async with current.turn:
            await do_for_all(take_in_some, all_paths, self._blame.give_up)

    async def _finish(self, current: "_Pass") -> None:
        """Take in the rest; what is missing last, when each file that appeared has taken its location along."""
        await self._take_in(current)
        missing, touched = set(current.tally.missing), set(current.tally.touched)

        async def judge(paths: Sequence[str]) -> None:
            await self._sightings.mark_absent([path for path in paths if path in missing])
            await self._sightings.review([path for path in paths if path in touched])

        async with current.turn:
            await do_for_all(judge, [*current.tally.missing, *current.tally.touched], self._blame.give_up)


@dataclass(slots=True)
class _Pass:
    """One look at folders: what it found and has not taken in yet, and all of it in brief.

    `turn` is held while something is taken in; whoever looks through folders for an event holds it already.
    """

    priority: Priority
    cause: str
    tries_again: bool = False
    turn: AbstractAsyncContextManager[None] = field(default_factory=nullcontext)
    found: Differences = field(default_factory=Differences)
    tally: Tally = field(default_factory=Tally)

    def take(self) -> Differences:
        """Return what was found, which is counted and no longer kept."""
        found, self.found = self.found, Differences()
        self.tally.add(found)
        return found


def _differences(compared: Compared, *, tries_again: bool) -> Differences:
    """Return what differs, as values."""
    files = {entry[0]: Fingerprint.of(*entry[1:]) for entry in compared.entries}
    found = compare(files, compared.known, compared.pending)
    for path, size_bytes in compared.failed_sizes.items():
        status = files.get(path)
        if status is not None and (tries_again or status.size_bytes != size_bytes):
            found.queued[path] = status
    return found


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
