"""Keep an eye on the roots themselves: watch them, rescan them, and notice when one is gone or comes back.

inotify does not tell that a root was deleted, unmounted or mounted over, so each root's device and inode are looked
at again and again.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from modelkeep.base.clock import now_ms
from modelkeep.base.persistence import persist
from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import leads_through_link
from modelkeep.disk.looks import DiskLooks, apart
from modelkeep.disk.mounts import mount_point_of, mounts_below
from modelkeep.disk.roots import Identity, identity_at
from modelkeep.disk.walk import walk
from modelkeep.domain.naming import Root
from modelkeep.domain.reconcile import Differences, looks_unmounted
from modelkeep.domain.values import LocationState, Priority, Record
from modelkeep.errors import RootSilent
from modelkeep.watch.intake import Intake
from modelkeep.watch.watcher import Watcher

SYSCTL = "sudo sysctl fs.inotify.max_user_watches=1048576"
SYSCTL_INSTANCES = "sudo sysctl fs.inotify.max_user_instances=1024"

START_SECONDS = 3.0
"""How long a start waits for the first look at the roots."""

UNWATCH_SECONDS = 1.0
"""How long it may take to end watching a root."""

ASKED = "events were lost or the root is new"

_EXAMPLES = 20
"""Paths that one record names at most."""


class RootState(StrEnum):
    """How a root is followed."""

    SCANNING = "scanning"
    WATCHING = "watching"
    POLLING = "polling"
    LIMITED = "limited"
    """The kernel's limit of watches is reached: the rest is found by rescans."""
    UNREACHABLE = "unreachable"


@dataclass(slots=True)
class WatchedRoot:
    """A root and how it is followed.

    `remedy` is the command that raises the limit for which the kernel does not watch it, `reason` why it is
    unreachable or limited. `mount_point` is that of the file system on which it was followed, `not_followed` has
    links and the reasons.
    """

    root: Root
    state: RootState = RootState.SCANNING
    folders: int = 0
    files: int = 0
    reason: str = ""
    remedy: str = ""
    scanned: bool = False
    mounts: frozenset[tuple[int, str]] | None = None
    mount_point: str = ""
    not_followed: list[tuple[str, str]] = field(default_factory=list)


