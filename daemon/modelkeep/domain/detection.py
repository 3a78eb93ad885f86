"""What detection found: files, and renames of files."""

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen


@frozen
class Found:
    """A file that detection found."""

    path: str
    size_bytes: int


@frozen
class Rename:
    """A file got another path.

    `expected_sha256` is what was known at the old path when that was decided, empty for nothing; when something else
    is known there by now, it stays. None: whatever it is, it goes along. `known` is the fingerprint that belonged to
    it: another file with the same content stays as well. `is_replaced`: another file lies at the old path, and what
    waits in the queue there is about that one. `seen` is the fingerprint at the new path when the file is known to
    hold what it did; `is_doubtful`: it is that file, and may have been written since it was read.
    """

    old: str
    new: str
    expected_sha256: str | None = None
    is_replaced: bool = False
    seen: Fingerprint | None = None
    is_doubtful: bool = False
    known: Fingerprint | None = None

    def concerns(self, sha256: str, fingerprint: Fingerprint | None) -> bool:
        """Return whether what is known at the old path now goes along: a content with its fingerprint, or nothing."""
        if self.expected_sha256 is None:
            return True
        is_it = self.known is None or self.known.same_file_at_same_path(fingerprint)
        return sha256 == self.expected_sha256 and is_it


@frozen
class Moved:
    """What a rename concerned: the content and the pending row of the old path (empty and 0 when there was none).

    `displaced` is the content that lay at the new path before.
    """

    old: str
    new: str
    sha256: str = ""
    pending_id: int = 0
    displaced: str = ""


def between(path: str) -> str:
    """Return where what is known of a path stays while two change places: hidden, so that no scan enters it."""
    return f"{path.rpartition('/')[0]}/.changing places"
