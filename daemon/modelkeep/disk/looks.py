"""Look at paths of the roots off the event loop, so that a root that does not answer holds up nobody but itself.

Each root has a lane: threads of its own, of which a few run at once. A look that comes no further for some seconds is
left behind; as long as it hangs its root is silent, and no other look at it is begun, so that only a few ever hang.
They are at the same time what notices that the root answers again. What was mounted anew is asked anew.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from modelkeep.base.patience import follow
from modelkeep.disk.files import fingerprints_of, folders_there
from modelkeep.disk.roots import Roots
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.errors import RootSilent

P = ParamSpec("P")
T = TypeVar("T")

SILENCE_SECONDS = 30.0
"""Longer than a sleeping disk takes to spin up."""

STOP_SILENCE_SECONDS = 1.5
"""How long a look may come no further once the daemon stops."""

AT_ONCE = 4
"""Looks at one root that run at the same time."""

HANGING_MAX = 16
"""With so many looks left behind a root is not asked again, whatever is mounted, before one of them ends."""

ASK_AGAIN_SECONDS = 60.0
"""How soon a silent root is asked again although looks at it hang; the more of them, the later."""

_MOUNTS = Path("/proc/self/mountinfo")
_LONGEST_WAIT_SECONDS = 0.5


IDLE_SECONDS = 2.0
"""How long a thread without a look stays."""


class _Look:
    """A function that runs in a thread which nobody joins."""

    def __init__(self, look: Callable[[], Any]) -> None:
        self._look = look
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()
        self.began_at = self.came_on_at = time.monotonic()
        self.place = ""
        self.is_over = False
        self.is_left = False
        self.when_late: Callable[[], object] = lambda: None

    def run(self) -> None:
        """Look, in a thread of its lane."""
        follow(self._note)
        try:
            end, value = self.future.set_result, self._look()
        except BaseException as error:  # whatever it is belongs to whoever waits
            end, value = self.future.set_exception, error
        self.is_over = True
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._tell, end, value)

    def _tell(self, end: Callable[[Any], None], value: Any) -> None:
        if not self.future.done():
            end(value)
        if self.is_left:
            self.when_late()

    def _note(self, place: str) -> None:
        if self.is_left:
            raise RootSilent(place)
        self.place = place
        self.came_on_at = time.monotonic()


class _Threads:
    """Daemon threads that run looks; one that hangs is nobody's any more, and another takes its place."""

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[_Look]] = []
        self._lock = threading.Lock()

    def run(self, look: _Look) -> None:
        """Have a look run, by a thread that has nothing to do or by a new one."""
        with self._lock:
            own = self._idle.pop() if self._idle else None
        if own is None:
            own = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(own,), name="look", daemon=True).start()
        own.put(look)

    def _serve(self, own: "queue.SimpleQueue[_Look]") -> None:
        while True:
            try:
                look = own.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if own in self._idle:
                        self._idle.remove(own)
                        return
                continue  # it is being given a look
            look.run()
            with self._lock:
                self._idle.append(own)


class _Lane:
    """The looks at one root."""

    def __init__(self) -> None:
        self.threads = _Threads()
        self.turn = asyncio.Semaphore(AT_ONCE)
        self._hanging: list[_Look] = []
        self._given_up: list[_Look] = []
        self._mounts = b""
        self._asked_at = 0.0
        self.sentence = ""

    def leave(self, look: _Look, sentence: str) -> None:
        """Wait for a look no longer; when it can go on, it ends."""
        look.is_left = True
        self._hanging.append(look)
        self._mounts = _mounted()
        self._asked_at = time.monotonic()
        self.sentence = sentence

    def answered(self, look: _Look) -> None:
        """Record that a look was answered: what has been hanging before it does so for reasons of its own."""
        if self._hanging and look.began_at > self._asked_at:
            self._given_up += self._hanging
            self._hanging = []

    @property
    def is_silent(self) -> bool:
        """Whether it makes no sense to ask: what was asked before hangs, and still at the same mounts."""
        self._hanging = [look for look in self._hanging if not look.is_over]
        self._given_up = [look for look in self._given_up if not look.is_over]
        if not self._hanging:
            return False
        number = len(self._hanging) + len(self._given_up)
        is_too_soon = time.monotonic() < self._asked_at + ASK_AGAIN_SECONDS * 2**number
        return number >= HANGING_MAX or (is_too_soon and self._mounts == _mounted())


