"""Take in what happens in the roots: turn events and scans into rows of the queue, renames and missing files.

Everything that a fingerprint answers is answered here without reading a file.
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby

from modelkeep.base.clock import now_ms
from modelkeep.base.log import get_logger
from modelkeep.base.persistence import do_for_all, unforeseen
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprints_of, statuses_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.walk import Listing, walk
from modelkeep.domain.bursts import Burst, divide
from modelkeep.domain.detection import Found
from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileMoved,
    FolderExchanged,
    FolderMoved,
    WatchEvent,
)
from modelkeep.domain.naming import is_hidden_below
from modelkeep.domain.parking import Parked
from modelkeep.domain.reconcile import Differences, Twin, compare, find_twin, is_touched
from modelkeep.domain.values import (
    Fingerprint,
    Location,
    LocationState,
    PendingState,
    Priority,
    Record,
)
from modelkeep.errors import RootSilent
from modelkeep.watch.absence import ROWS_MAX, Absences
from modelkeep.watch.line import Line
from modelkeep.watch.renames import Followed, Renames, apart, exchanges
from modelkeep.watch.touched import Disk, Touched

EXCHANGE_SECONDS = 2.0
"""How soon the second half of an exchange of files follows the first, on a machine however busy."""

EVENTS_MAX = 20_000
"""Events taken in at once: the more of a burst are seen together, the more of them turn out to say the same."""

GIVEN_UP_MS = 3_600_000
"""How long a file rests that cannot be taken in for a reason that nobody foresaw."""

_log = get_logger("intake")


class Intake:
    """Takes in events and scans.

    Args:
        catalogue: what is known by path.
        line: the stages behind.
        note: appends records to the journal.
        looks: looks at paths of the roots.
        extensions: endings of model files.
        on_lost_track: has a root looked at as a whole.
        clock_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        line: Line,
        note: Callable[[Sequence[Record]], object],
        looks: DiskLooks,
        extensions: Sequence[str],
        on_lost_track: Callable[[str], None],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._looks = looks
        self._catalogue = catalogue
        self._line = line
        self._note = note
        self._roots = looks.roots
        self._on_lost_track = on_lost_track
        self._extensions = extensions
        self._clock_ms = clock_ms
        self._disk = Disk()
        self._last_move: tuple[FileMoved, float] | None = None
        self._touched = Touched(catalogue, self._disk, note, looks, line.doubted)
        self._absences = Absences(catalogue, line, note, clock_ms, self.look_beside, looks)
        self._renames = Renames(catalogue, line, note, clock_ms, self, self._disk, looks)

    async def apply(self, events: Sequence[WatchEvent]) -> None:
        """Take in events that came together."""
        whole = divide(events)
        self._disk.written, self._disk.removed = whole.written, set(whole.gone_files)
        try:
            await do_for_all(lambda some: self._apply(divide(some)), events, self._give_up_event)
        finally:
            self._disk.written = self._disk.removed = ()

    async def _apply(self, burst: Burst) -> None:
        for root in burst.lost:
            self._on_lost_track(root)
        for kind, neighbours in groupby(burst.renames, type):
            together = list(neighbours)
            if kind is FileMoved:
                await self._files_moved([move for move in together if isinstance(move, FileMoved)], burst.files)
                continue
            if kind is FolderExchanged:
                for move in together:
                    await self._folders_exchanged(move.old, move.new)
            else:
                burst.gone_folders += await self._folders_moved(together)
            # In the place of a moved folder another one may lie.
            burst.folders += [folder for move in together for folder in (move.new, move.old)]
        await self._scan_folders(burst.folders)
        await self.look_at(burst.files)
        # Last: a file that appeared elsewhere has taken its location along and is not missing.
        await self.note_absent(list(dict.fromkeys(burst.gone_files)))
        for folder in _outermost(burst.gone_folders):
            await self._folder_gone(folder)

    async def _files_moved(self, moves: Sequence[FileMoved], appeared: Collection[str]) -> None:
        waiting: list[FileMoved] = []
        if moves and await self._completes_exchange(moves[0], appeared):
            moves = moves[1:]
        self._last_move = (moves[-1], time.monotonic()) if moves else None
        for move, is_exchange in exchanges(moves):
            waiting.append(move)
            if is_exchange:  # the kernel tells it as two renames, and so it is told when it is none
                await self._renamed(waiting[:-1])
                waiting = await self._exchanged(move, appeared)
        await self._renamed(waiting)

    async def _completes_exchange(self, move: FileMoved, appeared: Collection[str]) -> bool:
        """Tell, and follow, that a rename is the second half of an exchange whose first half came before it alone."""
        first, at = self._last_move or (None, 0.0)
        is_half = first == FileMoved(move.new, move.old) and time.monotonic() - at < EXCHANGE_SECONDS
        return is_half and await self._met_again(move) and not await self._exchanged(move, appeared)

    async def _met_again(self, move: FileMoved) -> bool:
        """Tell whether two rows describe the two paths of a rename: neither went along with the half before this."""
        paths = (move.old, move.new)
        rows = [await self._catalogue.pending_by_path(path) for path in paths]
        return None not in rows and not await self._catalogue.locations_at(paths)

    async def _exchanged(self, move: FileMoved, appeared: Collection[str]) -> list[FileMoved]:
        """Follow an exchange of files; returns the two renames that it was, if it was none."""
        both = (move.old, move.new)
        is_seen = all(self._is_visible(path) and path not in appeared for path in both)
        if is_seen and await self._renames.exchange(*both):
            return []
        return [move, FileMoved(move.new, move.old)]

    async def _renamed(self, moves: Sequence[FileMoved]) -> None:
        for together in apart(moves):
            visible = [(move.old, move.new) for move in together if self._is_visible(move.new)]
            await self.note_absent([move.old for move in together if not self._is_visible(move.new)])
            await self._renames.apply(visible)

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
        await self.apply_differences(found, priority)
        return listing, found

    async def _differences(self, folder: str, *, tries_again: bool = False) -> tuple[Listing, Differences]:
        """Compare a folder with the catalogue."""
        root = self._roots.of(os.path.join(folder, "file"))
        base = root.path if root is not None else None
        listing = await self._looks.run(folder, walk, folder, self._extensions, base)
        known, pending = await self._catalogue.known_below(folder)
        found = await asyncio.to_thread(compare, listing.files, known, pending)
        for path, size_bytes in (await self._catalogue.failed_sizes_below(folder)).items():
            status = listing.files.get(path)
            if status is not None and (tries_again or status.size_bytes != size_bytes):
                found.queued[path] = status
        # What lies in a folder that cannot be read is neither missing nor changed: nobody knows.
        unreadable = tuple(path for path, _ in listing.unreadable)
        found.missing = [
            path for path in self._of_its_root(folder, found.missing) if not _is_below_any(path, unreadable)
        ]
        return listing, found

    def _of_its_root(self, folder: str, paths: Iterable[str]) -> list[str]:
        """Leave out what lies in a root in this one: whether that is there is the other root's matter."""
        own = self._roots.of(os.path.join(folder, "file"))
        return [path for path in paths if self._roots.of(path) == own]

    async def apply_differences(self, found: Differences, priority: Priority) -> None:
        """Take in the differences that a scan found."""

        async def take_in_some(some: Sequence[tuple[str, Differences]]) -> None:
            together = Differences()
            for _, difference in some:
                together.add(difference)
            await self._apply_differences(together, priority)

        await do_for_all(take_in_some, found.by_path(), lambda item, error: self._give_up(item[0], error))

    async def _give_up_event(self, event: WatchEvent, error: Exception) -> None:
        """Leave out an event that cannot be taken in."""
        match event:
            case FileAppeared(path) | FileClosed(path) | FileMoved(_, path):
                await self._give_up(path, error)
            case _:  # the next scan finds what it told of
                self._note([("hash.failed", {"path": _place_of(event), "error": unforeseen(error)})])

    async def _give_up(self, path: str, error: Exception) -> None:
        """Park a file that cannot be taken in, so that the others are."""
        reason = unforeseen(error)
        self._note([("hash.failed", {"path": path, "error": reason})])
        try:
            status = (await self._looks.found(statuses_of, [path])).get(path)
            if status is None:
                return
            ((row, _),) = await self._catalogue.detect([Found(path, status.size_bytes)], [], self._clock_ms())
            due_at = self._clock_ms() + GIVEN_UP_MS
            parked = Parked(row.id, path, PendingState.FAILED, reason, due_at, row.attempts + 1)
            await self._catalogue.park([parked])
        except Exception:  # whatever is wrong with it, it is not to hold up the others
            _log.exception("file.not_parked", path=path)

    async def _apply_differences(self, found: Differences, priority: Priority) -> None:
        await self._returned({**found.returned, **found.seen}, found.returned)
        unknown = await self._without_twins({**found.appeared, **found.changed})
        for chunk in _chunks({**unknown, **found.queued}):
            await self.detect(chunk, priority, closed=False, cause="watch" if priority is Priority.NEW else "scan")
        # Last: a file that appeared elsewhere has taken its location along and is not missing.
        await self._absences.note(found.missing)
        await self._touched.review(found.touched, self._clock_ms())

    async def look_at(self, closed_by_path: Mapping[str, bool]) -> None:
        """Take in files of which an event told that something happened."""
        paths = [path for path in closed_by_path if self._is_visible(path)]
        if paths:
            concerned = await self._apply_files(paths, closed_by_path)
            await self._look_beside(concerned, paths, doubts=True)

    async def _apply_files(
        self, paths: Sequence[str], closed_by_path: Mapping[str, bool], *, doubts: bool = True
    ) -> set[Fingerprint]:
        """Look at files; returns the fingerprints of known content that is there no more, or is back."""
        present = await self._looks.found(self._present, paths)
        known = await self._catalogue.locations_at(paths)
        await self._note_displaced([place for path, place in known.items() if path not in present])
        unknown: dict[str, Fingerprint] = {}
        seen: dict[str, Fingerprint] = {}
        touched: list[str] = []
        doubtful: list[str] = []
        concerned: set[Fingerprint] = set()
        for path, fingerprint in present.items():
            location = known.get(path)
            if location is None:
                unknown[path] = fingerprint
            elif location.fingerprint is None:
                seen[path] = fingerprint
            elif not fingerprint.same_file_at_same_path(location.fingerprint):
                unknown[path] = fingerprint
                concerned.add(location.fingerprint)
            elif is_touched(location, fingerprint):
                touched.append(path)
                concerned.add(location.fingerprint)
            elif location.state is not LocationState.PRESENT:
                seen[path] = fingerprint
                concerned.add(location.fingerprint)
            elif self._disk.was_written_after_all(path) and not location.claimed:
                doubtful.append(path)
        await self._touched.doubt(doubtful, self._clock_ms())
        await self._returned(seen, seen)
        await self._touched.review(touched, self._clock_ms(), doubts=doubts)
        files = await self._without_twins(unknown)
        # What an import said of a file that was just then on its way to this name.
        put_off = await self._catalogue.put_off_at([path for path in present if path not in unknown])
        files |= {path: present[path] for path in put_off}
        for closed in (True, False):
            chosen = {path: status for path, status in files.items() if closed_by_path.get(path, False) is closed}
            for chunk in _chunks(chosen):
                await self.detect(chunk, Priority.NEW, closed=closed, cause="watch")
        return concerned

    async def _note_displaced(self, places: Sequence[Location]) -> None:
        """Take in known paths at which no file lies: what lies there is a folder, a socket or a link to nowhere.

        Where nothing lies another event says what became of the file; that it was written is told by this one alone.
        """
        paths = [place.path for place in places if place.state is LocationState.PRESENT]
        await self.note_absent(list(await self._looks.found(_entries_at, paths)))
        written = [place.path for place in places if self._disk.was_written(place.path)]
        if written:
            await self._catalogue.distrust(written)

    def _present(self, paths: Sequence[str]) -> dict[str, Fingerprint]:
        """Look at files; a root that is away at that moment is looked through when it is back."""
        present = fingerprints_of(paths)
        absent = [path for path in paths if path not in present]
        return present | fingerprints_of(self._absences.in_same_roots(absent))

    def _is_folder(self, path: str) -> bool:
        return os.path.isdir(path) or (bool(self._absences.in_same_roots([path])) and os.path.isdir(path))

    async def note_absent(self, paths: Sequence[str]) -> None:
        """Note that files are gone; those that are there after all are not."""
        await self._absences.note(paths)

    async def look_outside(self, places: Sequence[Location]) -> None:
        """Look at locations that no root contains: nobody watches them, and they may have gone or come back.

        What a root that is no longer configured left behind stays unreachable, except for claims.
        """
        seen = await self._looks.found(statuses_of, [place.path for place in places])
        present = {path: status for path, status in seen.items() if status is not None}
        back = {
            place.path: present[place.path]
            for place in places
            if place.path in present and _is_back(place, present[place.path])
        }
        touched = {place.path for place in places if place.path in back and is_touched(place, back[place.path])}
        untouched = {path: status for path, status in back.items() if path not in touched}
        await self._returned(untouched, untouched)
        await self._touched.review(touched, self._clock_ms())
        told = (place for place in places if place.path in seen and place.path not in present)
        await self._absences.note([place.path for place in told if place.state is LocationState.PRESENT])

    async def look_beside(self, concerned: Collection[Fingerprint], looked_at: Collection[str]) -> None:
        """Look at the links to files that went or got another name: nobody tells of them."""
        await self._look_beside(concerned, looked_at, doubts=False)

    async def _look_beside(
        self, concerned: Collection[Fingerprint], looked_at: Collection[str], *, doubts: bool
    ) -> None:
        """Look at the links to files; `doubts` when something else than their names may have changed."""
        twins = await self._catalogue.twins_of(concerned) if concerned else {}
        paths = {place.path for places in twins.values() for place in places}.difference(looked_at)
        if paths:
            await self._apply_files(sorted(paths), dict.fromkeys(paths, True), doubts=doubts)
            await self._absences.note(sorted(paths))

    async def detect(self, files: Mapping[str, Fingerprint], priority: Priority, *, closed: bool, cause: str) -> None:
        """Queue files that have to be hashed. An empty one is no model: it will have another event, or a scan."""
        await self._lose(files)
        counted = {path: f for path, f in files.items() if f.size_bytes or self._roots.accepts_empty(path)}
        if not counted:
            return
        found = [Found(path, fingerprint.size_bytes) for path, fingerprint in counted.items()]
        rows = await self._catalogue.detect(found, self._roots.configured, self._clock_ms())
        self._note(
            [
                ("file.detected", {"path": row.path, "pending_id": row.id, "bytes": row.size_bytes, "cause": cause})
                for row, is_new in rows
                if is_new
            ]
        )
        self._line.enqueue([(row, counted[row.path]) for row, _ in rows], priority, closed=closed)

    async def _lose(self, files: Mapping[str, Fingerprint]) -> None:
        """Note of which known paths the content is gone for certain: the file there has another size."""
        known = await self._catalogue.locations_at(list(files)) if files else {}
        lost = [
            path
            for path, place in known.items()
            if place.fingerprint is not None and place.fingerprint.size_bytes != files[path].size_bytes
        ]
        cause = "something else lies there"
        lost_places = await self._catalogue.lose_content(lost) if lost else []
        self._note(
            [("file.missing", {"path": place.path, "sha256": place.sha256, "cause": cause}) for place in lost_places]
        )

    async def _without_twins(self, files: Mapping[str, Fingerprint]) -> dict[str, Fingerprint]:
        """Give known content its new path; returns the files whose content nobody knows."""
        together = dict(files)
        candidates: dict[Fingerprint, list[Location]] = {}
        there: dict[str, Fingerprint | None] = {}
        waiting: Mapping[str, Fingerprint] = files
        while waiting:
            twins = await self._catalogue.twins_of(set(waiting.values()))
            candidates |= twins
            together |= {path: status for path, status in waiting.items() if status in twins}
            places = [place for known in twins.values() for place in known if place.path not in there]
            there |= await self._looks.found(statuses_of, {place.path for place in places})
            # Where the known file lay another one may lie whose own place the first has now: they changed places.
            waiting = {
                place.path: status
                for place in places
                if (status := there.get(place.path)) is not None
                and place.path not in together
                and not status.same_file_at_same_path(place.fingerprint)
                and self._is_visible(place.path)
            }
        return await self._give_paths(together, candidates, there) if candidates else dict(files)

    async def _give_paths(
        self,
        files: Mapping[str, Fingerprint],
        candidates: Mapping[Fingerprint, list[Location]],
        there: Mapping[str, Fingerprint | None],
    ) -> dict[str, Fingerprint]:
        unknown: dict[str, Fingerprint] = {}
        moved: list[Followed] = []
        links: list[Location] = []
        linked: list[str] = []
        concerned: set[str] = set()
        for path, fingerprint in files.items():
            # What a silent root holds is neither moved nor linked: nobody knows whether it is there.
            places = [place for place in candidates.get(fingerprint, ()) if place.path in there]
            try:
                twin = (
                    await self._looks.run(path, find_twin, path, fingerprint, places, self._disk) if places else None
                )
            except RootSilent:  # it is looked through when it answers again
                continue
            if twin is not None:
                self._disk.trust(path)
            if twin is None:
                unknown[path] = fingerprint
            elif twin.moved and twin.location.path not in concerned:
                concerned |= {twin.location.path, path}
                place = twin.location
                moved.append(Followed(place.path, path, fingerprint, place, twin.replaced, twin.is_doubtful))
            else:  # what it was moved from has been taken by another name of it, or by another file
                links.append(_linked(path, fingerprint, twin))
                linked.append(twin.location.path)
        if moved:
            displaced = await self._catalogue.locations_at([file.new for file in moved])
            before = [*displaced.values(), *(file.before for file in moved if file.before)]
            await self._renames.follow(moved, before)
        if links:
            await self._link(links)
            # Their other names have the new times too.
            await self._touched.review(set(linked), self._clock_ms(), doubts=False)
        return unknown

    async def _link(self, links: Sequence[Location]) -> None:
        displaced = await self._catalogue.put_locations(links, self._clock_ms())
        self._line.doubted([link.path for link in links if link.doubted])
        records: list[Record] = []
        for link, before in zip(links, displaced, strict=True):
            fields = {"path": link.path, "sha256": link.sha256, "cause": "link to known content"}
            records.append(("file.detected", fields))
            if before:
                cause = "a link to other content lies at this path now"
                records.append(("file.changed", {"path": link.path, "sha256": before, "cause": cause}))
        self._note(records)

    async def _returned(self, seen: Mapping[str, Fingerprint], to_tell: Mapping[str, Fingerprint]) -> None:
        known = await self._catalogue.locations_at(list(to_tell)) if to_tell else {}
        for chunk in _chunks(seen):
            await self._catalogue.set_seen(chunk, self._clock_ms())
        # That a whole root is back, or has another device number since it was mounted, is not told file by file.
        back = [place for place in known.values() if place.state is LocationState.MISSING]
        self._line.doubted([place.path for place in known.values() if place.doubted])
        self._note([("file.returned", {"path": place.path, "sha256": place.sha256}) for place in back])

    async def _folders_exchanged(self, one: str, other: str) -> None:
        """Let what is known below two folders change places."""
        if await self._is_still_there(one):
            return
        moved = await self._catalogue.exchange_folders(one, other, self._clock_ms())
        self._line.exchanged(moved)
        self._renames.tell(moved)

    async def _is_still_there(self, folder: str) -> bool:
        """Tell whether what is known below a folder lies there now: what an event tells was done before then."""
        if not await self._looks.run(folder, os.path.isdir, folder):
            return False
        known, _ = await self._catalogue.known_below(folder)
        there = await self._looks.found(fingerprints_of, [place.path for place in known])
        return any(_is_in_place(place, there.get(place.path)) for place in known)

    async def _folders_moved(self, moves: Iterable[FileMoved | FolderMoved | FolderExchanged]) -> list[str]:
        """Let what is known below folders go along; returns those that went where nothing is looked at."""
        out_of_sight: list[str] = []
        for move in moves:
            if not self._is_visible(os.path.join(move.new, "file")):
                out_of_sight.append(move.old)
                continue
            if await self._is_still_there(move.old):
                continue
            moved = await self._catalogue.move_folder(move.old, move.new, self._clock_ms())
            for each in moved:
                self._line.renamed(each)
            self._renames.tell(moved)
        return out_of_sight

    async def _scan_folders(self, folders: Iterable[str]) -> None:
        """Look at everything below folders; what was found in all of them is taken in at once."""
        found = Differences()
        for folder in _outermost(folders):
            if not self._is_visible(os.path.join(folder, "file")):
                continue
            with suppress(RootSilent):  # it is looked through when it answers again
                if await self._looks.run(folder, self._is_folder, folder):
                    _, differences = await self._differences(folder)
                    found.add(differences)
        await self.apply_differences(found, Priority.NEW)

    async def _folder_gone(self, folder: str) -> None:
        try:
            if await self._looks.run(folder, os.path.isdir, folder):
                return  # made again meanwhile: its own event tells of it
        except RootSilent:
            return  # it is looked through when it answers again
        if any(root.path == folder for root in self._roots.configured):
            return  # nothing in it is missing then: it is unreachable as a whole
        known, pending = await self._catalogue.known_below(folder)
        await self._absences.note(self._of_its_root(folder, {*(place.path for place in known), *pending}))

    def _is_visible(self, path: str) -> bool:
        root = self._roots.of(path)
        return root is not None and not is_hidden_below(path, root.path)


