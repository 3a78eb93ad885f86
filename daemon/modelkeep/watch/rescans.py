"""Compare whole roots with the catalogue, and say in the journal what was found."""

import asyncio

from modelkeep.disk.mounts import mount_points
from modelkeep.disk.walk import Listing
from modelkeep.domain.reconcile import Tally
from modelkeep.domain.values import Priority
from modelkeep.errors import RootSilent
from modelkeep.watch.context import Context
from modelkeep.watch.coverage import EXAMPLES, Coverage
from modelkeep.watch.reach import Reach
from modelkeep.watch.scans import Scans
from modelkeep.watch.watched_root import WatchedRoot


class Rescans:
    """Rescans roots, one at a time.

    Args:
        context: how one looks, and who is told.
        scans: compares and takes in what differs.
        coverage: has the kernel watch what was found.
        reach: is told of roots that are not there.
    """

    def __init__(self, context: Context, scans: Scans, coverage: Coverage, reach: Reach) -> None:
        self._context = context
        self._scans = scans
        self._coverage = coverage
        self._reach = reach
        self._turn = asyncio.Lock()

    async def rescan(self, watched: WatchedRoot, cause: str) -> Tally:
        """Compare a root with the catalogue and take in what differs."""
        try:
            async with self._turn:
                return await self._rescan(watched, cause)
        except RootSilent as error:
            await self._reach.lose(watched, str(error))
            return Tally()

    async def _rescan(self, watched: WatchedRoot, cause: str) -> Tally:
        path, looks, roots = watched.root.path, self._context.looks, self._context.roots
        identity = roots.identity(path)
        if identity is None or not await self._reach.can_be_told(watched, identity):
            return Tally()
        mounts = await asyncio.to_thread(mount_points)
        # In a root that is followed anew, what could not be read may be readable, and what was cut off complete.
        listing, found = await self._scans.scan(path, Priority.SWEEP, tries_again=not watched.scanned)
        if not await looks.run(path, roots.is_same, watched.root):
            return found  # the next check says what has become of it
        unreadable = sorted(listing.unreadable)
        is_news = (watched.not_followed, watched.unreadable) != (listing.not_followed, unreadable)
        is_news |= not watched.scanned
        is_news |= bool(found.appeared or found.changed or found.missing or found.returned)
        watched.not_followed, watched.unreadable, watched.files = listing.not_followed, unreadable, len(listing)
        # What was mounted meanwhile is news: a link may have led nowhere a moment before.
        watched.mounts, watched.around_linked = mounts, listing.around_linked
        await self._coverage.extend(watched, listing.folders)
        if is_news:
            self._record(watched, cause, listing, found)
        watched.scanned = True
        return found

    def _record(self, watched: WatchedRoot, cause: str, listing: Listing, found: Tally) -> None:
        fields: dict[str, object] = {
            "root": watched.root.path,
            "cause": cause,
            "scanned": len(listing),
            "appeared": found.appeared,
            "changed": found.changed,
            "missing": len(found.missing),
            "returned": found.returned,
        }
        if watched.unreadable:
            fields["unreadable"] = [f"{folder}: {reason}" for folder, reason in watched.unreadable[:EXAMPLES]]
        if listing.not_followed:
            fields["not_followed"] = [f"{link}: {reason}" for link, reason in listing.not_followed[:EXAMPLES]]
        self._context.record([("rescan.finished", fields)])
