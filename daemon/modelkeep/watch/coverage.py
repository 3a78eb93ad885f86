"""Have the kernel watch what lies in a root, and prove that it does."""

import errno
from collections.abc import Iterable
from functools import partial

from modelkeep.disk.files import leads_through_link
from modelkeep.disk.looks import apart
from modelkeep.disk.walk import walk
from modelkeep.domain.naming import Root
from modelkeep.watch.context import Context
from modelkeep.watch.watched_root import SYSCTL, SYSCTL_INSTANCES, RootState, WatchedRoot
from modelkeep.watch.watcher import Watcher

UNWATCH_SECONDS = 1.0
"""How long it may take to end watching a root."""

EXAMPLES = 20
"""Paths that one record names at most."""


class Coverage:
    """Watches the folders of roots.

    Args:
        context: how one looks, and who is told.
        watcher: kernel watches and polling.
    """

    def __init__(self, context: Context, watcher: Watcher) -> None:
        self._context = context
        self._watcher = watcher

    async def begin(self, watched: WatchedRoot) -> str:
        """Have the kernel watch a root; returns why it cannot be followed at all, empty when it can.

        Where the kernel's limit is reached, it is followed by rescans alone.
        """
        path = watched.root.path
        await self.end(path)
        watched.remedy = ""
        try:
            await self._context.looks.run(path, self._watcher.add, path)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMFILE):
                return f"it cannot be watched: {error.strerror or error}"
            watched.remedy = SYSCTL if error.errno == errno.ENOSPC else SYSCTL_INSTANCES
        return ""

    async def end(self, path: str) -> None:
        """End watching a root; the thread that does may wait for it."""
        await apart(UNWATCH_SECONDS, partial(self._watcher.remove, path))

    async def check(self, watched: WatchedRoot) -> str:
        """Look after the watches of a root that is followed; returns why it cannot be followed any more."""
        path = watched.root.path
        if not self._watcher.is_alive(path):
            return await self._begin_again(watched)
        if self._watcher.has_settled(path):
            await self._compare(watched)
        return ""

    async def extend(self, watched: WatchedRoot, folders: list[str]) -> None:
        """Have the kernel watch all folders that a scan found, and note how the root is followed."""
        path, before = watched.root.path, watched.state
        by_kernel = await self._context.looks.run(path, self._watcher.watch_folders, path, folders)
        watched.folders = len(folders)
        if watched.is_lost:
            return
        watched.reason = watched.omissions
        if self._watcher.polls(path):
            watched.state = RootState.POLLING
        elif by_kernel >= len(folders):
            watched.state = RootState.WATCHING
        else:
            self._limit(watched, by_kernel, is_news=before is not RootState.LIMITED)

    def _limit(self, watched: WatchedRoot, by_kernel: int, *, is_news: bool) -> None:
        """Record that the kernel does not watch all folders of a root, and what would help."""
        folders, remedy = watched.folders, watched.remedy or SYSCTL
        watched.state = RootState.LIMITED
        watched.reason = f"{folders - by_kernel} of {folders} folders are not watched; raise the limit: {remedy}"
        if is_news:
            fields = {"root": watched.root.path, "folders": folders, "watched": by_kernel, "remedy": remedy}
            self._context.record([("watch.limited", fields)])

    async def _begin_again(self, watched: WatchedRoot) -> str:
        """Watch a root of which nothing is heard any more, or that the kernel refused to watch until now."""
        was_refused = bool(watched.remedy)
        reason = await self.begin(watched)
        if reason or watched.remedy:
            return reason
        path = watched.root.path
        if not was_refused:
            cause = "the thread that watched it had ended"
            self._context.record([("watch.restarted", {"root": path, "cause": cause})])
        self._context.roots.ask_rescan(path)
        return ""

    async def _compare(self, watched: WatchedRoot) -> None:
        """Prove, after folders changed, that the kernel watches those that are there; else put that right and rescan.

        No event tells of a link to a folder: it is found here.
        """
        path, looks, roots = watched.root.path, self._context.looks, self._context.roots
        listing = await looks.run(path, walk, path, ())
        if not await looks.run(path, roots.is_same, watched.root):
            return
        watched.around_linked = listing.around_linked
        wrong = await looks.run(path, self._watcher.mend_watches, path, listing.folders)
        astray = await looks.run(path, _astray, wrong, watched.root)
        if astray:
            fields = {"root": path, "folders": len(astray), "examples": sorted(astray)[:EXAMPLES]}
            self._context.record([("watch.repaired", fields)])
        if wrong or not set(watched.not_followed).issuperset(listing.not_followed):
            roots.ask_rescan(path)


def _astray(folders: Iterable[str], root: Root) -> list[str]:
    """Leave out folders behind links, of whose coming no event tells."""
    return [folder for folder in folders if not leads_through_link(folder, [root])]
