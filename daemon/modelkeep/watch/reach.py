"""Return whether a root can be followed now, and note when it cannot: nothing in it is missing then."""

import os

from modelkeep.disk.mounts import mount_point_of
from modelkeep.disk.roots import Identity
from modelkeep.domain.reconcile import looks_unmounted
from modelkeep.domain.values import LocationState
from modelkeep.watch.context import Context
from modelkeep.watch.coverage import Coverage
from modelkeep.watch.watched_root import RootState, WatchedRoot

NOT_THERE = "the folder is not there"


class Reach:
    """Knows which roots are within reach.

    Args:
        context: what is known, who is told, and how one looks.
        coverage: watches what is within reach.
    """

    def __init__(self, context: Context, coverage: Coverage) -> None:
        self._context = context
        self._coverage = coverage

    async def follow(self, watched: WatchedRoot, identity: Identity) -> bool:
        """Begin to watch a root that is there, for the first time or anew; returns whether it can be followed."""
        path = watched.root.path
        if not await self.can_be_told(watched, identity):
            return False
        reason = await self._coverage.begin(watched)
        if reason:
            await self.lose(watched, reason)
            return False
        watched.mount_point = await self._context.looks.run(path, mount_point_of, path)
        self._context.roots.follow(path, identity)
        watched.state, watched.reason, watched.scanned = RootState.SCANNING, "", False
        return True

    async def can_be_told(self, watched: WatchedRoot, identity: Identity) -> bool:
        """Return whether it can be known what is in a root; else, as in an empty mount point, it is lost."""
        reason = await self._obstacle(watched, identity)
        if reason:
            await self.lose(watched, reason)
        return not reason

    async def _obstacle(self, watched: WatchedRoot, identity: Identity) -> str:
        path, looks = watched.root.path, self._context.looks
        try:
            if await looks.run(path, _has_entries, path):
                return ""
        except FileNotFoundError:  # it went since its identity was asked
            return NOT_THERE
        except OSError as error:
            return f"it cannot be read: {error.strerror or error}"
        known, _ = await self._context.catalogue.known_below(path)
        if looks_unmounted({}, identity[0], known):
            return "the folder is empty and was full on another device: is its drive mounted?"
        if await looks.run(path, _has_another_mount, watched) and known:
            # A folder that is bound to a place may lie on the same device as the place.
            return "the folder is empty, and another file system is mounted there than was: is its drive mounted?"
        return ""

    async def lose(self, watched: WatchedRoot, reason: str) -> None:
        """Record that a root is not there: nothing in it is missing, and nothing is looked at until it returns.

        What was on its way when it was lost may have been committed since: said again, that is noted too.
        """
        path = watched.root.path
        if watched.is_lost:
            if watched.lost_at != self._context.catalogue.changes:
                await self._set_unreachable(watched)
            return
        # First of all: a rescan and a look at the root itself may find out side by side.
        watched.state, watched.reason, watched.remedy = RootState.UNREACHABLE, reason, ""
        self._context.roots.lose(path)
        await self._coverage.end(path)
        count = await self._set_unreachable(watched)
        self._context.record([("root.unreachable", {"root": path, "locations": count, "cause": reason})])

    async def _set_unreachable(self, watched: WatchedRoot) -> int:
        """Note that nobody knows of what lies in a root; returns of how many locations that was not known."""
        path, catalogue = watched.root.path, self._context.catalogue
        paths = [root.path for root in self._context.roots.configured if root.path != path]
        inner = [inside for inside in paths if watched.root.contains(inside)]
        before = catalogue.changes
        count = await catalogue.set_state_below(path, LocationState.PRESENT, LocationState.UNREACHABLE, inner)
        watched.lost_at = before + (count > 0)
        return count


def _has_another_mount(watched: WatchedRoot) -> bool:
    """Return whether a root lies on another mount than when it was followed."""
    return bool(watched.mount_point) and mount_point_of(watched.root.path) != watched.mount_point


def _has_entries(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is not None
