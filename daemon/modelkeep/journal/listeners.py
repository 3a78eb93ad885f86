"""Tell listeners what has been written, in the order of the journal.

What is guaranteed: each record reaches each listener once, in the order of `seq`, one at a time, after it was written
and with no lock of the journal held, so a listener may write to the journal itself. It is called in a thread that
writes, though not always in the one that wrote that record: while one thread delivers, others leave theirs to it. A
listener that raises is logged and loses that record alone.
"""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock

from modelkeep.base.log import get_logger

Listener = Callable[[dict[str, object]], None]
Unsubscribe = Callable[[], None]


class Listeners:
    """Those who want to hear of every record."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}
        self._changing = Lock()
        self._delivering = Lock()
        self._undelivered: deque[dict[str, object]] = deque()

    def subscribe(self, listener: Listener) -> Unsubscribe:
        """Call a listener with every record from now on; returns what ends that."""
        ticket = object()
        with self._changing:
            self._listeners = {**self._listeners, ticket: listener}

        def unsubscribe() -> None:
            with self._changing:
                self._listeners = {key: value for key, value in self._listeners.items() if key is not ticket}

        return unsubscribe

    def queue(self, records: Iterable[dict[str, object]]) -> None:
        """Take in records, in the order of the journal; the caller holds the journal's lock."""
        if self._listeners:
            self._undelivered.extend(records)

    def deliver(self) -> None:
        """Call the listeners with what is queued, unless another thread is doing so."""
        # Looked at again after each release: what was queued just before it would otherwise wait for the next record.
        while self._undelivered and self._delivering.acquire(blocking=False):
            try:
                while self._undelivered:
                    self._tell(self._undelivered.popleft())
            finally:
                self._delivering.release()

    def _tell(self, record: dict[str, object]) -> None:
        for listener in self._listeners.values():
            try:
                listener(record)
            except Exception:  # foreign code: its fault must not look like one of the journal
                get_logger("journal").exception("listener.failed", seq=record["seq"], record=record["event"])
