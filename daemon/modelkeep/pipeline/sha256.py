"""SHA-256, by OpenSSL."""

import hashlib


class Sha256:
    """The digest of one stream of bytes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    def hexdigest(self) -> str:
        """Return the digest of all bytes."""
        return self._hash.hexdigest()
