"""What is wrong with the daemon at this moment: disk full, catalogue locked, journal unwritable.

A part reports its trouble and clears it when it works again; the owner sees it in `modelkeep status` and in the
journal, and nobody has to restart anything. Of a part that several use, such as the catalogue, one may fail at
writing while another reads without fault: the trouble of who has not succeeded yet stays.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
        self._waiting: dict[str, dict[object, str]] = {}
        """By part: who waits for it to work, and what each was told last."""
        self._lock = Lock()

    def report(self, part: str, error: Exception | str, by: object = None) -> None:
        """Record that a part does not work; told once, until it changes or is cleared.

        Args:
            part: of the daemon.
            error: what is wrong.
            by: who tries again, and whose trouble stays until he clears or leaves it; None: anybody may clear it.
        """
        sentence = str(error)
        with self._lock:
            held, waiting = self._current.get(part), self._waiting.setdefault(part, {})
            is_told = held is not None and sentence in (held.sentence, *waiting.values())
            if by is not None:
                waiting[by] = sentence
            if is_told:
                return
            self._current[part] = Trouble(part, sentence, held.since if held else now_ms())
        _log.warning("trouble.began", part=part, error=sentence)
        self._tell("trouble.began", {"part": part, "error": sentence})

    def clear(self, part: str, by: object = None) -> None:
        """Record that a part works for somebody: its trouble is over if nobody else waits for it."""
        if part not in self._current:  # the usual case, without the lock
            return
        with self._lock:
            waiting = self._waiting.get(part, {})
            waiting.pop(by, None)
            gone = self._current.pop(part, None)
            if gone is not None and waiting:
                self._current[part] = replace(gone, sentence=next(reversed(waiting.values())))
                return
        if gone is not None:
            _log.info("trouble.ended", part=part)
            self._tell("trouble.ended", {"part": part, "was": gone.sentence})

    def leave(self, part: str, by: object) -> None:
        """Have anybody clear a part's trouble: who reported it tries no more."""
        with self._lock:
            self._waiting.get(part, {}).pop(by, None)

    def current(self) -> list[Trouble]:
        """Return what is wrong, the longest first."""
        with self._lock:
            return sorted(self._current.values(), key=lambda trouble: trouble.since)
