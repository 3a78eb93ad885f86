"""Take in files that are seen: what a fingerprint answers needs no reading, all else is queued to be hashed."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelkeep.disk.files import fingerprints_of
from modelkeep.domain.detection import Found
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.reconcile import is_touched
from modelkeep.domain.values import Location, LocationState, Priority
from modelkeep.watch.absence import Absences
from modelkeep.watch.context import Concerned, Context, chunks
from modelkeep.watch.renames import Aftermath, Renames, is_in_place
from modelkeep.watch.touched import Touched
from modelkeep.watch.twins import Twins


@dataclass(slots=True)
class _Seen:
    """Files that are there, by what is done about them.

    `unknown` are those with other content than is known, if any is, `back` those that were gone or are seen for the
    first time, `touched` and `doubtful` those that may have been written; `concerned` is what is known of those to
    which something happened.
    """

    unknown: dict[str, Fingerprint] = field(default_factory=dict)
    back: dict[str, Fingerprint] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    concerned: set[Fingerprint] = field(default_factory=set)


class Sightings:
    """Takes in files that are seen, or seen to be gone.

    Args:
        context: what is known, who is told, and how one looks.
        renames: gives what is known to other paths.
    """

    def __init__(self, context: Context, renames: Renames) -> None:
        self._context = context
        self._touched = Touched(context)
        self._absences = Absences(context)
        self._twins = Twins(context, renames, self._touched)

    async def look_at(self, closed_by_path: Mapping[str, bool]) -> None:
        """Take in files of which an event told that something happened."""
        paths = [path for path in closed_by_path if self._context.is_visible(path)]
        if paths:
            concerned = await self._take_in(paths, closed_by_path)
            await self.look_beside(Concerned(written=concerned), paths)

    async def look_beside(self, concerned: Concerned, looked_at: Collection[str]) -> None:
        """Look at the links to files that went, got another name or may have been written: nobody tells of them.

        Args:
            concerned: the files.
            looked_at: paths at which nobody needs to look.
        """
        for files, doubts in ((concerned.written, True), (concerned.files - concerned.written, False)):
            twins = await self._context.catalogue.twins_of(files) if files else {}
            paths = {location.path for locations in twins.values() for location in locations}.difference(looked_at)
            if paths:
                await self._take_in(sorted(paths), dict.fromkeys(paths, True), doubts=doubts)
                await self.mark_absent(sorted(paths))

    async def mark_absent(self, paths: Sequence[str]) -> None:
        """Record that files are gone; those that are there after all are not."""
        await self.look_beside(await self._absences.mark(paths), paths)

    async def finish(self, aftermath: Aftermath) -> None:
        """Take in what renames left to be looked at."""
        await self.look_beside(aftermath.concerned, aftermath.followed)
        await self.mark_absent(aftermath.absent)
        await self.detect(aftermath.changed, Priority.NEW, closed=True, cause="changed while it was moved")
        await self.look_at(dict.fromkeys(aftermath.unknown, True))
        await self.mark_absent(aftermath.left)

    async def distrust_gone(self, written: Sequence[str]) -> None:
        """Doubt known files that were written before they were renamed, if they do not lie there any more."""
        if written:
            known = await self._context.catalogue.locations_at(written)
            await self._distrust_absent(known, await self._context.looks.found(fingerprints_of, known))

    async def take_back(self, seen: Mapping[str, Fingerprint], returned: Collection[str]) -> None:
        """Record that known files are there; that those of `returned` are back is told."""
        known = await self._context.catalogue.locations_at(list(returned)) if returned else {}
        others: list[str] = []
        for chunk in chunks(seen):
            others += await self._context.catalogue.see_again(chunk, self._context.clock_ms())
        # That a whole root is back, or has another device number since it was mounted, is not told file by file.
        self._context.line.doubted(list(seen))
        self._context.record_returned(location for path, location in known.items() if path not in others)
        await self._look_again(others)

    async def review(self, touched: Iterable[str], *, doubts: bool = True) -> None:
        """Look again at known files that may have been written, see `Touched.review`."""
        await self._look_again(await self._touched.review(touched, doubts=doubts))

    async def _look_again(self, paths: Sequence[str]) -> None:
        """Look at files whose place another one has in the catalogue since they were looked at."""
        await self.look_at(dict.fromkeys(paths, False))

    async def without_known(self, files: Mapping[str, Fingerprint]) -> dict[str, Fingerprint]:
        """Give known content its new path; returns the files whose content nobody knows."""
        unknown, aftermath = await self._twins.give_paths(files)
        if aftermath is not None:
            await self.finish(aftermath)
        return unknown

    async def detect(self, files: Mapping[str, Fingerprint], priority: Priority, *, closed: bool, cause: str) -> None:
        """Queue files that have to be hashed. An empty one is no model: it will have another event, or a scan."""
        context = self._context
        await self._lose(files)
        counted = {path: f for path, f in files.items() if f.size_bytes or context.roots.accepts_empty(path)}
        for chunk in chunks(counted):
            found = [Found(path, fingerprint.size_bytes) for path, fingerprint in chunk.items()]
            rows = await context.catalogue.detect(found, context.roots.configured, context.clock_ms())
            context.record(
                [
                    (
                        "file.detected",
                        {"path": row.path, "pending_id": row.id, "bytes": row.size_bytes, "cause": cause},
                    )
                    for row, is_new in rows
                    if is_new
                ]
            )
            context.line.enqueue([(row, counted[row.path]) for row, _ in rows], priority, closed=closed)

    async def _lose(self, files: Mapping[str, Fingerprint]) -> None:
        """Record of which known paths the content is gone for certain: the file there has another size."""
        known = await self._context.catalogue.locations_at(list(files)) if files else {}
        lost = [
            location
            for path, location in known.items()
            if location.fingerprint is not None and location.fingerprint.size_bytes != files[path].size_bytes
        ]
        if lost:
            self._context.record_missing(
                await self._context.catalogue.lose_content(lost), "something else lies there"
            )

    async def _take_in(
        self, paths: Sequence[str], closed_by_path: Mapping[str, bool], *, doubts: bool = True
    ) -> set[Fingerprint]:
        """Look at files; returns the fingerprints of known content that is there no more, or is back."""
        self._context.line.looked_at(paths)
        present = await self._context.looks.found(self._present, paths)
        known = await self._context.catalogue.locations_at(paths)
        await self._mark_displaced([location for path, location in known.items() if path not in present])
        await self._distrust_absent(known, present)
        seen = self._divide(present, known)
        await self._look_again(await self._touched.doubt({path: present[path] for path in seen.doubtful}))
        await self.take_back(seen.back, seen.back)
        await self.review(seen.touched, doubts=doubts)
        files = await self.without_known(seen.unknown)
        # What an import said of a file that was just then on its way to this name.
        put_off = await self._context.catalogue.put_off_at([path for path in present if path not in files])
        files |= {path: present[path] for path in put_off}
        for closed in (True, False):
            chosen = {path: status for path, status in files.items() if closed_by_path.get(path, False) is closed}
            await self.detect(chosen, Priority.NEW, closed=closed, cause="watch")
        return seen.concerned

    def _divide(self, present: Mapping[str, Fingerprint], known: Mapping[str, Location]) -> _Seen:
        seen = _Seen()
        for path, fingerprint in present.items():
            location = known.get(path)
            if location is None:
                seen.unknown[path] = fingerprint
            elif location.fingerprint is None:
                seen.back[path] = fingerprint
            elif not fingerprint.same_file_at_same_path(location.fingerprint):
                seen.unknown[path] = fingerprint
                seen.concerned.add(location.fingerprint)
            elif is_touched(location, fingerprint):
                seen.touched.append(path)
                seen.concerned.add(location.fingerprint)
            elif location.state is not LocationState.PRESENT:
                seen.back[path] = fingerprint
                seen.concerned.add(location.fingerprint)
            elif self._context.disk.was_written_after_all(path) and not location.claimed:
                seen.doubtful.append(path)
        return seen

    async def _mark_displaced(self, locations: Sequence[Location]) -> None:
        """Take in known paths at which no file lies: what lies there is a folder, a socket or a link to nowhere.

        Where nothing lies another event says what became of the file.
        """
        paths = [location.path for location in locations if location.state is LocationState.PRESENT]
        await self.mark_absent(list(await self._context.looks.found(_entries_at, paths)))

    async def _distrust_absent(self, known: Mapping[str, Location], present: Mapping[str, Fingerprint]) -> None:
        """Doubt files that were written and lie there no more: no event of another name of theirs tells of it."""
        await self._touched.distrust_written(
            location for path, location in known.items() if not is_in_place(location, present.get(path))
        )

    def _present(self, paths: Sequence[str]) -> dict[str, Fingerprint]:
        """Look at files; a root that is away at that moment is looked through when it is back."""
        present = fingerprints_of(paths)
        absent = [path for path in paths if path not in present]
        return present | fingerprints_of(self._absences.in_same_roots(absent))

    def is_folder(self, path: str) -> bool:
        """Look whether a folder lies at a path; one that is gone with its root for a moment is looked at again."""
        return os.path.isdir(path) or (bool(self._absences.in_same_roots([path])) and os.path.isdir(path))


def _entries_at(paths: Iterable[str]) -> dict[str, bool]:
    """Leave out paths at which there is nothing at all."""
    return {path: True for path in paths if os.path.lexists(path)}
