"""The eye of the tour: a thread that asks the daemon how far it is, until there is nothing left to do."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.live import Live

from modelkeep.cli.client import DaemonClient, connect
from modelkeep.cli.context import Invocation
from modelkeep.cli.output import console
from modelkeep.cli.status_view import Pace, one_line, status_view
from modelkeep.cli.wording import clean
from modelkeep.errors import ModelkeepError

_POLL_SECONDS = 0.25
_LINE_SECONDS = 1.0
_JOIN_SECONDS = 2.0
_STUCK_SECONDS = 20.0
"""After so long without any change the summary comes, though rows wait: for a file that is out of reach, say."""

Json = dict[str, Any]


@contextmanager
def watching(call: Invocation) -> Iterator[Callable[[str], None]]:
    """Watch the daemon that is run inside; yields what it announces itself with."""
    watcher = Watcher(call, console())
    watcher.start()
    try:
        yield watcher.announce
    finally:
        watcher.stop()


class Watcher:
    """Shows the progress of the daemon of this process, then a summary, once.

    Args:
        call: whose settings and command lines.
        out: where to.
    """

    def __init__(self, call: Invocation, out: Console) -> None:
        self._call = call
        self._out = out
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tour", daemon=True)
        self._announced: list[str] = []
        self._quiet = Quiet(call.settings.watch.settle_seconds + 1.0, _STUCK_SECONDS)
        # Started here and not in the thread: the daemon's log shall go through it, above what is redrawn.
        self._live = Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else None
        self._line, self._line_at = "", 0.0
        self._pace = Pace()

    def start(self) -> None:
        """Begin to watch; the daemon need not be up yet."""
        if self._live is not None:
            self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """End the watching, wherever it is."""
        self._stopping.set()
        self._thread.join(_JOIN_SECONDS)
        if self._live is not None:
            self._live.stop()

    def announce(self, sentence: str) -> None:
        """Take and show a sentence of the daemon."""
        self._announced.append(sentence)
        self._out.print(clean(sentence))

    def _run(self) -> None:
        # The daemon may stop at any moment; then there is nothing to sum up, and the main thread says why.
        with suppress(ModelkeepError, OSError):
            self._follow_until_quiet()

    def _follow_until_quiet(self) -> None:
        client = self._wait_for_daemon()
        if client is None:
            return
        with client:
            while not self._stopping.wait(_POLL_SECONDS):
                status = client.get("/api/status")
                self._show(status)
                if self._quiet.is_reached(status, time.monotonic()):
                    self._sum_up(client, status)
                    return

    def _wait_for_daemon(self) -> DaemonClient | None:
        while not self._stopping.wait(_POLL_SECONDS):
            client = connect(self._call.settings)
            if client is not None:
                # Another daemon may hold this data folder; the main thread says so at this moment.
                return client if client.get("/api/status")["pid"] == os.getpid() else None
        return None

    def _show(self, status: Json) -> None:
        if self._live is not None:
            self._pace.take(status["hashing"])
            self._live.update(status_view(status, self._out, self._call.command, self._pace), refresh=True)
            return
        line, now = one_line(status), time.monotonic()
        if line != self._line and now - self._line_at >= _LINE_SECONDS:
            self._out.print(clean(line))
            self._line, self._line_at = line, now

    def _sum_up(self, client: DaemonClient, status: Json) -> None:
        from modelkeep.cli.reading import daemon_reader
        from modelkeep.cli.tour_summary import print_summary

        if self._live is not None:
            self._live.stop()
        url = client.get("/api/address")["url"]
        print_summary(daemon_reader(client), status, url, self._announced, self._call, self._out)


class Quiet:
    """Decides when there is nothing left to do. Pure: the time is an argument.

    Args:
        settled_seconds: how long an empty queue has to stay so: files that are still settling are not in it yet.
        stuck_seconds: how long nothing at all may change before waiting for more is pointless.
    """

    def __init__(self, settled_seconds: float, stuck_seconds: float) -> None:
        self._settled_seconds = settled_seconds
        self._stuck_seconds = stuck_seconds
        self._last: object = None
        self._since = 0.0

    def is_reached(self, status: Json, now: float) -> bool:
        """Return whether the work is done, or does not go on."""
        seen = (
            status["state"],
            status["models"],
            status["pending"],
            status["locations"],
            status["hashing"]["active"],
        )
        if seen != self._last:
            self._last, self._since = seen, now
        quiet_seconds = now - self._since
        pending = status["pending"]
        if status["state"] == "running" and not pending["waiting"] and not pending["hashing"]:
            return quiet_seconds >= self._settled_seconds
        return quiet_seconds >= self._stuck_seconds
