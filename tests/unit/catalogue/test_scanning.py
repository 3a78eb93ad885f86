"""A scan asks only for what differs, and is told all that it would be told of everything."""

from dataclasses import astuple

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store import scanning
from modelkeep.domain.detection import Found
from modelkeep.domain.fingerprint import Entry, Fingerprint
from modelkeep.domain.naming import Span
from modelkeep.domain.parking import Parked
from modelkeep.domain.reconcile import compare
from modelkeep.domain.values import Location, LocationState, PendingState

from .conftest import NOT_UTF8, NOW, ROOTS, A, hashed

STATES = list(LocationState)
SAME = Fingerprint(1, 7, 10, 7, 7, 7)
NUMBERS = {
    "same": SAME,
    "touched": SAME._replace(ctime_ns=8),
    "other": SAME._replace(inode=8),
    "of far away": Fingerprint(2**64 - 1, 2**63, 7, -(10**15), 5, None),
    "unknown": None,
}


def entry(path: str, known: Fingerprint) -> Entry:
    return (path, known.device, known.inode, known.size_bytes, known.mtime_ns, known.ctime_ns or 0, known.birth_ns)


async def fill(catalogue: Catalogue) -> set[Entry]:
    """Bring in files of every kind that there is, known and on disk, and return what lies on the disk."""
    await hashed(catalogue, "/elsewhere/a.pt", A)
    on_disk: set[Entry] = set()
    known: list[Location] = []
    queued: list[Found] = []
    for then, before in NUMBERS.items():
        for now, after in NUMBERS.items():
            for state in STATES:
                for is_queued in (False, True):
                    path = f"/m/{then} {now} {state} \U0001f600{NOT_UTF8.replace('/', '') if is_queued else ''}"
                    known.append(Location(path, A, state, before, doubted=is_queued and now == "same"))
                    if after is not None:
                        on_disk.add(entry(path, after))
                    if is_queued:
                        queued.append(Found(path, 7))
    on_disk |= {entry(f"/m/new {number}.pt", SAME._replace(inode=100 + number)) for number in range(3)}
    queued += [Found("/m/new 1.pt", 7), Found("/m/gone.pt", 7)]
    await catalogue.put_locations(known, NOW)
    rows = [row for row, _ in await catalogue.detect(queued, ROOTS, NOW)]
    states = [PendingState.CONFLICT, PendingState.FAILED, PendingState.MISSING]
    await catalogue.park(
        [Parked(row.id, row.path, states[number % 3], "why", NOW, 1) for number, row in enumerate(rows[:-2])]
    )
    return on_disk


@pytest.mark.parametrize("singly_max", [0, 5_000])
async def test_what_differs_says_as_much_as_everything(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, singly_max: int
) -> None:
    monkeypatch.setattr(scanning, "SINGLY_MAX", singly_max)
    on_disk = await fill(catalogue)
    everything = compare(
        {entry[0]: Fingerprint.of(*entry[1:]) for entry in on_disk}, *await catalogue.known_below("/m")
    )
    compared = await catalogue.compare_within(Span.below("/m"), on_disk)
    found = compare(
        {entry[0]: Fingerprint.of(*entry[1:]) for entry in compared.entries}, compared.known, compared.pending
    )
    assert everything.unchanged > found.unchanged
    for differences in (everything, found):
        differences.missing.sort()
        differences.unchanged = 0
    assert found == everything
    assert set(compared.failed_sizes) <= set(compared.pending)
    assert compared.failed_sizes


async def test_of_a_tree_that_did_not_change_nothing_is_fetched(catalogue: Catalogue) -> None:
    await hashed(catalogue, "/elsewhere/a.pt", A)
    prints = {f"/m/{number}.pt": SAME._replace(inode=number) for number in range(3)}
    await catalogue.put_locations(
        [Location(path, A, LocationState.PRESENT, known) for path, known in prints.items()], NOW
    )
    on_disk = {entry(path, known) for path, known in prints.items()}
    assert astuple(await catalogue.compare_within(Span.below("/m"), on_disk)) == ([], [], {}, {})
