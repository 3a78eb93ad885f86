"""Watch the roots: watchdog observers, whose events are translated here, once, into the project's own.

A handler only translates and hands over: an exception in one would end watchdog's dispatcher while all looks alive.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Sequence

from watchdog.events import (
    DirAttribEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch

from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    SidecarsTouched,
    WatchEvent,
)
from modelkeep.domain.naming import CONTROL_SUFFIX, is_model_file, may_be_sidecar
from modelkeep.watch.inotify import DirExchangedEvent, Emitter, Observer
from modelkeep.watch.polling import PollingEmitter, PollingObserver
from modelkeep.watch.watches import Group

_log = logging.getLogger(__name__)

# Narrows the kernel's mask: unfiltered, the daemon's own reading floods the queue, and the kernel drops events.
_WANTED: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
    # New times, which are part of what a file is known by, and new rights: what could not be read can be now.
    FileAttribEvent,
    DirAttribEvent,
]
# Polling compares what it saw with what it sees, and tells no other way that a file was written again.
_WANTED_OF_POLLING = [*_WANTED, FileModifiedEvent]
_POLL_SECONDS = 10.0
_QUIET_SECONDS = 2.0
"""Without an event about folders: longer than one is held back, or waits to be handed over."""
_END_SECONDS = 1.0
"""How long a thread may take to end that is no longer needed; it may wait for a disk that does not answer."""


class _Translator(FileSystemEventHandler):
    """Translates watchdog's events; names that cannot be a model's go no further."""

    def __init__(self, sink: Callable[[WatchEvent], None], extensions: Sequence[str]) -> None:
        self._sink = sink
        self._extensions = tuple(extensions)

    def dispatch(self, event: FileSystemEvent) -> None:
        """Hand over what an event means, if it means anything here."""
        translated = self._translate(event, os.fsdecode(event.src_path))
        if translated is not None:
            self._sink(translated)

    def _translate(self, event: FileSystemEvent, path: str) -> WatchEvent | None:
        if (
            event.is_synthetic
        ):  # of what lies in a folder that was moved: the folder itself is followed, or looked through
            return None
        if isinstance(event, FileMovedEvent | DirMovedEvent):
            return self._moved(event, path, os.fsdecode(event.dest_path))
        if isinstance(event, DirCreatedEvent | DirAttribEvent):
            return FolderAppeared(path)
        if isinstance(event, DirDeletedEvent):
            return FolderGone(path)
        if isinstance(event, FileDeletedEvent) and path.endswith(CONTROL_SUFFIX):
            path = path.removesuffix(CONTROL_SUFFIX)  # aria2 is done with the file beside it
            return FileClosed(path) if self._is_model(path) else None
        if not self._is_model(path):
            return _of_sidecars(path)
        if isinstance(event, FileClosedEvent):
            return FileClosed(path)
        return FileGone(path) if isinstance(event, FileDeletedEvent) else FileAppeared(path)

    def _moved(self, event: FileSystemEvent, old: str, new: str) -> WatchEvent | None:
        if isinstance(event, DirExchangedEvent):
            return FolderExchanged(old, new)
        if isinstance(event, DirMovedEvent):
            return FolderMoved(old, new)
        if not self._is_model(new):
            return FileGone(old) if self._is_model(old) else _of_sidecars(old, new)
        return FileMoved(old, new) if self._is_model(old) else FileAppeared(new, complete=True)

    def _is_model(self, path: str) -> bool:
        return is_model_file(os.path.basename(path), self._extensions)


def _of_sidecars(*paths: str) -> SidecarsTouched | None:
    """Return what happened to files that are no models, if any of them may belong to one."""
    concerned = tuple(path for path in paths if may_be_sidecar(path))
    return SidecarsTouched(concerned) if concerned else None


class Watcher:
    """Watches roots and hands over what happens in them.

    Args:
        sink: takes the events, in watchdog's threads.
        extensions: endings of model files.
        polling: tells whether a root has to be polled (network file systems make no events).
    """

    def __init__(
        self, sink: Callable[[WatchEvent], None], extensions: Sequence[str], polling: Callable[[str], bool]
    ) -> None:
        self._sink = sink
        self._translator = _Translator(sink, extensions)
        self._needs_polling = polling
        self._inotify: Observer | None = None
        self._polling: BaseObserver | None = None
        self._watches: dict[str, tuple[BaseObserver, ObservedWatch]] = {}
        self._compared_at: dict[str, float] = {}
        self.overflows = 0

    def add(self, root: str) -> None:
        """Begin to watch a root; it has to exist.

        Raises:
            OSError: it cannot be watched; ENOSPC or EMFILE when the kernel's limit of watches or instances is
                reached.
        """
        if root in self._watches:
            return
        polls = self._needs_polling(root)
        observer = self._polling_observer() if polls else self._inotify_observer()
        wanted = _WANTED_OF_POLLING if polls else _WANTED
        watch = observer.schedule(self._translator, root, recursive=True, event_filter=wanted)
        self._watches[root] = (observer, watch)
        for emitter in list(observer.emitters):
            if emitter.watch == watch and isinstance(emitter, PollingEmitter):
                emitter.wait_for_first_look()

    def remove(self, root: str) -> None:
        """End watching a root; it may be gone."""
        observer, watch = self._watches.pop(root, (None, None))
        self._compared_at.pop(root, None)
        if observer is not None and watch is not None and observer in (self._inotify, self._polling):
            observer.unschedule(watch)

    def polls(self, root: str) -> bool:
        """Return whether a root is polled."""
        return root in self._watches and self._watches[root][0] is self._polling

    def watch_folders(self, root: str, folders: Sequence[str]) -> int:
        """Make sure that the kernel watches folders of a root; returns for how many its limit is high enough."""
        group = self._group(root)
        if group is None:
            return 0
        group.folders_changed_at = time.monotonic()  # a scan is a good moment to compare all watches, soon after it
        refused = 0
        for folder in map(os.fsencode, folders):
            try:
                group.watch(folder)
            except OSError as error:  # else it is gone, or may not be read: the scan says so
                refused += error.errno == errno.ENOSPC
        return len(folders) - refused

    def has_settled(self, root: str) -> bool:
        """Return whether folders of a root changed, and none does any more, since its watches were last compared."""
        group = self._group(root)
        if group is None or group.folders_changed_at <= self._compared_at.get(root, float("-inf")):
            return False
        return time.monotonic() - group.folders_changed_at > _QUIET_SECONDS

    def mend_watches(self, root: str, folders: Sequence[str]) -> list[str]:
        """Compare the kernel's watches with all folders of a root and put them right; returns where they were not."""
        group = self._group(root)
        if group is None or self._inotify is None:
            return []
        self._compared_at[root] = group.folders_changed_at
        self._inotify.end_strays()
        return [os.fsdecode(folder) for folder in group.mend([os.fsencode(folder) for folder in folders])]

    def is_alive(self, root: str) -> bool:
        """Return whether the threads that watch a root run."""
        observer, watch = self._watches.get(root, (None, None))
        if observer is None or not _hears(observer) or observer not in (self._inotify, self._polling):
            return False
        return any(emitter.watch == watch and emitter.is_alive() for emitter in observer.emitters)

    def stop(self) -> None:
        """End watching."""
        self._watches.clear()
        for observer in (self._inotify, self._polling):
            _end(observer)
        self._inotify = self._polling = None

    def _overflowed(self, root: str) -> None:
        self.overflows += 1
        self._sink(EventsLost(root))

    def _group(self, root: str) -> Group | None:
        observer, watch = self._watches.get(root, (None, None))
        if observer is None:
            return None
        emitters = (emitter for emitter in observer.emitters if emitter.watch == watch)
        return next((emitter.group for emitter in emitters if isinstance(emitter, Emitter)), None)

    def _inotify_observer(self) -> BaseObserver:
        if self._inotify is None or not self._inotify.hears:
            _end(self._inotify)
            self._inotify = Observer(self._overflowed)
            self._inotify.start()
        return self._inotify

    def _polling_observer(self) -> BaseObserver:
        if self._polling is None or not self._polling.is_alive():
            _end(self._polling)
            self._polling = PollingObserver(_POLL_SECONDS)
            self._polling.start()
        return self._polling


def _hears(observer: BaseObserver) -> bool:
    return observer.hears if isinstance(observer, Observer) else observer.is_alive()


def _end(observer: BaseObserver | None) -> None:
    if observer is not None:
        observer.stop()
        if observer.is_alive():
            observer.join(_END_SECONDS)
