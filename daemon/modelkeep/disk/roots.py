"""The configured roots: which are there, whether each is the folder that is followed, what to look at again."""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from modelkeep.domain.hashing import FileInRoot
from modelkeep.domain.naming import Root, first_around, innermost_first

Identity = tuple[int, int]
"""The device and inode of a folder."""


@dataclass(slots=True)
class _Known:
    """A root; without an identity while it is not followed, `doubtful` when it was not the same at some look."""

    root: Root
    identity: Identity | None = None
    doubtful: bool = False


class Roots:
    """What everybody may know of the roots; who follows them keeps it up to date.

    Args:
        configured: the roots.
        accepts_empty: tells of a path whether a file of zero bytes counts there (stand-in files).
    """

    def __init__(
        self, configured: Iterable[Root] = (), accepts_empty: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.accepts_empty = accepts_empty
        # Replaced as a whole, never changed: threads read it.
        self._known = {root.path: _Known(root) for root in configured}
        self.configured: tuple[Root, ...] = ()
        """The roots."""
        self._innermost_first: Sequence[Root] = ()
        self._list()
        self._check = asyncio.Event()
        self._rescan = asyncio.Event()
        self._rescans: set[str] = set()

    def configure(self, roots: Collection[Root]) -> None:
        """Have other roots from now on; what is known of those that stay is kept."""
        before = self._known
        self._known = {root.path: before.get(root.path) or _Known(root) for root in roots}
        for root in roots:
            self._known[root.path].root = root
        self._list()

    def _list(self) -> None:
        self.configured = tuple(known.root for known in self._known.values())
        self._innermost_first = innermost_first(self.configured)

    def of(self, path: str) -> Root | None:
        """Return the innermost root that contains a path."""
        return first_around(path, self._innermost_first)

    def name(self, path: str) -> FileInRoot:
        """Return a file by its root and its path below it."""
        root = self.of(path)
        if root is None or path == root.path:
            return FileInRoot("", path)
        return FileInRoot(root.path, path.removeprefix(root.path).lstrip("/"))

    # Which of them is there

    def follow(self, path: str, identity: Identity) -> None:
        """Record which folder is followed at a root's path."""
        self._known[path].identity = identity
        self._known[path].doubtful = False

    def lose(self, path: str) -> None:
        """Record that a root is not there, or not followed."""
        if path in self._known:
            self._known[path].identity = None

    def identity(self, path: str) -> Identity | None:
        """Return which folder is followed at a root's path, if one is."""
        known = self._known.get(path)
        return known.identity if known is not None else None

    def is_reachable(self, root: Root) -> bool:
        """Return whether a root was there when it was last looked at."""
        return self.identity(root.path) is not None

    def is_same(self, root: Root) -> bool:
        """Look whether the folder at a root's path is the one that is followed; else it is rescanned once it is."""
        known = self._known.get(root.path)
        if known is None or known.identity is None:
            return False
        same = identity_at(root.path) == known.identity
        known.doubtful |= not same
        return same

    # What to look at again

    def doubt(self, path: str) -> None:
        """Have the root of a path looked at as one that was away for a moment, and what failed in it tried again."""
        root = self.of(path)
        if root is not None:
            self._known[root.path].doubtful = True
            if self.is_reachable(root):
                self.ask_check()

    def take_doubt(self, path: str) -> bool:
        """Return whether a root that is there may not have been there at some moment since this was last asked."""
        known = self._known.get(path)
        if known is None or known.identity is None or not known.doubtful:
            return False
        known.doubtful = False
        return True

    def ask_check(self) -> None:
        """Have the roots themselves looked at now."""
        self._check.set()

    async def check_asked(self) -> None:
        """Wait until the roots themselves are to be looked at."""
        await self._check.wait()
        self._check.clear()

    def ask_rescan(self, path: str) -> None:
        """Have a root rescanned soon; many asks make one rescan."""
        if path in self._known:
            self._rescans.add(path)
            self._rescan.set()

    async def next_rescan(self) -> str:
        """Wait until a root is to be rescanned; returns its path."""
        while not self._rescans:
            self._rescan.clear()
            await self._rescan.wait()
        return self._rescans.pop()


def identity_at(path: str) -> Identity | None:
    """Return what tells the folder at a path from every other; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if os.path.isdir(path) else None
