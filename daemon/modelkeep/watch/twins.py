"""Give content that is known by its file's fingerprint its new path: the file was moved or linked there."""

from collections.abc import Mapping, Sequence

from modelkeep.disk.files import statuses_of
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.reconcile import Twin, find_twin
from modelkeep.domain.values import Location, LocationState, Record
from modelkeep.errors import RootSilent
from modelkeep.watch.context import Context
from modelkeep.watch.disk import Disk
from modelkeep.watch.renames import Aftermath, Followed, Renames
from modelkeep.watch.touched import Touched


class Twins:
    """Finds known content at new paths.

    Args:
        context: what is known, who is told, and how one looks.
        renames: gives what is known to other paths.
        touched: reviews the other names of what was linked.
    """

    def __init__(self, context: Context, renames: Renames, touched: Touched) -> None:
        self._context = context
        self._renames = renames
        self._touched = touched

    async def give_paths(self, files: Mapping[str, Fingerprint]) -> tuple[dict[str, Fingerprint], Aftermath | None]:
        """Give known content its new path; returns the files whose content nobody knows, and what is left to do."""
        together = dict(files)
        candidates: dict[Fingerprint, list[Location]] = {}
        there: dict[str, Fingerprint | None] = {}
        waiting: Mapping[str, Fingerprint] = files
        while waiting:
            twins = await self._context.catalogue.twins_of(set(waiting.values()))
            candidates |= twins
            together |= {path: status for path, status in waiting.items() if status in twins}
            locations = [location for known in twins.values() for location in known if location.path not in there]
            there |= await self._context.looks.found(statuses_of, {location.path for location in locations})
            # Where the known file lay another one may lie whose own place the first has now: they changed places.
            waiting = {
                location.path: status
                for location in locations
                if (status := there.get(location.path)) is not None
                and location.path not in together
                and not status.same_file_at_same_path(location.fingerprint)
                and self._context.is_visible(location.path)
            }
        return await self._give(together, candidates, there) if candidates else (dict(files), None)

    async def _give(
        self,
        files: Mapping[str, Fingerprint],
        candidates: Mapping[Fingerprint, list[Location]],
        there: Mapping[str, Fingerprint | None],
    ) -> tuple[dict[str, Fingerprint], Aftermath | None]:
        unknown: dict[str, Fingerprint] = {}
        moved: list[Followed] = []
        links: list[tuple[Location, str]] = []
        concerned: set[str] = set()
        for path, fingerprint in files.items():
            # What a silent root holds is neither moved nor linked: nobody knows whether it is there.
            locations = [location for location in candidates.get(fingerprint, ()) if location.path in there]
            try:
                twin = await self._twin(path, fingerprint, locations)
            except RootSilent:  # it is looked through when it answers again
                continue
            if twin is None:
                unknown[path] = fingerprint
                continue
            self._context.disk.trust(path)
            location = twin.location
            if twin.moved and location.path not in concerned:
                concerned |= {location.path, path}
                moved.append(Followed(location.path, path, fingerprint, location, twin.replaced, twin.is_doubtful))
            else:  # what it was moved from has been taken by another name of it, or by another file
                links.append((_linked(path, fingerprint, twin), location.path))
        aftermath = await self._move(moved) if moved else None
        if links:
            await self._link([link for link, _ in links])
            # Their other names have the new times too.
            await self._touched.review({other for _, other in links}, doubts=False)
        return unknown, aftermath

    async def _twin(self, path: str, fingerprint: Fingerprint, locations: Sequence[Location]) -> Twin | None:
        if not locations:
            return None
        return await self._context.looks.run(path, _look_for_twin, path, fingerprint, locations, self._context.disk)

    async def _move(self, moved: Sequence[Followed]) -> Aftermath:
        displaced = await self._context.catalogue.locations_at([file.new for file in moved])
        before = [*displaced.values(), *(file.before for file in moved if file.before)]
        return await self._renames.follow(moved, before)

    async def _link(self, links: Sequence[Location]) -> None:
        displaced = await self._context.catalogue.put_locations(links, self._context.clock_ms())
        self._context.line.doubted([link.path for link in links if link.doubted])
        records: list[Record] = []
        for link, before in zip(links, displaced, strict=True):
            if before is None:
                continue
            records.append(
                ("file.detected", {"path": link.path, "sha256": link.sha256, "cause": "link to known content"})
            )
            if before:
                cause = "a link to other content lies at this path now"
                records.append(("file.changed", {"path": link.path, "sha256": before, "cause": cause}))
        self._context.record(records)


def _look_for_twin(path: str, fingerprint: Fingerprint, locations: Sequence[Location], disk: Disk) -> Twin | None:
    """Return which known file lies at a path; nobody's, if another one does by now: that is found when it settles."""
    is_there = disk.fingerprint_of(path) == fingerprint
    return find_twin(path, fingerprint, locations, disk) if is_there else None


def _linked(path: str, fingerprint: Fingerprint, twin: Twin) -> Location:
    known = twin.location.fingerprint if twin.is_doubtful else fingerprint
    return Location(path, twin.location.sha256, LocationState.PRESENT, known, doubted=twin.is_doubtful)
