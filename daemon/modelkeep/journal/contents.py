"""What a segment holds that nobody writes any more, so that a question passes over those that have no answer.

`migration-<first seq>.index` beside the segment is no part of the journal: it only says which segments need not be
read. It counts while the segment's size, times and inode are the same, and is made by the daemon when it has time.
"""

import contextlib
import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from heapq import merge
from itertools import groupby
from pathlib import Path
from zlib import crc32

from modelkeep.journal.needles import KEYS, Spelled
from modelkeep.journal.query import Query, is_failing
from modelkeep.journal.sealed import Stamp, stamp_of
from modelkeep.journal.segments import Segment, blocks, list_segments

Indexed = tuple[Stamp | None, Stamp | None]
"""A segment and its index, as they are at this moment."""

_FORMAT = 1
_RECENT_MAX = 20_000
_HEAD = re.compile(rb'"ts":"([^"\\]*)","event":"([a-z0-9_.]+)"')
_ERROR = re.compile(rb'"error":(?!""|null)')


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment may hold. Only a No is certain.

    `last_ts` is its latest time, `events` are the events in it, `has_error` whether a record has one. `keys` are
    checksums of the keys of its records, in order, four bytes each; `names` the names, and the hashes, that a text
    may be a part of, in lower case and a line each.
    """

    last_ts: str = ""
    events: tuple[str, ...] = ()
    has_error: bool = False
    keys: bytes = b""
    names: bytes = b""

    def may_answer(self, query: Query) -> bool:
        """Return whether a record in it may be wanted, leaving `model` aside."""
        return (
            (not query.since_ts or self.last_ts >= query.since_ts)
            and (not query.event or any(fnmatchcase(event, query.event) for event in self.events))
            and (not query.failed or self.has_error or any(map(is_failing, self.events)))
        )

    def may_hold(self, keys: Iterable[Spelled]) -> bool:
        """Return whether a record in it may have one of these keys."""
        return any(self._has(checksum_of(key)) for key in keys)

    def may_name(self, text: str) -> bool:
        """Return whether a text may be a part of a name, or of a hash, in it."""
        return _folded(text) in self.names

    def _has(self, checksum: int) -> bool:
        keys = memoryview(self.keys).cast("I")
        at = bisect_left(keys, checksum)
        return at < len(keys) and keys[at] == checksum


def checksum_of(key: Spelled) -> int:
    """Return the number that stands for a key; a file's old path is a path as well."""
    field, text, number = key
    return crc32(b"path" if field == b"old_path" else field, crc32(text or number))


def contents_of(segment: Segment) -> Contents | None:
    """Return what is known of a segment's contents; None when it has to be read."""
    try:
        header, _, body = _index_path(segment).read_bytes().partition(b"\n")
        fields = json.loads(header)
        if fields.pop("format") != _FORMAT or tuple(fields.pop("stamp")) != stamp_of(segment.path):
            return None
        number = fields.pop("key_bytes")
        if fields.pop("crc") != crc32(body):
            return None
        fields["events"] = tuple(fields["events"])
        return Contents(**fields, keys=body[:number], names=body[number:])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_next_index(folder: Path, known: set[Indexed] | None = None) -> bool:
    """Write down what the oldest segment holds of which that is not known; False when there is none.

    Args:
        folder: of the journal.
        known: segments whose index was found to count; it is not read again while both are the same. Added to.

    Raises:
        JournalError: a segment cannot be read.
    """
    sealed = list_segments(folder)[:-1]
    _remove_orphans(folder, sealed)
    known = set() if known is None else known
    unknown = next((segment for segment in sealed if not _is_known(segment, known)), None)
    if unknown is None:
        return False
    stamp = stamp_of(unknown.path)
    return _save(unknown, stamp, _read(unknown)) if stamp else False


def _is_known(segment: Segment, known: set[Indexed]) -> bool:
    both = stamp_of(segment.path), stamp_of(_index_path(segment))
    if both not in known and contents_of(segment) is not None:
        known.add(both)
    return both in known


def _save(segment: Segment, stamp: Stamp, contents: Contents) -> bool:
    """Write an index; what is written of a segment that has changed meanwhile does not count."""
    fields = asdict(contents)
    keys, names = fields.pop("keys"), fields.pop("names")
    body = keys + names
    header = fields | {"format": _FORMAT, "stamp": stamp, "key_bytes": len(keys), "crc": crc32(body)}
    path = _index_path(segment)
    draft = path.with_suffix(".index.tmp")
    try:
        draft.write_bytes(json.dumps(header).encode() + b"\n" + body)
        draft.replace(path)
    except OSError:  # it is only a help
        return False
    return True


def _read(segment: Segment) -> Contents:
    """Read a segment from its beginning to its end."""
    last, events, keys = b"", set[bytes](), _Keys()
    has_error = False
    for block in blocks(segment):
        heads = _HEAD.findall(block)
        last = max([last, *(ts for ts, _ in heads)])
        events.update(event for _, event in heads)
        has_error = has_error or _ERROR.search(block) is not None
        keys.add(KEYS.findall(block))
    checksums, names = keys.taken()
    return Contents(
        last.decode(errors="replace"),
        tuple(sorted(event.decode() for event in events)),
        has_error,
        checksums.tobytes(),
        b"\n".join(names),
    )


class _Keys:
    """Checksums and names of keys, which a segment has by the hundred thousand, kept in little memory."""

    def __init__(self) -> None:
        self._recent: set[Spelled] = set()
        self._checksums: list[array[int]] = []
        self._names: set[bytes] = set()

    def add(self, keys: Iterable[Spelled]) -> None:
        """Add keys, most of which were among the last ones too."""
        self._recent.update(keys)
        if len(self._recent) > _RECENT_MAX:
            self._take_recent()

    def taken(self) -> tuple["array[int]", list[bytes]]:
        """Return the checksums and the names of all, each once and in order."""
        self._take_recent()
        return array("I", (number for number, _ in groupby(merge(*self._checksums)))), sorted(self._names)

    def _take_recent(self) -> None:
        keys, self._recent = self._recent, set()
        self._checksums.append(array("I", sorted({checksum_of(key) for key in keys if key[0] != b"name"})))
        texts = {text for field, text, _ in keys if text and field != b"migration"}
        self._names.update(_folded(_unescaped(text).rpartition("/")[2]) for text in texts)


def _unescaped(text: bytes) -> str:
    if b"\\" in text:
        with contextlib.suppress(ValueError):
            return str(json.loads(b'"%b"' % text))
    return text.decode(errors="replace")


def _folded(text: str) -> bytes:
    return text.lower().encode(errors="surrogatepass")


def _index_path(segment: Segment) -> Path:
    return segment.path.with_suffix(".index")


def _remove_orphans(folder: Path, segments: Iterable[Segment]) -> None:
    """Remove what was known of segments that rotation has removed."""
    wanted = {_index_path(segment) for segment in segments}
    with contextlib.suppress(OSError):
        for path in folder.glob("migration-*.index*"):
            if path not in wanted:
                path.unlink(missing_ok=True)
