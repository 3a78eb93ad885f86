"""The files that the journal consists of: `migration-<first seq>.jsonl`, the number padded to twelve digits.

Any number of digits is read; the order is that of the numbers. Lines are read from the front, or from the back for
the newest records first.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from modelkeep.errors import JournalError

_NAME = re.compile(r"migration-([0-9]+)\.jsonl")
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the journal; `first_seq` is the sequence number of its first record."""

    first_seq: int
    path: Path

    @property
    def name(self) -> str:
        """Base name of the file."""
        return self.path.name


def segment_at(folder: Path, first_seq: int) -> Segment:
    """Return the segment that begins with a sequence number."""
    return Segment(first_seq, folder / f"migration-{first_seq:012d}.jsonl")


def list_segments(folder: Path) -> list[Segment]:
    """Return the journal's segments, oldest first; none where there is no folder.

    Raises:
        JournalError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            named = [(_NAME.fullmatch(entry.name), entry) for entry in entries]
            return sorted(
                Segment(int(name[1]), folder / name[0]) for name, entry in named if name and entry.is_file()
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def segments_after(segments: Sequence[Segment], seq: int) -> list[Segment]:
    """Return those segments, of all in order, that can hold a record with a greater sequence number."""
    followers = zip_longest(segments, segments[1:])
    return [segment for segment, follower in followers if follower is None or follower.first_seq > seq + 1]


def lines_forward(segment: Segment) -> Iterator[bytes]:
    """Yield a segment's lines with their newlines, the oldest first; none when it has been removed meanwhile.

    Raises:
        JournalError: the segment cannot be read.
    """
    with readable(segment), segment.path.open("rb", buffering=_BLOCK_BYTES) as file:
        yield from file


def blocks(segment: Segment, *, newest_first: bool = False) -> Iterator[bytes]:
    """Yield a segment's content in blocks of whole lines; the last line may lack its newline.

    Raises:
        JournalError: the segment cannot be read.
    """
    with readable(segment), segment.path.open("rb", buffering=0) as file:
        if newest_first:
            yield from _blocks_backward(file.fileno(), os.fstat(file.fileno()).st_size)
        else:
            yield from _blocks_forward(file.fileno())


@contextmanager
def readable(segment: Segment) -> Iterator[None]:
    """Leave the block without an error when the segment has been removed meanwhile; any other is a JournalError."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(segment.path, error) from error


def unreadable(path: Path, error: OSError) -> JournalError:
    """Return what is raised when a file or folder of the journal cannot be read."""
    return JournalError(f"the journal in {path} cannot be read: {error.strerror}; look at its rights and its disk")


# A damaged stretch may be one line of many megabytes: doubling keeps the price of joining it in proportion.


def _blocks_forward(descriptor: int) -> Iterator[bytes]:
    held = b""  # the last line of what has been read: more of it may follow
    while block := os.read(descriptor, max(_BLOCK_BYTES, len(held))):
        whole, newline, begun = block.rpartition(b"\n")
        if newline:
            yield held + whole + newline
            held = begun
        else:
            held += begun
    if held:
        yield held


def _blocks_backward(descriptor: int, end: int) -> Iterator[bytes]:
    held = b""  # the first line of what has been read: more of it may lie before
    while end > 0:
        start = max(0, end - max(_BLOCK_BYTES, len(held)))
        ended, newline, whole = os.pread(descriptor, end - start, start).partition(b"\n")
        if newline:
            if whole or held:
                yield whole + held
            held = ended + newline
        else:
            held = ended + held
        end = start
    if held:
        yield held
