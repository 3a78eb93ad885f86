"""What is wrong with the daemon at this moment: disk full, catalogue locked, journal unwritable.

A part reports its trouble and clears it when it works again; the owner sees it in `modelkeep status` and in the
journal, and nobody has to restart anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from modelkeep.base.clock import now_ms
from modelkeep.base.log import get_logger

_log = get_logger("troubles")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: the part of the daemon, one sentence, and since when (ms since 1970)."""

    part: str
    sentence: str
    since: int


class Troubles:
    """The current troubles, one a part; may be used from any thread.

    Args:
        tell: writes an event and its fields to the journal, and never raises.
    """

    def __init__(self, tell: Callable[[str, dict[str, object]], object]) -> None:
        self._tell = tell
        self._current: dict[str, Trouble] = {}
        self._lock = Lock()

    def report(self, part: str, error: Exception | str) -> None:
        """Record that a part does not work; told once, until it changes or is cleared."""
        sentence = str(error)
        with self._lock:
            held = self._current.get(part)
            if held is not None and held.sentence == sentence:
                return
            self._current[part] = Trouble(part, sentence, held.since if held else now_ms())
        _log.warning("trouble.began", part=part, error=sentence)
        self._tell("trouble.began", {"part": part, "error": sentence})

    def clear(self, part: str) -> None:
        """Record that a part works."""
        if part not in self._current:  # the usual case, without the lock
            return
        with self._lock:
            gone = self._current.pop(part, None)
        if gone is not None:
            _log.info("trouble.ended", part=part)
            self._tell("trouble.ended", {"part": part, "was": gone.sentence})

    def current(self) -> list[Trouble]:
        """Return what is wrong, the longest first."""
        with self._lock:
            return sorted(self._current.values(), key=lambda trouble: trouble.since)
