"""One file that is being read in a hashing process: its bytes, its digest, and whether it changed meanwhile.

What is known to be in memory already is mapped, which saves a copy, where SHA-256 survives that a mapped file is cut
off; all else is read into a buffer, and given back behind the reader: it was in nobody's memory before.
"""

import mmap
import os
import time

from modelkeep.disk.opening import close_file, open_and_see, read_at
from modelkeep.disk.page_cache import cached_windows, give_back, is_told
from modelkeep.disk.statx import see
from modelkeep.domain.content_facts import AUTOV1_BEGIN, AUTOV1_BYTES, ContentFacts, FileHeader, autov1, read_header
from modelkeep.pipeline.sha256 import Implementation, Sha256

PIECE_BYTES = 256 << 10
"""Read at once: so much stays in the processor's own cache until it is hashed."""

WINDOW_BYTES = 4 << 20
"""Mapped, or given back, at once."""

STRETCH_BYTES = 256 * WINDOW_BYTES
"""It is asked so far ahead what is in memory, and not later: read-ahead brings in what comes next."""

LATER_BYTES = 64 << 20
"""A smaller file is not read a second time to save a digest: opening it costs more than that."""

FILE_CLOCK = 5
"""CLOCK_REALTIME_COARSE of clock_gettime(2), of which Python does not know: it tells the times of files."""

TICK_SECONDS_MAX = 0.02
"""By how much that clock goes on at once: 1 to 10 ms, as the kernel was built (since Linux 6.13 less)."""

_AUTOV1_END = AUTOV1_BEGIN + AUTOV1_BYTES

CHECK_BYTES = 64 << 20
"""So often it is looked whether a file that is being read has changed or gone: the rest is read in vain then."""


