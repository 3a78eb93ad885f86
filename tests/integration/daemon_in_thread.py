"""The daemon in the process of the tests: the real composition on an event loop of its own, without a start-up."""

import asyncio
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.daemon_process import DaemonProcess, Tables

from modelkeep.service.daemon import Daemon
from modelkeep.service.holdings import open_holdings
from modelkeep.settings.model import load_settings

READY_SECONDS = 60.0
STOP_SECONDS = 60.0


class DaemonInThread(DaemonProcess):
    """A daemon that is asked like a process, and looked into like an object: `parts` is the running `Daemon`."""

    def __init__(self, folder: Path, roots: Sequence[Path | tuple[Path, str]], tables: Tables | None = None) -> None:
        super().__init__(folder, roots, tables)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._parts: Daemon | None = None
        self._error: BaseException | None = None

    @property
    def parts(self) -> Daemon:
        """The running daemon."""
        assert self._parts is not None, "it does not run"
        return self._parts

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop on which it runs."""
        assert self._loop is not None, "it does not run"
        return self._loop

    def start(self, *arguments: str, ready: bool = True) -> "DaemonInThread":
        """Start it, and wait until it is ready."""
        assert self._thread is None, "it runs already"
        # As `run_daemon` does it: a lease that is broken while it is asked for must not end the tests.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        is_ready = threading.Event()
        self._thread = threading.Thread(target=self._live, args=[is_ready], name="daemon")
        self._thread.start()
        assert is_ready.wait(READY_SECONDS), "it did not become ready"
        self._raise_its_error()
        return self

    def stop(self) -> float:
        """Stop it in order."""
        assert self._thread is not None, "it was never started"
        if self._stopping is not None:
            self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive(), "it did not stop"
        self._thread = self._loop = self._parts = None
        self._raise_its_error()
        return 0.0

    def close(self) -> None:
        """Stop it if it runs."""
        if self._thread is not None:
            self.stop()

    def _live(self, is_ready: threading.Event) -> None:
        try:
            asyncio.run(self._run(is_ready))
        except BaseException as error:  # whatever it is, the thread of the tests raises it
            self._error = error
        finally:
            is_ready.set()

    async def _run(self, is_ready: threading.Event) -> None:
        settings = load_settings(self.config)
        async with open_holdings(settings, "a test") as holdings:
            parts = Daemon(settings, holdings, renew_threads=lambda: None)
            self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
            await parts.start()
            self._parts = parts
            is_ready.set()
            await parts.wait(self._stopping)
            await parts.stop()

    def _raise_its_error(self) -> None:
        if self._error is not None:
            raise self._error
