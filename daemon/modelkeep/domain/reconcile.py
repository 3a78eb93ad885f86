"""Compare a root as it lies on disk with what the catalogue knows of it. Pure: both sides are arguments.

The result says what has to be done; a file whose fingerprint is known needs no reading, wherever it lies now.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from modelkeep.domain.values import Fingerprint, Location, LocationState, PendingState


@dataclass(slots=True)
class Differences:
    """What a scan found, by path.

    `appeared` is unknown at its path, `changed` holds other content than it did, `returned` was missing or
    unreachable, `seen` waits to have a claim confirmed and is seen for the first time, `queued` waits in the queue as
    missing though it is there, `missing` is no longer there.
    """

    appeared: dict[str, Fingerprint] = field(default_factory=dict)
    changed: dict[str, Fingerprint] = field(default_factory=dict)
    returned: dict[str, Fingerprint] = field(default_factory=dict)
    seen: dict[str, Fingerprint] = field(default_factory=dict)
    queued: dict[str, Fingerprint] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unchanged: int = 0

    def add(self, other: "Differences") -> None:
        """Take over what a scan of another folder found."""
        self.appeared |= other.appeared
        self.changed |= other.changed
        self.returned |= other.returned
        self.seen |= other.seen
        self.queued |= other.queued
        self.missing += other.missing
        self.unchanged += other.unchanged


def compare(
    on_disk: Mapping[str, Fingerprint], known: Iterable[Location], pending: Mapping[str, PendingState]
) -> Differences:
    """Return the differences between a folder on disk and in the catalogue.

    Args:
        on_disk: path and fingerprint of every model file below the folder.
        known: the catalogue's locations below the folder.
        pending: paths below the folder that are in the queue, with the state of their rows.
    """
    found = Differences()
    located = set()
    for location in known:
        located.add(location.path)
        status = on_disk.get(location.path)
        if status is None:
            if location.state is not LocationState.MISSING:
                found.missing.append(location.path)
        else:
            _note_present(location, status, found)
    for path, fingerprint in on_disk.items():
        if path in pending:
            # A row in conflict waits for no file: it is about a content, and another file may lie there.
            if pending[path] is PendingState.MISSING or (
                pending[path] is PendingState.CONFLICT and path not in located
            ):
                found.queued[path] = fingerprint
        elif path not in located:
            found.appeared[path] = fingerprint
    gone = set(found.missing)
    lost = (path for path, state in pending.items() if path not in on_disk and state is not PendingState.MISSING)
    found.missing += [path for path in lost if path not in gone]
    return found


def _note_present(location: Location, status: Fingerprint, found: Differences) -> None:
    if location.fingerprint is None:
        found.seen[location.path] = status
    elif not status.same_file_at_same_path(location.fingerprint):
        found.changed[location.path] = status
    elif location.state is not LocationState.PRESENT or status != location.fingerprint:
        found.returned[location.path] = status
    else:
        found.unchanged += 1


@dataclass(frozen=True, slots=True)
class Twin:
    """The location whose content a new path has by its fingerprint.

    `moved` when that lies there no more, and `replaced` when another file does.
    """

    location: Location
    moved: bool
    replaced: bool = False


def find_twin(
    path: str,
    fingerprint: Fingerprint,
    candidates: Iterable[Location],
    status_of: Callable[[str], Fingerprint | None],
) -> Twin | None:
    """Return the known location that a new path is: its new place after a move, or a link to it.

    Args:
        path: the new path.
        fingerprint: of the file that lies there.
        candidates: hashed locations with that fingerprint.
        status_of: looks at a path on disk; None when no file is there.
    """
    link: Twin | None = None
    for location in candidates:
        if location.path == path:
            continue
        there = status_of(location.path)
        if there != fingerprint:
            return Twin(location, moved=True, replaced=there is not None)
        link = link or Twin(location, moved=False)
    return link


def looks_unmounted(on_disk: Mapping[str, Fingerprint], device: int, known: Iterable[Location]) -> bool:
    """Tell whether a folder is empty because its drive is not mounted: it was full, on another device."""
    devices = {
        location.fingerprint.device
        for location in known
        if location.fingerprint is not None and location.state is not LocationState.MISSING
    }
    return not on_disk and bool(devices) and device not in devices
