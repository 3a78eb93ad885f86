"""watchdog's polling observer, which sees what a scan sees: 7.1 follows every link, wherever it leads."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingEmitter
from watchdog.utils.dirsnapshot import DirectorySnapshot

from modelkeep.pipeline.scan import Tour

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
                with suppress(OSError):  # gone meanwhile, or a link to nowhere
                    yield entry.path, entry.stat()
        for _, error in tour.unreadable:
            if error.errno is not None and error.errno not in _GONE_OR_CLOSED:
                raise error


class Emitter(PollingEmitter):
    """Compares the snapshots of one root."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._take_snapshot = lambda: Snapshot(str(self.watch.path))


class PollingObserver(BaseObserver):
    """Looks at roots again and again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Emitter, timeout=seconds)