class FileFailure(Exception):
    """A file has no digest.

    Args:
        kind: `changed` while it was read, `vanished`.
        sentence: the same for people.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(kind, sentence)


class FileBeingRead:
    """A file that is open for reading.

    Args:
        number: what the daemon calls it.
        path: a regular file.
        implementation: of SHA-256.
        with_tensors: whether its tensors get a digest of their own.
        leaves_tensors: whether they may be left without it where that would keep others waiting.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(
        self,
        number: int,
        path: str,
        implementation: Implementation,
        *,
        with_tensors: bool = False,
        leaves_tensors: bool = False,
    ) -> None:
        self.number = number
        self._implementation = implementation
        self._with_tensors = with_tensors
        self._leaves_tensors = leaves_tensors
        self._header: FileHeader | None = None
        self._tensors: Sha256 | None = None
        self._autov1: str | None = None
        self.began = time.perf_counter()
        self.sha256 = implementation.new()
        self.bytes_done = 0
        self._path = path
        self._descriptor, seen = open_and_see(path)
        self._before = seen.fingerprint
        _await_other_times(self._before.ctime_ns or 0)
        size_bytes = self._before.size_bytes
        self._has_names = size_bytes >= CHECK_BYTES and os.fstat(self._descriptor).st_nlink > 0
        self._is_told = size_bytes >= PIECE_BYTES and is_told(self._descriptor)
        self._next_check = CHECK_BYTES
        self._was_cached = bytearray()
        self._look_ahead()
        # Where nobody tells, waiting for the disk in a mapped file would pass for hashing.
        self._maps = implementation.survives_cuts and self._is_told
        # Read-ahead, and that these pages do not push out those of other programs (Linux 6.3).
        for advice in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_NOREUSE):
            os.posix_fadvise(self._descriptor, 0, 0, advice)
        if not all(self._was_cached[:1]):
            os.posix_fadvise(self._descriptor, 0, WINDOW_BYTES, os.POSIX_FADV_WILLNEED)

    def next_piece(self, buffer: memoryview) -> memoryview:
        """Return the bytes that follow those which are done, in the buffer or mapped; none at the end.

        Raises:
            FileFailure: it has changed, or is gone.
            OSError: it cannot be read.
        """
        self._look_inside()
        if self.bytes_done >= self._next_check:
            self._next_check += CHECK_BYTES
            self._require_same()
        if self.bytes_done + STRETCH_BYTES > len(self._was_cached) * WINDOW_BYTES:
            self._look_ahead()
        window, offset = divmod(self.bytes_done, WINDOW_BYTES)
        if window < len(self._was_cached) and self._was_cached[window] and self._maps and not offset:
            mapped = self._mapped()
            if mapped:
                return mapped
        return buffer[: os.preadv(self._descriptor, [buffer], self.bytes_done)]

    @property
    def streams(self) -> list[Sha256]:
        """What takes the next bytes: the digest of the file, and that of its tensors when they have begun."""
        if self._tensors is None or self._header is None or self.bytes_done < self._header.data_begin:
            return [self.sha256]
        return [self.sha256, self._tensors]

    @property
    def is_in_memory(self) -> bool:
        """Whether all of it that was asked about is known to have been in memory; not known of a small file."""
        return self._is_told and all(self._was_cached)

    def until_tensors(self, count: int) -> int:
        """Return how many of so many next bytes come before the tensors begin, or all of them."""
        begin = self._header.data_begin if self._tensors is not None and self._header is not None else 0
        return min(count, begin - self.bytes_done) if self.bytes_done < begin else count

    @property
    def is_large(self) -> bool:
        """Whether it is worth a second reading for the digest of its tensors."""
        return self._before.size_bytes >= LATER_BYTES

    @property
    def may_leave_tensors(self) -> bool:
        """Whether the digest of the tensors may be left to a later reading, and most of it is still to be done."""
        may_leave = self._with_tensors and self._leaves_tensors
        return may_leave and self.is_large and self._before.size_bytes >= 2 * self.bytes_done

    def leave_tensors(self) -> None:
        """Leave the digest of the tensors to a later reading."""
        self._with_tensors, self._tensors = False, None

    def done(self, count: int) -> None:
        """Record that the next bytes are hashed."""
        before = self.bytes_done // WINDOW_BYTES
        self.bytes_done += count
        if before < self.bytes_done // WINDOW_BYTES and before < len(self._was_cached):
            self._give_back(before)

    def read_only(self) -> None:
        """Map nothing of it any more: a part of it could not be had."""
        self._maps = False

    def result(self) -> list[object]:
        """Return what the daemon is told when all is read.

        Raises:
            FileFailure: it changed while it was read.
        """
        before, after = self._before, see(self._descriptor).fingerprint
        if not after.same_file_at_same_path(before) or self.bytes_done != before.size_bytes:
            raise self._changed()
        # Whether a new name is why it has another ctime by now, others know.
        return ["digest", self.sha256.hexdigest(), before.numbers, after == before, self._facts().as_json()]

    def close(self) -> None:
        """Close it."""
        window = self.bytes_done // WINDOW_BYTES
        if window < len(self._was_cached):
            self._give_back(window)
        close_file(self._descriptor)

    def _look_inside(self) -> None:
        """Read what is told of the content besides its digest, while it is in memory anyway."""
        if self._header is None:
            self._header = read_header(self._before.size_bytes, self._read_at)
            if self._with_tensors and self._header.data_begin:
                self._tensors = self._implementation.new()
        if self._autov1 is None and self.bytes_done >= min(_AUTOV1_END, self._before.size_bytes):
            self._autov1 = autov1(self._before.size_bytes, self._read_at, self._sha256_of)

    def _read_at(self, offset: int, length: int) -> bytes:
        return read_at(self._descriptor, offset, length)

    def _sha256_of(self, data: bytes) -> str:
        stream = self._implementation.new()
        self._implementation.update((stream, memoryview(bytearray(data))))  # the library takes what could be written
        return stream.hexdigest()

    def _facts(self) -> ContentFacts:
        header = self._header or FileHeader()
        if self._tensors is not None:
            return ContentFacts(header, self._tensors.hexdigest(), self._autov1 or "")
        return ContentFacts(header, None if header.data_begin else "", self._autov1 or "")

    def _look_ahead(self) -> None:
        """Ask what is in memory of the next stretch of which it is not known yet."""
        offset = len(self._was_cached) * WINDOW_BYTES
        length = min(STRETCH_BYTES, self._before.size_bytes - offset)
        if length > 0:
            self._was_cached += cached_windows(self._descriptor, offset, length, WINDOW_BYTES)

    def _mapped(self) -> memoryview | None:
        """Return the window that comes next."""
        length = min(WINDOW_BYTES, self._before.size_bytes - self.bytes_done)
        try:
            # Private and writable, though nobody writes: only so Python tells where it lies.
            return memoryview(
                mmap.mmap(
                    self._descriptor,
                    length,
                    mmap.MAP_PRIVATE,
                    mmap.PROT_READ | mmap.PROT_WRITE,
                    offset=self.bytes_done,
                )
            )
        except (OSError, ValueError):  # ValueError: it is shorter by now
            self._maps = False
            return None

    def _give_back(self, window: int) -> None:
        if not self._was_cached[window]:
            give_back(self._descriptor, window * WINDOW_BYTES, WINDOW_BYTES)

    def _require_same(self) -> None:
        if not see(self._descriptor).fingerprint.same_file_at_same_path(self._before):
            raise self._changed()
        if self._has_names and not os.fstat(self._descriptor).st_nlink:
            raise FileFailure("vanished", f"there is no file at {self._path}")

    def _changed(self) -> FileFailure:
        return FileFailure("changed", f"{os.path.basename(self._path)} changed while it was read")


def _await_other_times(changed_ns: int) -> None:
    """Wait until what is written has other times than those at which a file changed last.

    Else nobody could tell that it was written after it had been read.
    """
    for _ in range(round(1000 * TICK_SECONDS_MAX)):
        ahead_seconds = (changed_ns - time.clock_gettime_ns(FILE_CLOCK)) / 1e9
        if not 0 <= ahead_seconds < TICK_SECONDS_MAX:  # times that lie far ahead are not told by our clock
            return
        time.sleep(0.001)
