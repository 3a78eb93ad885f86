"""Lines of an archive on their way into it: in a file without a name, for there may be gigabytes of them."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self


class SpooledLines:
    """The lines of members, each with a line's end; use it as a context manager.

    Its file is gone whatever becomes of this process.

    Args:
        folder: on whose disk they lie meanwhile.

    Raises:
        OSError: it cannot be written; so do its methods.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `__exit__`
        self._begins: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        """How many there are, by member."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What its disk did not take is tried once more: that fails for the reason that was told already.
        with suppress(OSError):
            self._file.close()

    def put(self, name: str, lines: Iterable[bytes]) -> None:
        """Keep the lines of a member, behind those that are there."""
        self._begins[name], self.counts[name] = self._file.tell(), 0
        for line in lines:
            self._file.write(line)
            self.counts[name] += 1

    def of(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a member; no others may be put or read meanwhile."""
        self._file.seek(self._begins[name])
        for _ in range(self.counts[name]):
            yield self._file.readline()
