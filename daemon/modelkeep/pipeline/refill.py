"""Fetch what is due from the queue in the catalogue, so that the stages always have enough and never too much.

Rows of whose files another tool has told a hash come last. When nothing is due, claims and doubts are, and after
those the files of which something was not read yet.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from modelkeep.base.persistence import persist
from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import away, why_all_unseen
from modelkeep.domain.claims import Marked
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import DueRow, Location, Priority
from modelkeep.errors import HashError
from modelkeep.pipeline.arrivals import IN_HAND_MAX, Arrivals
from modelkeep.pipeline.contents import Contents
from modelkeep.pipeline.failed_claims import FailedClaims
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.refusals import OUTSIDE

IN_HAND_LOW = 1_400
"""With fewer than this in hand, more are fetched."""

CLAIMS_MAX = 1_000
"""Claims looked at in one go, and rows in hand of whose files hashes are claimed: others may become due meanwhile."""

UNREAD_SWEEPS = 60
"""After so many sweeps, by default in an hour, files that could not be read for what their content lacks are again.

Their disk may fail, and nobody waits for them.
"""


class Refill:
    """Fetches due rows, and claims and doubts when nothing else is to do.

    Args:
        catalogue: the queue.
        arrivals: where it goes.
        parking: notes on rows why they cannot be taken up now.
        clock_ms: milliseconds since 1970.
        troubles: holds a report when the catalogue cannot be read or written.
        looks: looks at paths of the roots.
        contents: tells of which files something is still to be read.
        asked: is set when there is room for more, or there may be more.
        on_absent: has a path looked at where a file should be, and was not seen.
        failed_claims: says which claims and doubts are to be left alone for now.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        arrivals: Arrivals,
        parking: Parking,
        clock_ms: Callable[[], int],
        troubles: Troubles,
        looks: DiskLooks,
        contents: Contents,
        asked: asyncio.Event,
        on_absent: Callable[[str], None],
        failed_claims: FailedClaims,
    ) -> None:
        self._failed_claims = failed_claims
        self._contents = contents
        self._looks = looks
        self._troubles = troubles
        self._catalogue = catalogue
        self._arrivals = arrivals
        self._parking = parking
        self._roots = looks.roots
        self._clock_ms = clock_ms
        self._claims_tried: set[str] = set()
        self._sweeps = 0
        self._asked = asked
        self._on_absent = on_absent
        self.resting = False
        """While true nothing is fetched (a pause, a stop)."""

    def ask(self) -> None:
        """Say that there is room for more, or that there may be more."""
        self._asked.set()

    def sweep(self) -> None:
        """Take up what is due, and try again the claims that could not be looked at, or not be read for long."""
        self._claims_tried = self._failed_claims.swept()
        self._sweeps += 1
        if self._sweeps % UNREAD_SWEEPS == 0:
            self._contents.try_again()
        self._asked.set()

    def try_anew(self) -> None:
        """Take up what is due, and try again whatever could not be read, however often: its disk is back, perhaps."""
        self._failed_claims.forget_all()
        self._contents.try_again()
        self.sweep()

    def doubted(self, paths: Sequence[str]) -> None:
        """Have those of these files read that are claimed or doubted, when nothing else is to do.

        Something happened to them: they may not have been there, or by another name, when they were tried.
        """
        self._failed_claims.forget(paths)
        if not self._claims_tried.isdisjoint(paths):
            self._claims_tried.difference_update(paths)
            self._contents.try_again()
        if paths:
            self._asked.set()

    async def run(self) -> None:
        """Fetch whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not self.resting and len(self._arrivals.jobs.rows) <= IN_HAND_LOW:
                await persist(self._fetch, self._troubles)

    async def _fetch(self) -> None:
        in_hand = self._arrivals.jobs.rows
        rows = await self._catalogue.due_pending(self._clock_ms(), IN_HAND_MAX - len(in_hand), in_hand.keys())
        if not rows and len(in_hand) < CLAIMS_MAX:
            room = CLAIMS_MAX - len(in_hand)
            rows = await self._catalogue.due_pending(self._clock_ms(), room, in_hand.keys(), claimed=True)
        if rows:
            await self._enqueue_due(rows)
        elif not len(self._arrivals.jobs):
            await self._confirm_claims()

    async def _enqueue_due(self, rows: Sequence[DueRow]) -> None:
        errors = {row.id: error for row in rows if (error := self._out_of_reach(row)) is not None}
        near = [row for row in rows if row.id not in errors]
        present = await self._looks.found(fingerprints_of, [row.path for row in near])
        rows, near = ([row for row in some if not self._is_in_hand(row)] for some in (rows, near))
        absent = [row for row in near if row.path not in present]
        look = partial(why_all_unseen, roots=self._roots)
        seen = await self._looks.told(look, [row.path for row in absent])
        reasons = [seen[row.path] for row in absent]
        errors |= {row.id: reason for row, reason in zip(absent, reasons, strict=True) if reason is not None}
        if errors or None in reasons:
            await self._parking.put_off([(row, errors[row.id]) for row in rows if row.id in errors])
            self.ask()  # the next ones may not have to be put off; and what was renamed meanwhile was not
        found = [(row, present[row.path]) for row in near if row.path in present]
        self._arrivals.enqueue(found, Priority.SWEEP, closed=False)

    def _is_in_hand(self, row: DueRow) -> bool:
        """Return whether an event has brought a row in hand meanwhile, or the judgement of its file is about to."""
        return row.id in self._arrivals.jobs.rows or self._arrivals.jobs.is_judged(row.path)

    def _out_of_reach(self, row: DueRow) -> HashError | None:
        """Return why a row's file may not be opened now."""
        root = self._roots.of(row.path)
        if root is None:
            return HashError(OUTSIDE)
        if not self._roots.is_reachable(root):
            return away(root)
        return None

    async def _confirm_claims(self) -> None:
        wanted = CLAIMS_MAX, self._claims_tried, [root.path for root in self._roots.configured]
        locations = await self._catalogue.claims(*wanted) or await self._contents.unread(*wanted)
        inside = [location for location in locations if self._roots.of(location.path) is not None]
        # Before anybody looks: what happens to a file from now on has it tried again.
        self._claims_tried |= {location.path for location in locations}
        present = await self._looks.found(fingerprints_of, [location.path for location in inside])
        for location in inside:
            if location.path not in present:
                self._on_absent(location.path)
        there = {location: present[location.path] for location in inside if location.path in present}
        chosen = _without_other_names(there)
        marked = await self._catalogue.mark_claims(chosen, self._clock_ms()) if chosen else Marked()
        # What is read of one name may tell something else of the file than was known, and settles no other name then.
        self._claims_tried -= {location.path for location in there.keys() - chosen.keys()}
        self.doubted(marked.outdated)
        for location, fingerprint in marked.wanted.items():
            self._arrivals.confirm(location, fingerprint)
        if locations and not marked.wanted:
            self.ask()  # nothing is read now at whose end somebody would: the next ones may be


def _without_other_names(locations: Mapping[Location, Fingerprint]) -> dict[Location, Fingerprint]:
    """Leave out doubted names of a file that is read by another one: that settles the doubt about all of them."""
    chosen: dict[Location, Fingerprint] = {}
    read: set[tuple[str, int, int]] = set()
    for location, status in locations.items():
        file = (location.sha256, status.device, status.inode)
        if location.claimed or file not in read:
            chosen[location] = status
        read.add(file)
    return chosen
