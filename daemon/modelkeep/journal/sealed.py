"""What was read of segments that nobody writes any more, so that a start reads only what is new.

A journal of a million records takes seconds to read, and a daemon has to be ready before. `sealed.json` beside the
segments is no part of the journal: it is made anew whenever it is lost, damaged or does not fit a segment's size,
times and inode, and `doctor` reads the segments themselves.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelkeep.journal.records import Damage
from modelkeep.journal.segments import Segment

FILE_NAME = "sealed.json"
_FORMAT = 1

Stamp = tuple[int, int, int, int]
"""Size, times of the last change of content and of anything in ns, inode."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One segment, read from its beginning to its end.

    `next_seq` is the number after its newest sound record, 0 where it has none. `opened` are the lines of the
    migrations that it plans and does not close, by id and in order; `closed` the ids that it closes of those that
    were planned before it.
    """

    size_bytes: int = 0
    next_seq: int = 0
    damages: tuple[Damage, ...] = ()
    opened: Mapping[str, bytes] = field(default_factory=dict)
    closed: tuple[str, ...] = ()


class SealedSegments:
    """The summaries of the segments before the newest one.

    Args:
        folder: the journal's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._known = _load(self._path)
        self._wanted: dict[str, tuple[Stamp, Summary]] = {}

    def recall(self, segment: Segment) -> Summary | None:
        """Return what was read of a segment, if it is still the same file."""
        stamp, summary = self._known.get(segment.name, (None, None))
        return summary if stamp is not None and stamp == stamp_of(segment.path) else None

    def remember(self, segment: Segment, summary: Summary) -> None:
        """Keep what was read of a segment that is not written any more."""
        stamp = stamp_of(segment.path)
        if stamp is not None and stamp[0] == summary.size_bytes:
            self._wanted[segment.name] = (stamp, summary)

    def save(self) -> None:
        """Write what is to be kept, if that is not what was read; where it cannot be written nothing is lost."""
        if self._wanted == self._known:
            return
        draft = self._path.with_suffix(".tmp")
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps({"format": _FORMAT, "segments": _to_json(self._wanted)}))
            draft.replace(self._path)


def stamp_of(path: Path) -> Stamp | None:
    """Return what tells that a file is still the one that was read; None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _to_json(known: Mapping[str, tuple[Stamp, Summary]]) -> dict[str, object]:
    return {
        name: {
            **asdict(summary),
            "stamp": list(stamp),
            "opened": {migration: os.fsdecode(line) for migration, line in summary.opened.items()},
        }
        for name, (stamp, summary) in known.items()
    }


def _load(path: Path) -> dict[str, tuple[Stamp, Summary]]:
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != _FORMAT:
            return {}
        return {name: _from_json(fields) for name, fields in kept["segments"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _from_json(fields: Mapping[str, Any]) -> tuple[Stamp, Summary]:
    size_bytes, mtime_ns, ctime_ns, inode = fields["stamp"]
    summary = Summary(
        size_bytes=int(fields["size_bytes"]),
        next_seq=int(fields["next_seq"]),
        damages=tuple(Damage(**damage) for damage in fields["damages"]),
        opened={migration: os.fsencode(line) for migration, line in fields["opened"].items()},
        closed=tuple(fields["closed"]),
    )
    return (size_bytes, mtime_ns, ctime_ns, inode), summary
