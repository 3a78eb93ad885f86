"""The port to what hashes files: processes of this machine, a double, or whatever takes their place."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Protocol

from modelkeep.domain.content_facts import ContentFacts
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen
from modelkeep.errors import HashError, NoWorkers


@frozen
class FileInRoot:
    """A file by its root and its path below it; in no root the first is empty, and the second a whole path."""

    root: str
    name: str

    @property
    def path(self) -> str:
        """The path on this machine."""
        return posixpath.join(self.root, self.name)


@frozen
class Digest:
    """The SHA-256 of a file and the fingerprint that it had before it was read; size and mtime also afterwards.

    The device number says nothing: whoever read the file may know its disk by another one. `is_untouched`: the rest
    of the fingerprint was afterwards as before, too. `facts` are what else was read of the content.
    """

    sha256: str
    fingerprint: Fingerprint
    is_untouched: bool = field(default=False, compare=False)
    facts: ContentFacts = field(default=ContentFacts(), compare=False)


@frozen
class ActiveHash:
    """A file that is being hashed; the speed is its mean since it began."""

    path: str
    bytes_done: int
    bytes_total: int
    bytes_per_s: int


@frozen
class FileToHash:
    """A file, and how large it is expected to be; `with_tensors`: these get their digest even where it costs much."""

    file: FileInRoot
    size_bytes: int
    with_tensors: bool = False


@frozen
class HashBatch:
    """Files that are handed over together.

    Args:
        files: in the order in which they are wanted.
        device: a number for what they lie on; whoever reads them reads from one at a time.
        one_by_one: no two of them may be read at the same time: their disk rotates, or is a server.
        soon: they do not wait for large files that are being read: somebody waits for them, or they are done soon.
    """

    files: Sequence[FileToHash]
    device: int = 0
    one_by_one: bool = False
    soon: bool = False


@frozen
class HashOutcome:
    """What became of a file of a batch.

    `number` is its index in there, `seconds` how long it was read. The result is its digest, or why there is none:

    - FileVanished: nothing is there.
    - FileChanged: it changed while it was read.
    - HashCancelled: it was called off.
    - RootSilent: its disk or server does not answer.
    - WorkerDied: what read it has ended.
    - NoWorkers: no file can be hashed now.
    - HashError: it cannot be read, with the reason.
    """

    number: int
    result: Digest | HashError | NoWorkers
    seconds: float = 0.0


Deliver = Callable[[Sequence[HashOutcome]], None]
"""Gets what has become of files of a batch, as many as are known; afterwards there may be room for more."""


class Hashing(Protocol):
    """Hashes files."""

    @property
    def workers(self) -> int:
        """How many batches it reads at the same time."""

    def room(self, device: int, *, soon: bool) -> int:
        """Return how many more files of a device it takes now, of those that are for soon or of others."""

    def make_ready(self, files: int) -> None:
        """Prepare for so many files at once, which will probably be submitted soon."""

    def submit(self, batch: HashBatch, deliver: Deliver) -> None:
        """Hash files; every one of them is delivered exactly once."""

    def active(self) -> list[ActiveHash]:
        """Return what is being read."""

    def cancel_all(self) -> None:
        """Call off all that was submitted; what is not read to its end is delivered as `HashCancelled`."""
