"""Connections that nobody can hold the daemon up with: those that say nothing, or take nothing, are cut off."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX = 512
"""On one way in. Those on TCP leave room for the files that the daemon opens, and the unix socket to its owner."""

LOOK_SECONDS = 1.0


class Doing(Enum):
    """What a connection is busy with."""

    ASKING = auto()
    """Its caller has not said yet what he wants; a request that comes byte by byte stays that."""
    TAKING = auto()
    """Its caller has not taken yet what is answered."""
    WORKING = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a connection may come no further."""

    asking_seconds: float = 10.0
    taking_seconds: float = 60.0
    look_seconds: float = LOOK_SECONDS
    connections_max: int = CONNECTIONS_MAX


class Connection(H11Protocol):
    """A connection of the HTTP interface."""

    patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        self._stands_at: tuple[Doing, object] | None = None
        self._stands_since = self.loop.time()
        self._look_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.patience.connections_max:
            transport.abort()
        else:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._look_timer is not None:
            self._look_timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Cut the connection off when it has come no further for too long; else look again in a moment."""
        doing = self._doing()
        if doing != self._stands_at:
            self._stands_at, self._stands_since = doing, self.loop.time()
        limit_seconds = {
            Doing.ASKING: self.patience.asking_seconds,
            Doing.TAKING: self.patience.taking_seconds,
        }.get(doing[0])
        if limit_seconds is not None and self.loop.time() - self._stands_since > limit_seconds:
            self.transport.abort()
        else:
            self._look_timer = self.loop.call_later(self.patience.look_seconds, self._look)

    def _doing(self) -> tuple[Doing, object]:
        """Return what the connection is busy with, and how far it is."""
        waiting_bytes = self.transport.get_write_buffer_size()
        if waiting_bytes:
            return Doing.TAKING, waiting_bytes
        if self.cycle is None or self.cycle.response_complete:
            return Doing.ASKING, self.cycle
        return Doing.WORKING, None
