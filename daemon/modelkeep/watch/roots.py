"""Keep an eye on the roots themselves: watch them, rescan them, and notice when one is gone or comes back.

inotify does not tell that a root was deleted, unmounted or mounted over, so each root's device and inode are looked
at again and again.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from modelkeep.base.persistence import persist
from modelkeep.base.troubles import Troubles
from modelkeep.disk.mounts import is_any_below, mount_points
from modelkeep.disk.roots import Identity, identity_at
from modelkeep.domain.naming import Root
from modelkeep.domain.reconcile import Tally
from modelkeep.errors import RootSilent
from modelkeep.watch.context import Context
from modelkeep.watch.coverage import Coverage
from modelkeep.watch.reach import NOT_THERE, Reach
from modelkeep.watch.rescans import Rescans
from modelkeep.watch.scans import Scans
from modelkeep.watch.watched_root import WatchedRoot
from modelkeep.watch.watcher import Watcher

START_SECONDS = 3.0
"""How long a start waits for the first look at the roots."""

OUTSIDE_AT_ONCE = 1_000
"""Locations outside of all roots that are looked at together: in a minute with the sweep, all with a rescan."""

ASKED = "events were lost or the root is new"


class RootKeeper:
    """Follows the roots.

    Args:
        context: what is known, who is told, and how one looks.
        watcher: kernel watches and polling.
        scans: takes in what a scan finds.
        troubles: holds a report when the catalogue cannot be read or written.
        on_return: called when a root is back, even if it was away for a moment only: what failed meanwhile is due.
    """

    def __init__(
        self,
        context: Context,
        watcher: Watcher,
        scans: Scans,
        troubles: Troubles,
        on_return: Callable[[], None],
    ) -> None:
        self._context = context
        self._watcher = watcher
        self._scans = scans
        self._troubles = troubles
        self._on_return = on_return
        self.roots = context.roots
        self._coverage = Coverage(context, watcher)
        self._reach = Reach(context, self._coverage)
        self._rescans = Rescans(context, scans, self._coverage, self._reach)
        self._turn = asyncio.Lock()
        self._looked_at: set[str] = set()
        self._outside_after = ""
        self._checks: set[asyncio.Task[None]] = set()
        self.watched = {root.path: WatchedRoot(root) for root in self.roots.configured}

    def _begin_check(self) -> asyncio.Task[None]:
        check = asyncio.create_task(persist(self.check, self._troubles))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)
        return check

    async def start(self) -> None:
        """Begin to watch the roots that are there; the first scan of each follows by `run`.

        A root that does not answer is not waited for.
        """
        check = self._begin_check()
        await asyncio.wait({check}, timeout=START_SECONDS)
        if check.done():
            check.result()

    async def run(self) -> None:
        """Look at the roots, and rescan them, whenever that is asked for, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._check_when_asked())
                tasks.create_task(self._rescan_when_asked())
        finally:
            for check in self._checks:
                check.cancel()

    async def _check_when_asked(self) -> None:
        while True:
            await self.roots.check_asked()
            self._begin_check()

    async def _rescan_when_asked(self) -> None:
        while True:
            path = await self.roots.next_rescan()
            await persist(partial(self.rescan, path, ASKED), self._troubles)

    async def change(self, roots: Sequence[Root]) -> None:
        """Follow other roots from now on.

        What lies in one that is left out becomes unreachable, unless it lies in another one too: that has it then.
        """
        self.roots.configure(roots)
        wanted = {root.path: root for root in roots}
        left_out = [watched for path, watched in self.watched.items() if path not in wanted]
        self.watched = {path: self.watched.get(path) or WatchedRoot(root) for path, root in wanted.items()}
        for path, root in wanted.items():
            self.watched[path].root = root
        for watched in left_out:
            await self._leave_out(watched)
        await self.check()

    async def _leave_out(self, watched: WatchedRoot) -> None:
        """Follow a root no longer."""
        path = watched.root.path
        heir = self.roots.of(path)
        if heir is None:
            await self._reach.lose(watched, "it is no longer configured")
            return
        self._watcher.remove(path)
        # What could not be read in a root of its own, or waits for its return, is looked at as part of the other one.
        self.watched[heir.path].scanned = False
        await self._context.catalogue.wake_below(path, self._context.clock_ms())
        self.roots.ask_rescan(heir.path)

    async def check(self) -> None:
        """Look at each root itself: is it there, is it the same one, and is it watched?"""
        # All at once: one that does not answer holds up no other.
        roots = [watched for path, watched in self.watched.items() if path not in self._looked_at]
        await asyncio.gather(*(self._look_at(watched) for watched in roots))

    async def _look_at(self, watched: WatchedRoot) -> None:
        path = watched.root.path
        self._looked_at.add(path)
        try:
            identity = await self._context.looks.run(path, identity_at, path)
            async with self._turn:
                if self.watched.get(path) is watched:
                    await self._check(watched, identity)
        except RootSilent as error:
            async with self._turn:
                if self.watched.get(path) is watched:
                    await self._reach.lose(watched, str(error))
        finally:
            self._looked_at.discard(path)

    async def _check(self, watched: WatchedRoot, identity: Identity | None) -> None:
        path = watched.root.path
        if identity is None:
            await self._reach.lose(watched, NOT_THERE)
        elif self.roots.identity(path) != identity:
            await self._follow(watched, identity)
        else:
            reason = await self._coverage.check(watched)
            if reason:
                await self._reach.lose(watched, reason)
        if self.roots.take_doubt(path):
            await self._try_again(watched)
        elif await self._has_other_mounts(watched):
            self.roots.ask_rescan(path)

    async def _follow(self, watched: WatchedRoot, identity: Identity) -> None:
        """Watch a root that is there, for the first time or anew, and have it scanned."""
        was_lost = watched.is_lost
        if not await self._reach.follow(watched, identity):
            return
        if was_lost:
            self._context.record([("root.returned", {"root": watched.root.path})])
            for other in self.watched:  # links there may lead here, and no event tells that they do again
                self.roots.ask_rescan(other)
        await self._try_again(watched)

    async def _try_again(self, watched: WatchedRoot) -> None:
        """Take up, in a root that is there, what may have failed because it was not."""
        await self._context.catalogue.wake_below(watched.root.path, self._context.clock_ms())
        self.roots.ask_rescan(watched.root.path)
        self._on_return()

    async def _has_other_mounts(self, watched: WatchedRoot) -> bool:
        """Return whether something was mounted or unmounted below a root, or around what its links lead to.

        No event says so.
        """
        path, before = watched.root.path, watched.mounts
        watched.mounts = await asyncio.to_thread(mount_points)
        points = {point for _, point in before ^ watched.mounts} if before else set()
        if not points.isdisjoint(watched.around_linked):
            return True
        return bool(points) and await self._context.looks.run(path, is_any_below, points, path)

    async def rescan_all(self, cause: str) -> dict[str, int]:
        """Rescan every reachable root; returns counts of files scanned and of files newly queued."""
        scanned = added = 0
        for watched in list(self.watched.values()):
            if not watched.is_lost:
                found = await self.rescan(watched.root.path, cause)
                scanned += watched.files
                added += found.appeared + found.changed
        self._outside_after = ""
        while await self.look_outside():
            pass
        return {"scanned": scanned, "added": added}

    async def look_outside(self) -> bool:
        """Look at the next of what no root contains: rows of older databases claim files anywhere, and roots go.

        Returns whether there is more; the first ones come after the last.
        """
        folders, after = list(self.watched), self._outside_after
        places = await self._context.catalogue.locations_outside(folders, after, OUTSIDE_AT_ONCE)
        self._outside_after = places[-1].path if len(places) == OUTSIDE_AT_ONCE else ""
        if places:
            await self._scans.look_outside(places)
        return bool(self._outside_after)

    async def rescan(self, path: str, cause: str) -> Tally:
        """Compare a root with the catalogue and take in what differs."""
        watched = self.watched.get(path)
        return Tally() if watched is None else await self._rescans.rescan(watched, cause)
