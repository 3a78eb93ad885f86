"""Fetch what is due from the queue in the catalogue, so that the stages always have enough and never too much."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from modelkeep.base.persistence import persist
from modelkeep.base.troubles import Troubles
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import away, why_unseen
from modelkeep.domain.values import Fingerprint, Location, PendingImport, Priority
from modelkeep.errors import HashError, RootSilent
from modelkeep.pipeline.jobs import Job

IN_HAND_MAX = 2_000
"""Rows of the queue in memory at once; the rest waits in the catalogue."""

IN_HAND_LOW = 500
"""With fewer than this in hand, more are fetched."""

CLAIMS_MAX = 1_000
"""Claims looked at in one go."""

SILENT = "its disk or server does not answer"
OUTSIDE = (
    "it lies in none of the configured roots: add its folder as a root, or import again with --map OLD=NEW "
    "if the folder has another name on this machine"
)


class HoldsQueue(Protocol):
    """What is needed of the catalogue."""

    async def due_pending(self, now_ms: int, limit: int, without_ids: Collection[int] = ()) -> list[PendingImport]:
        """Return the rows that are due."""

    async def claims(self, limit: int, without_paths: Collection[str] = ()) -> list[Location]:
        """Return locations whose hash is a claim, or doubted."""

    async def mark_claims(
        self, looked_at: Mapping[Location, Fingerprint], now_ms: int
    ) -> dict[Location, Fingerprint]:
        """Note by which fingerprint the files of claims are known while they are read; returns those to be read."""


class TakesWork(Protocol):
    """What is needed of the stages."""

    @property
    def in_hand(self) -> Mapping[int, Job]:
        """The rows that are on their way."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""

    def enqueue(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        """Settle rows."""

    def confirm(self, location: Location, fingerprint: Fingerprint) -> None:
        """Hash a file whose hash is a claim, or doubted."""


class Refill:
    """Fetches due rows, and claims and doubts when nothing else is to do.

    Args:
        catalogue: the queue.
        line: the stages.
        park: notes on rows why they cannot be taken up now.
        clock_ms: milliseconds since 1970.
        troubles: is told when the catalogue cannot be read or written.
        looks: looks at paths of the roots.
    """

    def __init__(
        self,
        catalogue: HoldsQueue,
        line: TakesWork,
        park: Callable[[Sequence[tuple[PendingImport, HashError]]], Awaitable[None]],
        *,
        clock_ms: Callable[[], int],
        troubles: Troubles,
        looks: DiskLooks,
    ) -> None:
        self._looks = looks
        self._troubles = troubles
        self._catalogue = catalogue
        self._line = line
        self._park = park
        self._roots = looks.roots
        self._clock_ms = clock_ms
        self._claims_tried: set[str] = set()
        self._asked = asyncio.Event()
        self.resting = False
        """While true nothing is fetched (a pause, a stop)."""

    def ask(self) -> None:
        """Say that there is room for more, or that there may be more."""
        self._asked.set()

    def sweep(self) -> None:
        """Take up what is due, and try again the claims that could not be looked at."""
        self._claims_tried.clear()
        self._asked.set()

    def doubted(self, paths: Sequence[str]) -> None:
        """Have files read again when nothing else is to do."""
        if paths:
            self._claims_tried.difference_update(paths)
            self._asked.set()

    async def run(self) -> None:
        """Fetch whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not self.resting and len(self._line.in_hand) <= IN_HAND_LOW:
                await persist(self._fetch, self._troubles)

    async def _fetch(self) -> None:
        in_hand = self._line.in_hand
        rows = await self._catalogue.due_pending(self._clock_ms(), IN_HAND_MAX - len(in_hand), in_hand.keys())
        if rows:
            await self._enqueue_due(rows)
        elif self._line.is_idle:
            await self._confirm_claims()

    async def _enqueue_due(self, rows: Sequence[PendingImport]) -> None:
        errors = {row.id: error for row in rows if (error := self._out_of_reach(row)) is not None}
        near = [row for row in rows if row.id not in errors]
        present = await self._looks.found(fingerprints_of, [row.path for row in near])
        # An event may have brought some of them in hand meanwhile.
        rows, near = ([row for row in some if row.id not in self._line.in_hand] for some in (rows, near))
        absent = [row for row in near if row.path not in present]
        seen = await self._looks.found(self._why_unseen, [row.path for row in absent])
        reasons = [seen.get(row.path, RootSilent(SILENT)) for row in absent]
        errors |= {row.id: reason for row, reason in zip(absent, reasons, strict=True) if reason is not None}
        if errors or None in reasons:
            await self._park([(row, errors[row.id]) for row in rows if row.id in errors])
            self.ask()  # the next ones may not have to be put off; and what was renamed meanwhile was not
        found = [(row, present[row.path]) for row in near if row.path in present]
        self._line.enqueue(found, Priority.SWEEP, closed=False)

    def _out_of_reach(self, row: PendingImport) -> HashError | None:
        """Return why a row's file may not be opened now."""
        root = self._roots.of(row.path)
        if root is None:
            return HashError(OUTSIDE)
        if not self._roots.is_reachable(root):
            return away(root)
        return None

    async def _confirm_claims(self) -> None:
        places = await self._catalogue.claims(CLAIMS_MAX, self._claims_tried)
        inside = [place for place in places if self._roots.of(place.path) is not None]
        present = await self._looks.found(fingerprints_of, [place.path for place in inside])
        self._claims_tried |= {place.path for place in places}
        there = _without_other_names({place: present[place.path] for place in inside if place.path in present})
        for place, fingerprint in (
            await self._catalogue.mark_claims(there, self._clock_ms()) if there else {}
        ).items():
            self._line.confirm(place, fingerprint)

    def _why_unseen(self, paths: Sequence[str]) -> dict[str, HashError | None]:
        return {path: why_unseen(path, self._roots) for path in paths}


def _without_other_names(places: Mapping[Location, Fingerprint]) -> dict[Location, Fingerprint]:
    """Leave out doubted names of a file that is read by another one: that settles the doubt about all of them."""
    chosen: dict[Location, Fingerprint] = {}
    read: set[tuple[str, int, int]] = set()
    for place, status in places.items():
        file = (place.sha256, status.device, status.inode)
        if place.claimed or file not in read:
            chosen[place] = status
        read.add(file)
    return chosen