def _is_back(place: Location, fingerprint: Fingerprint) -> bool:
    """Tell whether the file of a location that counts as gone is there again."""
    if place.claimed:
        return place.state is not LocationState.PRESENT
    return place.state is LocationState.MISSING and fingerprint.same_file_at_same_path(place.fingerprint)


def _entries_at(paths: Iterable[str]) -> dict[str, bool]:
    """Leave out paths at which there is nothing at all."""
    return {path: True for path in paths if os.path.lexists(path)}


def _is_in_place(place: Location, found: Fingerprint | None) -> bool:
    """Tell whether the file of a location lies where it is known to be."""
    return found is not None and place.fingerprint is not None and found.same_file_at_same_path(place.fingerprint)


def _place_of(event: WatchEvent) -> str:
    match event:
        case FileMoved(_, path) | FolderMoved(_, path) | FolderExchanged(_, path) | EventsLost(path):
            return path
        case _:
            return event.path


def _linked(path: str, fingerprint: Fingerprint, twin: Twin) -> Location:
    known = twin.location.fingerprint if twin.is_doubtful else fingerprint
    return Location(path, twin.location.sha256, LocationState.PRESENT, known, doubted=twin.is_doubtful)


def _chunks(files: Mapping[str, Fingerprint]) -> Iterable[dict[str, Fingerprint]]:
    items = list(files.items())
    return (dict(items[start : start + ROWS_MAX]) for start in range(0, len(items), ROWS_MAX))


def _outermost(folders: Iterable[str]) -> list[str]:
    """Leave out folders that lie in another one of them."""
    chosen: list[str] = []
    for folder in sorted(set(folders), key=lambda path: path + "/"):
        if not _is_below_any(folder, chosen[-1:]):
            chosen.append(folder)
    return chosen


def _is_below_any(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)
