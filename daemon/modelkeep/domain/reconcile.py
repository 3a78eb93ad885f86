"""Compare a root as it lies on disk with what the catalogue knows of it. Pure: both sides are arguments.

The result says what has to be done; a file whose fingerprint is known needs no reading, wherever it lies now.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, LocationState, PendingState, Record

NAMING_NS = 250_000_000
"""By so much the times may differ that a rename gives to the file and to its folder: they are set one by one."""


@dataclass(slots=True)
class Differences:
    """What a scan found, by path.

    `appeared` is unknown at its path, `changed` holds other content than it did, `touched` may do so: its size and
    times are as they were, and yet something happened to it. `returned` was missing or unreachable, `seen` waits to
    have a claim confirmed and is seen for the first time, `queued` waits in the queue as missing though it is there,
    `missing` is no longer there.
    """

    appeared: dict[str, Fingerprint] = field(default_factory=dict)
    changed: dict[str, Fingerprint] = field(default_factory=dict)
    touched: dict[str, Fingerprint] = field(default_factory=dict)
    returned: dict[str, Fingerprint] = field(default_factory=dict)
    seen: dict[str, Fingerprint] = field(default_factory=dict)
    queued: dict[str, Fingerprint] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unchanged: int = 0

    def add(self, other: "Differences") -> None:
        """Take over what a scan of another folder found."""
        self.appeared |= other.appeared
        self.changed |= other.changed
        self.touched |= other.touched
        self.returned |= other.returned
        self.seen |= other.seen
        self.queued |= other.queued
        self.missing += other.missing
        self.unchanged += other.unchanged

    def paths(self) -> list[str]:
        """Return every path at which something differs."""
        by_kind = (self.appeared, self.changed, self.touched, self.returned, self.seen, self.queued)
        return list(dict.fromkeys(chain(self.missing, *by_kind)))

    def __len__(self) -> int:
        """Return at how many paths something differs."""
        by_kind = (self.appeared, self.changed, self.touched, self.returned, self.seen, self.queued, self.missing)
        return sum(map(len, by_kind))

    def at(self, paths: Collection[str]) -> "Differences":
        """Return the differences at some of the paths."""
        chosen = set(paths)

        def part(files: Mapping[str, Fingerprint]) -> dict[str, Fingerprint]:
            return {path: files[path] for path in paths if path in files}

        return Differences(
            part(self.appeared),
            part(self.changed),
            part(self.touched),
            part(self.returned),
            part(self.seen),
            part(self.queued),
            [path for path in self.missing if path in chosen],
        )


@dataclass(slots=True)
class Tally:
    """What a scan found in all of its portions: how many files of a kind, and those that are judged after the others.

    A file that appeared elsewhere takes its location along, and is `missing` no more then.
    """

    appeared: int = 0
    changed: int = 0
    returned: int = 0
    missing: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    def add(self, found: Differences) -> None:
        """Count what a portion holds."""
        self.appeared += len(found.appeared)
        self.changed += len(found.changed)
        self.returned += len(found.returned)
        self.missing += found.missing
        self.touched += found.touched


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
    elif is_touched(location, status):
        found.touched[location.path] = status
    elif location.state is not LocationState.PRESENT or (status != location.fingerprint and not location.doubted):
        found.returned[location.path] = status
    else:
        found.unchanged += 1


def is_touched(location: Location, status: Fingerprint) -> bool:
    """Return whether something happened to a known file that may have changed what it holds, and it is not known yet.

    A claim waits to be read anyway.
    """
    if location.claimed or status.is_untouched_since(location.fingerprint):
        return False
    return not location.doubted or location.state is not LocationState.PRESENT


class Looks(Protocol):
    """Looks at the disk."""

    def fingerprint_of(self, path: str) -> Fingerprint | None:
        """Return the fingerprint of the file at a path; None when there is none."""

    def named_at(self, path: str) -> int | None:
        """Return when a name in the folder of a path was given or taken last; None for a symbolic link."""

    def was_written(self, path: str) -> bool:
        """Return whether an event says that somebody wrote at a path just now."""

    def was_removed(self, path: str) -> bool:
        """Return whether an event says that the name at a path was taken away just now."""


@dataclass(frozen=True, slots=True)
class Twin:
    """The location whose content a new path has by its fingerprint.

    `moved` when that lies there no more, and `replaced` when another file does. `is_doubtful`: it is the same file,
    and something else than the new name may have happened to it.
    """

    location: Location
    moved: bool
    replaced: bool = False
    is_doubtful: bool = False


def find_twin(path: str, fingerprint: Fingerprint, candidates: Iterable[Location], disk: Looks) -> Twin | None:
    """Return the known location that a new path is: its new place after a move, or a link to it.

    A new name is a reason for another ctime; that the file is the old one, and not one that was given its inode
    number, has to be sure then.

    Args:
        path: the new path.
        fingerprint: of the file that lies there.
        candidates: hashed locations of the file with that inode, size and mtime.
        disk: looks at paths.
    """
    link: Twin | None = None
    others = [location for location in candidates if location.path != path]
    # It was written since one of them was read, and which of them was read last says nothing about a touched one.
    is_disputed = len({location.sha256 for location in others}) > 1
    for location in others:
        known = location.fingerprint
        if known is None:
            continue
        is_same = known.ctime_ns == fingerprint.ctime_ns and not location.doubted
        if not is_same and not fingerprint.is_surely_born_with(known):
            continue
        is_doubtful = not is_same and (
            is_disputed
            or location.doubted
            or disk.was_written(location.path)
            or not _explains(path, fingerprint, disk)
        )
        there = disk.fingerprint_of(location.path)
        if not fingerprint.is_same_inode(there):
            return Twin(location, moved=True, replaced=there is not None, is_doubtful=is_doubtful)
        if link is None or link.is_doubtful:
            link = Twin(location, moved=False, is_doubtful=is_doubtful)
    return link


def is_explained(location: Location, status: Fingerprint, others: Iterable[Location], disk: Looks) -> bool:
    """Return whether names that were given or taken are why a known file has another ctime: it needs no reading then.

    Args:
        location: what is known of it.
        status: its fingerprint now.
        others: the locations of the same inode, size and mtime.
        disk: looks at paths.
    """
    known = location.fingerprint
    if location.doubted or known is None or disk.was_written(location.path):
        return False
    sure = [other for other in others if other.path != location.path and other.sha256 == location.sha256]
    if any(other.fingerprint == status and not other.doubted for other in sure):
        return True
    if not status.is_surely_born_with(known):
        return False
    if location.state is LocationState.MISSING and _explains(location.path, status, disk):
        return True
    return any(
        other.fingerprint is not None
        and _is_as_new(other.fingerprint, known)
        and disk.was_removed(other.path)
        and not (other.doubted or disk.was_written(other.path))
        and not status.is_same_inode(disk.fingerprint_of(other.path))
        for other in sure
    )


def _is_as_new(fingerprint: Fingerprint, other: Fingerprint) -> bool:
    """Return whether a file was looked at after the last that is known to have happened to another name of it."""
    return (fingerprint.ctime_ns or 0) >= (other.ctime_ns or 0)


def _explains(path: str, status: Fingerprint, disk: Looks) -> bool:
    """Return whether the last thing that happened to a file may be that it got its name at a path."""
    named_ns = disk.named_at(path)
    if named_ns is None or status.ctime_ns is None or disk.was_written(path):
        return False
    return status.ctime_ns <= named_ns + NAMING_NS


def looks_unmounted(on_disk: Mapping[str, Fingerprint], device: int, known: Iterable[Location]) -> bool:
    """Return whether a folder is empty because its drive is not mounted: it was full, on another device."""
    devices = {
        location.fingerprint.device
        for location in known
        if location.fingerprint is not None and location.state is not LocationState.MISSING
    }
    return not on_disk and bool(devices) and device not in devices


def missing_records(locations: Iterable[Location], cause: str) -> list[Record]:
    """Return what the journal says of known content that is at paths no more."""
    return [
        ("file.missing", {"path": location.path, "sha256": location.sha256, "cause": cause}) for location in locations
    ]


def returned_records(locations: Iterable[Location]) -> list[Record]:
    """Return what the journal says of missing files that are back, of all among these locations."""
    return [
        ("file.returned", {"path": location.path, "sha256": location.sha256})
        for location in locations
        if location.state is LocationState.MISSING
    ]
