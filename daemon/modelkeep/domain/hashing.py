"""The port to what hashes files: processes of this machine, a double, or whatever takes their place."""

import posixpath
from dataclasses import dataclass, field
from typing import Protocol

from modelkeep.domain.values import Fingerprint


@dataclass(frozen=True, slots=True)
class FileInRoot:
    """A file by its root and its path below it; in no root the first is empty, and the second a whole path."""

    root: str
    name: str

    @property
    def path(self) -> str:
        """The path on this machine."""
        return posixpath.join(self.root, self.name)


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 of a file and the fingerprint that it had before it was read; size and mtime also afterwards.

    The device number says nothing: whoever read the file may know its disk by another one. `is_untouched`: the rest
    of the fingerprint was afterwards as before, too.
    """

    sha256: str
    fingerprint: Fingerprint
    is_untouched: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class ActiveHash:
    """A file that is being hashed; the speed is its mean since it began."""

    path: str
    bytes_done: int
    bytes_total: int
    bytes_per_s: int


class Hashing(Protocol):
    """Hashes files."""

    @property
    def workers(self) -> int:
        """How many files it hashes at once."""

    async def digest(self, file: FileInRoot, size_bytes: int) -> Digest:
        """Hash a file; no more than `workers` calls may run at once.

        Raises:
            FileVanished: nothing is there.
            FileChanged: it changed while it was read.
            HashCancelled: it was called off.
            RootSilent: its disk or server does not answer.
            WorkerDied: what read it has ended.
            NoWorkers: no file can be hashed now.
            HashError: it cannot be read, with the reason.
        """

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed."""

    def cancel_all(self) -> None:
        """Call off what is being hashed; each call ends with `HashCancelled`."""
