"""Read lines of a journal as they are written, from segment to segment, by looking again and again."""

import os
from collections.abc import Iterator
from pathlib import Path

from modelkeep.journal.segments import Segment, list_segments, segments_after, unreadable

_BLOCK_BYTES = 1 << 18


class Tail:
    """A place in a journal that somebody else writes.

    Args:
        folder: where the segments lie or will lie.
        after: begin with the segment that holds the record after this sequence number.
    """

    def __init__(self, folder: Path, after: int) -> None:
        self._folder = folder
        self._after = after
        self._segment: Segment | None = None
        self._descriptor = -1
        self._offset = 0

    def new_lines(self) -> Iterator[bytes]:
        """Yield the lines that have been written since the last call; one without its newline is left for the next.

        Raises:
            JournalError: a segment cannot be read.
        """
        while True:
            # Looked for before reading: when there is a newer segment, this one is complete.
            newer = self._next_segment()
            yield from self._whole_lines()
            if newer is not None:
                self._open(newer)
            elif not self._is_replaced():
                return

    def close(self) -> None:
        """Let go of the open segment."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _next_segment(self) -> Segment | None:
        segments = segments_after(list_segments(self._folder), self._after)
        return next((segment for segment in segments if self._segment is None or segment > self._segment), None)

    def _is_replaced(self) -> bool:
        """Open the segment anew, at the same place, when the writer has put a copy in its place."""
        if self._segment is None or self._descriptor < 0:
            return False
        try:
            if os.path.samestat(self._segment.path.stat(), os.fstat(self._descriptor)):
                return False
        except FileNotFoundError:  # removed by rotation
            return False
        except OSError as error:
            raise unreadable(self._segment.path, error) from error
        self._open(self._segment, self._offset)
        return True

    def _open(self, segment: Segment, offset: int = 0) -> None:
        self.close()
        self._segment, self._offset = segment, offset
        try:
            self._descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # removed by rotation meanwhile
        except OSError as error:
            raise unreadable(segment.path, error) from error

    def _whole_lines(self) -> Iterator[bytes]:
        if self._descriptor < 0:
            return
        # A shorter file: the writer took back what it could not write whole, and goes on from there.
        self._offset = min(self._offset, os.fstat(self._descriptor).st_size)
        begun = b""
        while block := self._read_block(self._offset + len(begun)):
            *whole, begun = (begun + block).split(b"\n")
            for line in whole:
                self._offset += len(line) + 1
                yield line + b"\n"

    def _read_block(self, offset: int) -> bytes:
        try:
            return os.pread(self._descriptor, _BLOCK_BYTES, offset)
        except OSError as error:
            raise unreadable(self._folder, error) from error
