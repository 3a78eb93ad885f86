"""The open segment: whole lines or nothing, and no success that the disk has not confirmed.

The standard logging handlers swallow a full disk, and structlog's own loggers never sync. Here each line is one
write(2) on an O_APPEND descriptor; what was written in part is taken back. After a failed fsync the kernel holds the
pages for clean although they are not on the disk, so a second fsync would succeed and lie: the file is given up.
"""

import os
from functools import partial
from pathlib import Path
from typing import NoReturn

from modelkeep.base.failpoints import reach
from modelkeep.disk.durable import write_durably
from modelkeep.domain.faults import explained
from modelkeep.errors import JournalError
from modelkeep.journal.segments import Segment

_DRAFT = ".anew"
_COPIED_BYTES = 1 << 20


class SegmentFile:
    """A segment open for appending; made when it is not there.

    Raises:
        JournalError: it cannot be opened.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._given_up = ""
        try:
            self._descriptor = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unwritable(segment.path.parent, error) from error
        self.size_bytes = os.fstat(self._descriptor).st_size

    def append(self, lines: bytes) -> None:
        """Write whole lines at the end.

        Raises:
            JournalError: they could not be written; the file is as it was before.
        """
        self._require_usable()
        reach("journal.append.before")
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):  # a disk that is nearly full takes a part; only the next call says why
                written += os.write(self._descriptor, lines[written:])
        except OSError as error:
            self._withdraw()
            raise unwritable(self._folder, error) from error
        self.size_bytes += len(lines)
        reach("journal.append.after")

    def cut(self, size_bytes: int) -> None:
        """Cut the file off after so many bytes.

        Raises:
            JournalError: it could not be cut off.
        """
        reach("journal.cut.before")
        try:
            os.ftruncate(self._descriptor, size_bytes)
            reach("journal.cut.after")
        except OSError as error:
            raise unwritable(self._folder, error) from error
        self.size_bytes = size_bytes

    def sync(self) -> None:
        """Return when everything written is on the disk.

        Raises:
            JournalError: it is not; from now on every call raises this.
        """
        self._require_usable()
        reach("journal.sync.before")
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self.give_up(error)
        reach("journal.sync.after")

    def give_up(self, error: OSError) -> NoReturn:
        """Refuse every further call, because what was written before may not be on the disk."""
        self._given_up = (
            f"the journal in {self._folder} could not be brought to its disk: {error.strerror}; "
            "look at the disk, then start the daemon again"
        )
        raise JournalError(self._given_up) from error

    @property
    def is_given_up(self) -> bool:
        """Whether every further call raises."""
        return bool(self._given_up)

    def write_anew(self) -> None:
        """Put a copy of the file, made of what can be read of it, in its place; it has to be opened anew then.

        Raises:
            JournalError: the copy could not be made; the file is as it was.
        """
        path, draft = self.segment.path, self.segment.path.with_name(self.segment.name + _DRAFT)
        try:
            with path.open("rb") as file:
                write_durably(draft, iter(partial(file.read, _COPIED_BYTES), b""))
            reach("journal.write_anew.before")
            draft.replace(path)
            reach("journal.write_anew.after")
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def close(self) -> None:
        """Close the file; every further call but this one raises JournalError."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._given_up = self._given_up or f"the journal in {self._folder} is closed"

    def sync_and_close(self) -> None:
        """Close the file after a last sync.

        Raises:
            JournalError: the sync failed; the file is closed nevertheless.
        """
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                self.close()

    @property
    def _folder(self) -> Path:
        return self.segment.path.parent

    def _require_usable(self) -> None:
        if self._given_up:
            raise JournalError(self._given_up)

    def _withdraw(self) -> None:
        try:
            if os.fstat(self._descriptor).st_size != self.size_bytes:
                os.ftruncate(self._descriptor, self.size_bytes)
        except OSError as error:
            # Half a line stands there for good; a line after it would be lost with it.
            self.give_up(error)


def unwritable(folder: Path, error: OSError) -> JournalError:
    """Return what is raised when a file of the journal cannot be written."""
    return JournalError(explained(error, f"the journal in {folder}", folder))


def sweep_drafts(folder: Path) -> None:
    """Remove the copies that `write_anew` did not bring to an end."""
    try:
        for draft in folder.glob(f"*{_DRAFT}"):
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
