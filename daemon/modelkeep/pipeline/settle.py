"""Hold files until they are complete. The decision is `domain.settling`; here are the clock and the looks."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import replace

from modelkeep.domain import settling
from modelkeep.domain.settling import Look, Verdict, Watched
from modelkeep.domain.values import Fingerprint
from modelkeep.pipeline.looking import look_at_all
from modelkeep.pipeline.work import Work

MOST_LOOKS = 500
"""Files looked at in one go; the others wait for the next."""

Taken = list[tuple[Work, Fingerprint]]
Refused = tuple[Work, Verdict | None, Look | None]
"""A file that will not be taken: the verdict, or None when nothing readable is there."""


class SettleStage:
    """Keeps the files that may still be written, and looks at each when its quiet time is over.

    Args:
        settle_seconds: quiet time.
        clock: monotonic seconds.
        on_taken: gets the complete ones.
        on_refused: gets those that are no models, are cut off, or are gone.
        accepts_empty: tells of a path whether a file of zero bytes counts there (stand-in files).
    """

    def __init__(
        self,
        settle_seconds: float,
        clock: Callable[[], float],
        on_taken: Callable[[Taken], Awaitable[None]],
        on_refused: Callable[[list[Refused]], Awaitable[None]],
        accepts_empty: Callable[[str], bool],
    ) -> None:
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._on_taken = on_taken
        self._on_refused = on_refused
        self._accepts_empty = accepts_empty
        self._held: dict[str, tuple[Work, Watched]] = {}
        self._due: list[tuple[float, str]] = []
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, work: Work, *, closed: bool, age_seconds: float | None = None) -> None:
        """Hold a file, or note that something happened to one that is held.

        Args:
            work: the file.
            closed: nobody writes it any more, as far as its last event tells.
            age_seconds: time since its mtime for a file that a scan found; None for one that an event told of.
        """
        now = self._clock()
        watched = settling.first_sight(
            work.path, now, closed=closed, age_seconds=age_seconds, settle_seconds=self._settle_seconds
        )
        self._held[work.path] = (work, watched)
        # A first look at once: a closed file whose format proves it whole need not wait.
        self._look_at(now, work.path)

    def holds(self, path: str) -> bool:
        """Tell whether a file is held."""
        return path in self._held

    def forget(self, path: str) -> Work | None:
        """Hold a file no longer; returns its work."""
        held = self._held.pop(path, None)
        return held[0] if held else None

    def rename(self, old: str, new: str) -> None:
        """Follow the rename of a file that is held."""
        held = self._held.pop(old, None)
        if held is not None:
            work, watched = held
            self._held[new] = (work.at(new), replace(watched, path=new, closed=True))
            self._look_at(self._clock(), new)

    async def run(self) -> None:
        """Look at files as they fall due, until cancelled."""
        while True:
            await self._sleep()
            due = self._take_due()
            if due:
                await self._decide(await asyncio.to_thread(look_at_all, due))

    async def _sleep(self) -> None:
        self._wake.clear()
        delay = self._due[0][0] - self._clock() if self._due else None
        if delay is None or delay > 0:
            try:
                await asyncio.wait_for(self._wake.wait(), delay)
            except TimeoutError:
                return

    def _look_at(self, when: float, path: str) -> None:
        heapq.heappush(self._due, (when, path))
        self._wake.set()

    def _take_due(self) -> list[str]:
        now = self._clock()
        due: dict[str, None] = {}
        while self._due and self._due[0][0] <= now and len(due) < MOST_LOOKS:
            path = heapq.heappop(self._due)[1]
            if path in self._held:
                due[path] = None
        return list(due)

    async def _decide(self, looks: dict[str, Look | None]) -> None:
        now = self._clock()
        taken: Taken = []
        refused: list[Refused] = []
        for path, look in looks.items():
            if path not in self._held:  # renamed or gone while it was looked at
                continue
            work, watched = self._held[path]
            if look is None:
                refused.append((work, None, None))
                continue
            watched = settling.observe(watched, look, now)
            verdict = self._verdict(watched, look, now)
            if verdict is Verdict.TAKE:
                taken.append((work, look.fingerprint))
            elif verdict is Verdict.WAIT:
                self._held[path] = (work, watched)
                self._look_at(settling.next_look_at(watched, look, now, self._settle_seconds), path)
            else:
                refused.append((work, verdict, look))
        for path in [*(work.path for work, _ in taken), *(work.path for work, _, _ in refused)]:
            del self._held[path]
        if taken:
            await self._on_taken(taken)
        if refused:
            await self._on_refused(refused)

    def _verdict(self, watched: Watched, look: Look, now: float) -> Verdict:
        verdict = settling.settle(watched, look, now, self._settle_seconds)
        if verdict is Verdict.NO_MODEL and self._accepts_empty(watched.path):
            return Verdict.TAKE
        return verdict
