"""Files of claims and doubts that could not be read: each time one fails it is left alone for twice as long."""

from collections.abc import Iterable

SWEEPS_MAX = 1440
"""For so many sweeps a file is left alone at the most, by default for a day. Its disk may fail, and nobody waits."""


class FailedClaims:
    """Remembers which failed, why, and when each is to be tried again; time is counted in sweeps."""

    def __init__(self) -> None:
        self._sweeps = 0
        self._failed: dict[str, tuple[str, int, int]] = {}

    def note(self, path: str, error: str, *, is_of_file: bool) -> bool:
        """Note why a file could not be read; returns whether that is news.

        Args:
            path: of it.
            error: the reason.
            is_of_file: it says something about the file: else that is tried again with the next sweep.
        """
        before, times, until = self._failed.get(path, ("", 0, 0))
        if is_of_file:
            times, until = times + 1, self._sweeps + min(2**times, SWEEPS_MAX)
        self._failed[path] = error, times, until
        return error != before

    def forget(self, paths: Iterable[str]) -> None:
        """Have files tried as if they never failed: they were read, or something happened to them."""
        for path in paths:
            self._failed.pop(path, None)

    def forget_all(self) -> None:
        """Have all files tried as if they never failed."""
        self._failed.clear()

    def swept(self) -> set[str]:
        """Count a sweep; returns the files that are to be left alone until the next one."""
        self._sweeps += 1
        return {path for path, (_, _, until) in self._failed.items() if until > self._sweeps}
