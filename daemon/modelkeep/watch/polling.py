"""watchdog's polling observer, which sees what a scan sees: 7.1 follows every link, wherever it leads."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from watchdog.observers import polling
from watchdog.observers.api import BaseObserver
from watchdog.utils.dirsnapshot import DirectorySnapshot

from modelkeep.base.patience import follow, reached
from modelkeep.disk.walk import Tour

_LOOK_SECONDS = 0.1
_END_SECONDS = 1.0
"""How long a thread may take to end that is no longer needed; it may wait for a disk that does not answer."""

_GONE_OR_CLOSED = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EACCES, errno.EPERM)


class Snapshot(DirectorySnapshot):
    """What lies below a root at one moment."""

    def walk(self, root: str) -> Iterator[tuple[str, os.stat_result]]:
        """Return path and status of every entry of the folders that a scan would enter.

        Raises:
            OSError: what lies in a folder cannot be told: nothing of it has changed then.
        """
        tour = Tour(root, root)
        for _, entries in tour:
            for entry in entries:
                reached(entry.path)
                with suppress(OSError):  # gone meanwhile, or a link to nowhere
                    yield entry.path, entry.stat()
        for _, error in tour.unreadable:
            if error.errno is not None and error.errno not in _GONE_OR_CLOSED:
                raise error


class PollingEmitter(polling.PollingEmitter):
    """Compares the snapshots of one root; whoever waits for one that does not answer waits in this thread alone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._take_snapshot = lambda: Snapshot(str(self.watch.path))
        self._first_look = threading.Event()
        self._place = ""
        self._fault: OSError | None = None

    def on_thread_start(self) -> None:
        """Do nothing: theirs looks at the whole root while it holds the lock of all of them."""

    def run(self) -> None:
        """Look at the root, and then compare again and again."""
        follow(self._record)
        try:
            super().on_thread_start()
        except OSError as error:
            self._fault = error
            return
        finally:
            self._first_look.set()
        super().run()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread, not for a disk."""
        super().join(_END_SECONDS if timeout is None else timeout)

    def wait_for_first_look(self) -> None:
        """Wait until everything is noticed that happens from now on.

        Raises:
            OSError: the root cannot be looked at.
        """
        before = ""
        while not self._first_look.wait(_LOOK_SECONDS):
            if self._place != before:
                before = self._place
                reached(before)
        if self._fault is not None:
            raise self._fault

    def _record(self, place: str) -> None:
        self._place = place


class PollingObserver(BaseObserver):
    """Looks at roots again and again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(PollingEmitter, timeout=seconds)
