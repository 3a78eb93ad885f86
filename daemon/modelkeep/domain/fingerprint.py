"""What tells one file from another without reading it: hashing processes load this, and little else."""

import os
from typing import NamedTuple

_EARLIEST_NS = -3_000_000_000_000_000_000
"""The year 1874; the oldest date that most file systems can hold is in 1901."""


def bounded_ns(ns: int) -> int:
    """Return a file's time as 64 bits can hold it: a file system may tell dates of billions of years.

    What lies beyond 2459 is wrapped around, and so is what lies before 1874: the same time stays the same number.
    """
    return (ns - _EARLIEST_NS) % (1 << 64) + _EARLIEST_NS


Entry = tuple[str, int, int, int, int, int, int | None]
"""A path and what a file system tells of the file there: device, inode, size, mtime, ctime and birth."""


class Fingerprint(NamedTuple):
    """What tells without reading that a file is the one already hashed.

    `ctime_ns` is when anything of the file changed last: its content, its rights or its names. `birth_ns` is when it
    was made. Either is None where it is not known.
    """

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None = None
    birth_ns: int | None = None

    @classmethod
    def of(
        cls, device: int, inode: int, size_bytes: int, mtime_ns: int, ctime_ns: int, birth_ns: int | None = None
    ) -> "Fingerprint":
        """Make one of what a file system tells, however absurd its times are."""
        birth_ns = None if birth_ns is None else bounded_ns(birth_ns)
        return cls(device, inode, size_bytes, bounded_ns(mtime_ns), bounded_ns(ctime_ns), birth_ns)

    @classmethod
    def from_stat(cls, status: os.stat_result) -> "Fingerprint":
        """Take the fingerprint out of a stat result, which does not tell when the file was made."""
        return cls.of(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def numbers(self) -> list[int | None]:
        """Its fields, for another process."""
        return [self.device, self.inode, self.size_bytes, self.mtime_ns, self.ctime_ns, self.birth_ns]

    def same_file_at_same_path(self, other: "Fingerprint | None") -> bool:
        """Return whether an unmoved path still holds the same file, which may have been touched since.

        The device number is left out: it may change with every mount, and the path has not moved.
        """
        if other is None or (None not in (self.birth_ns, other.birth_ns) and self.birth_ns != other.birth_ns):
            return False
        return (self.inode, self.size_bytes, self.mtime_ns) == (other.inode, other.size_bytes, other.mtime_ns)

    def is_untouched_since(self, known: "Fingerprint | None") -> bool:
        """Return whether an unmoved path still holds the same content: nothing at all happened to the file.

        When it was touched last is not compared where it was not known.
        """
        if known is None or not self.same_file_at_same_path(known):
            return False
        return None in (self.ctime_ns, known.ctime_ns) or self.ctime_ns == known.ctime_ns

    def is_same_inode(self, other: "Fingerprint | None") -> bool:
        """Return whether two paths that were looked at now lead to one file."""
        return other is not None and (self.device, self.inode) == (other.device, other.inode)

    def is_surely_born_with(self, other: "Fingerprint") -> bool:
        """Return whether two fingerprints are of one file and not of one that was given the other's inode number."""
        return self.birth_ns is not None and self.birth_ns == other.birth_ns
