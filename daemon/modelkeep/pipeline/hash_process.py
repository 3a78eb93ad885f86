"""A hashing process as the daemon sees it: its start, the messages to and from it, its end.

Messages are lines of JSON over a socket, which is the process's standard input (`hash_worker` has their shapes). No
`multiprocessing` here: its pools give a process one call at a time, and leave a resource tracker behind.
"""

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from modelkeep.base.persistence import unforeseen
from modelkeep.base.processes import START_SECONDS, start, why_none
from modelkeep.disk.reach import reading_error
from modelkeep.domain.content_facts import ContentFacts
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest, FileInRoot
from modelkeep.errors import FileChanged, FileVanished, HashCancelled, HashError, NoWorkers
from modelkeep.pipeline.sha256 import implementation

Message = list[Any]

# Nothing that is imported is garbage: looking for that would take a twelfth of the start.
_PROGRAM = "import gc; gc.disable(); from modelkeep.pipeline.hash_worker import main; main()"

_REASONS = {"changed": FileChanged, "vanished": FileVanished, "cancelled": HashCancelled}


class HashProcess(asyncio.Protocol):
    """A hashing process.

    Args:
        on_message: gets what it says once it has begun.
        on_end: called when it ends after it has begun, unless it was told to.
    """

    def __init__(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._begun: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._partial = b""
        self._is_over = False
        self.ended = asyncio.Event()
        self.ended.set()

    async def start(self, *, step_back: bool, with_tensors: bool) -> str:
        """Start it, and wait until it can be given work; returns why it does not hash in the fastest way, if so.

        Raises:
            NoWorkers: it cannot be started, with the reason and what helps.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                arguments = int(step_back), int(with_tensors), implementation().streams
                self._process = start(_PROGRAM, *arguments, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)
            self.ended.clear()
            self._reap_at_end(self._process)
            self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
            _, reason = await asyncio.wait_for(asyncio.shield(self._begun), START_SECONDS)
        except (OSError, TimeoutError) as error:
            ours.close()
            self.kill()
            raise NoWorkers(why_none(error)) from error
        except asyncio.CancelledError:
            ours.close()
            self.kill()
            raise
        return implementation().reason or str(reason)

    def send(self, message: Message) -> None:
        """Send it a message."""
        if self._transport is not None and not self._is_over:
            self._transport.write(json.dumps(message).encode() + b"\n")

    def end(self) -> None:
        """Let it end when it has done what it has in hand; it is not heard any more."""
        self._is_over = True
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """Kill it, whatever it does; if the kernel does not let it end, nobody waits."""
        self.end()
        if self._process is not None and not self.ended.is_set():
            with suppress(ProcessLookupError):
                self._process.kill()

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Take whole lines of what has come."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if self._is_over:
                return
            if self._begun.done():
                self._on_message(json.loads(line))
            else:
                self._begun.set_result(json.loads(line))

    def connection_lost(self, _error: Exception | None) -> None:
        """Notice that it has ended."""
        if not self._begun.done():
            self._begun.set_exception(BrokenPipeError())
            self._begun.exception()  # asyncio complains of one that nobody takes, and at a stop nobody waits any more
        elif not self._is_over:
            self._is_over = True
            self._on_end()

    def _reap_at_end(self, process: "subprocess.Popen[bytes]") -> None:
        """Have a thread wait for the end of the process, so that it is no zombie; nobody joins that thread."""
        loop = asyncio.get_running_loop()

        def reap() -> None:
            process.wait()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self.ended.set)

        threading.Thread(target=reap, name="reaper", daemon=True).start()


def result_of(file: FileInRoot, kind: str, *values: Any) -> Digest | HashError:
    """Return what a process says of a file."""
    if kind == "digest":
        sha256, fingerprint, is_untouched, facts = values
        return Digest(sha256, Fingerprint(*fingerprint), is_untouched, ContentFacts.from_json(facts))
    if kind == "error":
        return reading_error(file.path, OSError(*values))
    return _REASONS[kind](*values) if kind in _REASONS else HashError(unforeseen(*values))