class DiskLooks:
    """Runs looks at paths.

    A root that does not answer is doubted, and all are looked at when a look ends that was left behind.

    Args:
        roots: the configured ones.
        silence_seconds: how long a look may come no further before its root counts as silent.
    """

    def __init__(self, roots: Roots | None = None, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.roots = roots or Roots()
        self._silence_seconds = silence_seconds
        self._lanes: dict[str, _Lane] = {}

    async def run(self, path: str, look: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a look at a path, or at several in one root.

        Raises:
            RootSilent: it was not answered.
        """
        root = self._root_of(path)
        try:
            found: T = await self._ask(self._lanes.setdefault(root, _Lane()), path, lambda: look(*args, **kwargs))
        except RootSilent:
            self.roots.doubt(path)
            raise
        return found

    async def by_root(self, look: Callable[[list[str]], T], paths: Iterable[str]) -> list[T]:
        """Run a look at paths of several roots, in each root for itself; what is silent is left out."""
        return [answer for _, answer in await self._answers(look, paths) if not isinstance(answer, RootSilent)]

    async def found(self, look: Callable[[list[str]], Mapping[str, T]], paths: Iterable[str]) -> dict[str, T]:
        """Run a look at paths of several roots; returns what it tells of each, and nothing of what is silent."""
        return {path: told for part in await self.by_root(look, paths) for path, told in part.items()}

    async def files(self, paths: Iterable[str]) -> dict[str, Fingerprint]:
        """Return the fingerprints of those of very many paths at which a regular file lies."""
        # Most are of few folders. Of one that is not there no file is looked at, nor whose root each would lie in.
        folders: dict[str, list[str]] = {}
        for path in paths:
            folders.setdefault(path.rpartition("/")[0], []).append(path)
        there = chain.from_iterable(await self.by_root(folders_there, folders))
        held = [path for folder in there for path in folders[folder]]
        return await self.found(fingerprints_of, held) if held else {}

    async def told(
        self, look: Callable[[list[str]], Mapping[str, T]], paths: Iterable[str]
    ) -> dict[str, T | RootSilent]:
        """Run a look at paths of several roots; returns what it tells of each, or that its root is silent."""
        told: dict[str, T | RootSilent] = {}
        for group, answer in await self._answers(look, paths):
            told |= dict.fromkeys(group, answer) if isinstance(answer, RootSilent) else answer
        return told

    async def _answers(
        self, look: Callable[[list[str]], T], paths: Iterable[str]
    ) -> list[tuple[list[str], T | RootSilent]]:
        """Run a look in each root; returns the paths in it and the answer."""
        groups: dict[str, list[str]] = {}
        for path in paths:
            groups.setdefault(self._root_of(path), []).append(path)
        looks = (self.run(group[0], look, group) for group in groups.values())
        found: list[tuple[list[str], T | RootSilent]] = []
        for group, answer in zip(groups.values(), await asyncio.gather(*looks, return_exceptions=True), strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, RootSilent):
                raise answer
            found.append((group, answer))
        return found

    def is_silent(self, path: str) -> bool:
        """Return whether looks at the root of a path hang."""
        lane = self._lanes.get(self._root_of(path))
        return lane is not None and lane.is_silent

    def hasten(self) -> None:
        """Wait no longer than a stop may take, from now on."""
        self._silence_seconds = min(self._silence_seconds, STOP_SILENCE_SECONDS)

    def _root_of(self, path: str) -> str:
        root = self.roots.of(path)
        return root.path if root is not None else ""

    async def _ask(self, lane: _Lane, path: str, look: Callable[[], Any]) -> Any:
        async with lane.turn:
            if lane.is_silent:
                raise RootSilent(lane.sentence)
            begun = _Look(look)
            lane.threads.run(begun)
            try:
                return await self._wait(lane, path, begun)
            finally:
                begun.future.cancel()  # nobody asks for what it may still find

    async def _wait(self, lane: _Lane, path: str, look: _Look) -> Any:
        while not look.future.done():
            left = look.came_on_at + self._silence_seconds - time.monotonic()
            if left <= 0:
                place = look.place or path
                seconds = f"{self._silence_seconds:g} s"
                look.when_late = self.roots.ask_check
                lane.leave(look, f"nothing has answered for {seconds} at {place}: is its disk or server alive?")
                raise RootSilent(lane.sentence)
            await asyncio.wait({look.future}, timeout=min(left, _LONGEST_WAIT_SECONDS))
        lane.answered(look)
        return look.future.result()


async def apart(seconds: float, act: Callable[[], object]) -> None:
    """Run something that may hang in a thread that nobody joins, and wait for it no longer than this."""
    look = _Look(act)
    _Threads().run(look)
    await asyncio.wait({look.future}, timeout=seconds)
    if not look.future.cancel():
        look.future.result()


def _mounted() -> bytes:
    try:
        return _MOUNTS.read_bytes()
    except OSError:
        return b""