class RootKeeper:
    """Line the roots.

    Args:
        watcher: kernel watches and polling.
        intake: takes in what a scan finds.
        catalogue: is told of roots that are gone.
        note: appends records to the journal.
        troubles: is told when the catalogue cannot be read or written.
        looks: looks at paths of the roots.
        on_return: called when a root is back, even if it was away for a moment only: what failed meanwhile is due.
        clock_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        watcher: Watcher,
        intake: Intake,
        catalogue: Catalogue,
        note: Callable[[Sequence[Record]], object],
        troubles: Troubles,
        looks: DiskLooks,
        on_return: Callable[[], None],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._looks = looks
        self.roots = looks.roots
        self._turn = asyncio.Lock()
        self._looked_at: set[str] = set()
        self._checks: set[asyncio.Task[None]] = set()
        self._troubles = troubles
        self._clock_ms = clock_ms
        self._watcher = watcher
        self._intake = intake
        self._catalogue = catalogue
        self._note = note
        self._scanning = asyncio.Lock()
        self._on_return = on_return
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
            await self._lose(watched, "it is no longer configured")
            return
        self._watcher.remove(path)
        # What could not be read in a root of its own, or waits for its return, is looked at as part of the other one.
        self.watched[heir.path].scanned = False
        await self._catalogue.wake_below(path, self._clock_ms())
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
            identity = await self._looks.run(path, identity_at, path)
            async with self._turn:
                if self.watched.get(path) is watched:
                    await self._check(watched, identity)
        except RootSilent as error:
            async with self._turn:
                if self.watched.get(path) is watched:
                    await self._lose(watched, str(error))
        finally:
            self._looked_at.discard(path)

    async def _check(self, watched: WatchedRoot, identity: Identity | None) -> None:
        path = watched.root.path
        if identity is None:
            await self._lose(watched, "the folder is not there")
        elif self.roots.identity(path) != identity:
            await self._follow(watched, identity)
        elif not self._watcher.is_alive(path):
            await self._watch_again(watched)
        elif self._watcher.has_settled(path):
            await self._compare_watches(watched)
        if self.roots.take_doubt(path):
            await self._try_again(watched)
        elif await self._has_other_mounts(watched):
            self.roots.ask_rescan(path)

    async def _try_again(self, watched: WatchedRoot) -> None:
        """Take up, in a root that is there, what may have failed because it was not."""
        await self._catalogue.wake_below(watched.root.path, self._clock_ms())
        self.roots.ask_rescan(watched.root.path)
        self._on_return()

    async def _has_other_mounts(self, watched: WatchedRoot) -> bool:
        """Tell whether something was mounted or unmounted below a root since the last look; no event says so."""
        path = watched.root.path
        before, watched.mounts = watched.mounts, await self._looks.run(path, mounts_below, path)
        return before is not None and before != watched.mounts

    async def rescan_all(self, cause: str) -> dict[str, int]:
        """Rescan every reachable root; returns counts of files scanned and of files newly queued."""
        scanned = added = 0
        for path, watched in list(self.watched.items()):
            if watched.state is not RootState.UNREACHABLE:
                found = await self.rescan(path, cause)
                scanned += watched.files
                added += len(found.appeared) + len(found.changed)
        await self.look_outside()
        return {"scanned": scanned, "added": added}

    async def look_outside(self) -> None:
        """Look at what no root contains: rows of older databases claim files anywhere, and roots come and go."""
        places = await self._catalogue.locations_outside(list(self.watched))
        if places:
            await self._intake.look_outside(places)

    async def rescan(self, path: str, cause: str) -> Differences:
        """Compare a root with the catalogue and take in what differs."""
        watched = self.watched.get(path)
        if watched is None:  # no longer configured
            return Differences()
        try:
            return await self._rescan(watched, cause)
        except RootSilent as error:
            await self._lose(watched, str(error))
            return Differences()

    async def _rescan(self, watched: WatchedRoot, cause: str) -> Differences:
        path = watched.root.path
        async with self._scanning:
            identity = self.roots.identity(path)
            if identity is None or await self._is_out_of_reach(watched, identity):
                return Differences()
            # In a root that is followed anew, what could not be read may be readable, and what was cut off complete.
            listing, found = await self._intake.scan(path, Priority.SWEEP, tries_again=not watched.scanned)
            if not await self._looks.run(path, self.roots.is_same, watched.root):
                return found  # the next check says what has become of it
            by_kernel = await self._looks.run(path, self._watcher.watch_folders, path, listing.folders)
        is_news, watched.not_followed = watched.not_followed != listing.not_followed, listing.not_followed
        self._note_watches(watched, len(listing.folders), by_kernel)
        watched.files = len(listing.files)
        counts = {
            "scanned": len(listing.files),
            "appeared": len(found.appeared),
            "changed": len(found.changed),
            "missing": len(found.missing),
            "returned": len(found.returned),
        }
        if (
            is_news
            or not watched.scanned
            or len(found.appeared) + len(found.changed) + len(found.missing) + len(found.returned)
        ):
            fields: dict[str, object] = {"root": path, "cause": cause, **counts}
            if listing.unreadable:
                fields["unreadable"] = [f"{folder}: {reason}" for folder, reason in listing.unreadable[:_EXAMPLES]]
            if listing.not_followed:
                fields["not_followed"] = [f"{link}: {reason}" for link, reason in listing.not_followed[:_EXAMPLES]]
            self._note([("rescan.finished", fields)])
        watched.scanned = True
        return found

    async def _is_out_of_reach(self, watched: WatchedRoot, identity: Identity) -> bool:
        """Tell, and note, that nobody knows what is in a root: it cannot be read, or is an empty mount point."""
        path = watched.root.path
        try:
            if await self._looks.run(path, _has_entries, path):
                return False
        except OSError as error:
            await self._lose(watched, f"it cannot be read: {error.strerror or error}")
            return True
        known, _ = await self._catalogue.known_below(path)
        if looks_unmounted({}, identity[0], known):
            reason = "the folder is empty and was full on another device: is its drive mounted?"
        elif await self._looks.run(path, _has_another_mount, watched) and known:
            # A folder that is bound to a place may lie on the same device as the place.
            reason = "the folder is empty, and another file system is mounted there than was: is its drive mounted?"
        else:
            return False
        await self._lose(watched, reason)
        return True

    async def _follow(self, watched: WatchedRoot, identity: Identity) -> None:
        """Watch a root that is there, for the first time or anew, and have it scanned."""
        path = watched.root.path
        was_lost = watched.state is RootState.UNREACHABLE and bool(watched.reason)
        if await self._is_out_of_reach(watched, identity) or not await self._watch(watched):
            return
        watched.mount_point = await self._looks.run(path, mount_point_of, path)
        self.roots.follow(path, identity)
        watched.state = RootState.SCANNING
        if was_lost:
            watched.reason = ""
            self._note([("root.returned", {"root": path})])
            for other in self.watched:  # links there may lead here, and no event tells that they do again
                self.roots.ask_rescan(other)
        watched.scanned = False
        await self._try_again(watched)

    async def _watch(self, watched: WatchedRoot) -> bool:
        """Have the kernel watch a root; tells whether the root can be followed, be it by rescans alone."""
        path = watched.root.path
        await self._unwatch(path)
        watched.remedy = ""
        try:
            await self._looks.run(path, self._watcher.add, path)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMFILE):
                await self._lose(watched, f"it cannot be watched: {error.strerror or error}")
                return False
            watched.remedy = SYSCTL if error.errno == errno.ENOSPC else SYSCTL_INSTANCES
        return True

    async def _watch_again(self, watched: WatchedRoot) -> None:
        """Watch a root of which nothing is heard any more, or that the kernel refused to watch until now."""
        path = watched.root.path
        was_refused = bool(watched.remedy)
        if not await self._watch(watched) or watched.remedy:
            return
        if not was_refused:
            self._note([("watch.restarted", {"root": path, "cause": "the thread that watched it had ended"})])
        self.roots.ask_rescan(path)

    async def _compare_watches(self, watched: WatchedRoot) -> None:
        """Prove, after folders changed, that the kernel watches those that are there; else put that right and rescan.

        No event tells of a link to a folder: it is found here.
        """
        path = watched.root.path
        listing = await self._looks.run(path, walk, path, ())
        if not await self._looks.run(path, self.roots.is_same, watched.root):
            return
        wrong = await self._looks.run(path, self._watcher.mend_watches, path, listing.folders)
        astray = await self._looks.run(path, _astray, wrong, watched.root)
        if astray:
            fields = {"root": path, "folders": len(astray), "examples": sorted(astray)[:_EXAMPLES]}
            self._note([("watch.repaired", fields)])
        if wrong or not set(watched.not_followed).issuperset(listing.not_followed):
            self.roots.ask_rescan(path)

    async def _lose(self, watched: WatchedRoot, reason: str) -> None:
        """Note that a root is not there: nothing in it is missing, and nothing is looked at until it returns."""
        if watched.state is RootState.UNREACHABLE and watched.reason:
            return
        path = watched.root.path
        # First of all: a rescan and a look at the root itself may find out side by side.
        watched.state, watched.reason, watched.remedy = RootState.UNREACHABLE, reason, ""
        self.roots.lose(path)
        await self._unwatch(path)
        paths = [root.path for root in self.roots.configured if root.path != path]
        inner = [inside for inside in paths if watched.root.contains(inside)]
        count = await self._catalogue.set_state_below(path, LocationState.PRESENT, LocationState.UNREACHABLE, inner)
        self._note([("root.unreachable", {"root": path, "locations": count, "cause": reason})])

    async def _unwatch(self, path: str) -> None:
        """End watching a root; the thread that does may wait for it."""
        await apart(UNWATCH_SECONDS, partial(self._watcher.remove, path))

    def _note_watches(self, watched: WatchedRoot, folders: int, by_kernel: int) -> None:
        path, before = watched.root.path, watched.state
        watched.folders = folders
        if watched.state is RootState.UNREACHABLE:
            return
        watched.reason = _about_links(watched.not_followed)
        if self._watcher.polls(path):
            watched.state = RootState.POLLING
        elif by_kernel >= folders:
            watched.state = RootState.WATCHING
        else:
            watched.state = RootState.LIMITED
            remedy = watched.remedy or SYSCTL
            watched.reason = f"{folders - by_kernel} of {folders} folders are not watched; raise the limit: {remedy}"
            if before is not RootState.LIMITED:
                fields = {"root": path, "folders": folders, "watched": by_kernel, "remedy": remedy}
                self._note([("watch.limited", fields)])


def _astray(folders: Iterable[str], root: Root) -> list[str]:
    """Leave out folders behind links, of whose coming no event tells."""
    return [folder for folder in folders if not leads_through_link(folder, [root])]


def _has_another_mount(watched: WatchedRoot) -> bool:
    """Tell whether a root lies on another mount than when it was followed."""
    return bool(watched.mount_point) and mount_point_of(watched.root.path) != watched.mount_point


def _about_links(not_followed: Sequence[tuple[str, str]]) -> str:
    """Return what the owner is told of folders and links that are not followed; empty when there are none."""
    if not not_followed:
        return ""
    (path, reason), *others = not_followed
    return f"{path} is not followed: {reason}" + (f"; {len(others)} more like it" if others else "")


def _has_entries(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is not None
