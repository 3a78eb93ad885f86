"""Watch the roots: watchdog observers, whose events are translated here, once, into the project's own.

A handler only translates and hands over: an exception in one would end watchdog's dispatcher while all looks alive.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver, InotifyWatchGroup
from watchdog.observers.polling import PollingObserver

from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderGone,
    FolderMoved,
    WatchEvent,
)
from modelkeep.domain.naming import CONTROL_SUFFIX, is_model_file

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
]
_POLL_SECONDS = 10.0


class EventQueue:
    """Carries events from watchdog's threads to the event loop, in order, waking it once for many."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[WatchEvent] = deque()
        self._ready = asyncio.Event()
        self._waking = False

    def put(self, event: WatchEvent) -> None:
        """Hand over an event, from any thread."""
        self._events.append(event)
        if not self._waking:
            self._waking = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed: the daemon has stopped
                self._events.clear()

    async def take(self, most: int) -> list[WatchEvent]:
        """Wait for events and return them in order, at most so many at once."""
        while not self._events:
            self._ready.clear()
            await self._ready.wait()
        return [self._events.popleft() for _ in range(min(most, len(self._events)))]

    def _wake(self) -> None:
        self._waking = False
        self._ready.set()


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
        if isinstance(event, FileMovedEvent | DirMovedEvent):
            return None if event.is_synthetic else self._moved(event, path, os.fsdecode(event.dest_path))
        if isinstance(event, DirCreatedEvent):
            return FolderAppeared(path)
        if isinstance(event, DirDeletedEvent):
            return FolderGone(path)
        if isinstance(event, FileDeletedEvent) and path.endswith(CONTROL_SUFFIX):
            return FileClosed(path.removesuffix(CONTROL_SUFFIX))  # aria2 is done with the file beside it
        if not self._is_model(path):
            return None
        if isinstance(event, FileClosedEvent):
            return FileClosed(path)
        return FileGone(path) if isinstance(event, FileDeletedEvent) else FileAppeared(path)

    def _moved(self, event: FileSystemEvent, old: str, new: str) -> WatchEvent | None:
        if isinstance(event, DirMovedEvent):
            return FolderMoved(old, new)
        if not self._is_model(new):
            return FileGone(old) if self._is_model(old) else None
        return FileMoved(old, new) if self._is_model(old) else FileAppeared(new, complete=True)

    def _is_model(self, path: str) -> bool:
        return is_model_file(os.path.basename(path), self._extensions)


class _Emitter(InotifyEmitter):
    """watchdog's emitter, with its own answer to a queue overflow replaced.

    Its answer (7.1) is to remove and add every watch: with thousands of folders that overflows the queue again,
    without end. The watches are good; what was dropped is found by looking, so the overflow is only reported.
    """

    on_overflow: Callable[[str], None]

    def on_thread_start(self) -> None:
        super().on_thread_start()
        group = self._inotify
        assert group is not None  # noqa: S101 - made by the line above
        path = os.fsdecode(self.watch.path)
        group.on_queue_overflow = lambda: type(self).on_overflow(path)  # type: ignore[method-assign]

    @property
    def group(self) -> InotifyWatchGroup | None:
        """The kernel watches of this root."""
        return self._inotify


class _Observer(InotifyObserver):
    def __init__(self, on_overflow: Callable[[str], None]) -> None:
        super().__init__()
        self._emitter_class = type("_ReportingEmitter", (_Emitter,), {"on_overflow": staticmethod(on_overflow)})


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
        self._inotify: _Observer | None = None
        self._polling: BaseObserver | None = None
        self._watches: dict[str, tuple[BaseObserver, ObservedWatch]] = {}
        self.overflows = 0

    def add(self, root: str) -> None:
        """Begin to watch a root; it has to exist.

        Raises:
            OSError: it cannot be watched; ENOSPC when the kernel's limit of watches or instances is reached.
        """
        if root in self._watches:
            return
        observer = self._polling_observer() if self._needs_polling(root) else self._inotify_observer()
        watch = observer.schedule(self._translator, root, recursive=True, event_filter=_WANTED)
        self._watches[root] = (observer, watch)

    def remove(self, root: str) -> None:
        """End watching a root; it may be gone."""
        observer, watch = self._watches.pop(root, (None, None))
        if observer is not None and watch is not None:
            observer.unschedule(watch)

    def polls(self, root: str) -> bool:
        """Tell whether a root is polled."""
        return root in self._watches and self._watches[root][0] is self._polling

    def watched_folders(self, root: str) -> int:
        """Return how many folders of a root the kernel watches."""
        group = self._group(root)
        return len(group._active_callbacks_by_path) if group is not None else 0

    def watch_folders(self, root: str, folders: Sequence[str]) -> int:
        """Watch folders of a root that are not watched yet; returns how many of them are watched by now."""
        group = self._group(root)
        if group is None:
            return 0
        with group._lock:
            known = group._active_callbacks_by_path
            for folder in map(os.fsencode, folders):
                if folder not in known:
                    group._add_callback(folder)
            return sum(os.fsencode(folder) in known for folder in folders)

    def is_alive(self, root: str) -> bool:
        """Tell whether the threads that watch a root run."""
        observer, watch = self._watches.get(root, (None, None))
        if observer is None or not observer.is_alive():
            return False
        return any(emitter.watch == watch and emitter.is_alive() for emitter in observer.emitters)

    def stop(self) -> None:
        """End watching."""
        self._watches.clear()
        for observer in (self._inotify, self._polling):
            if observer is not None:
                observer.stop()
                observer.join()
        self._inotify = self._polling = None

    def _overflowed(self, root: str) -> None:
        self.overflows += 1
        self._sink(EventsLost(root))

    def _group(self, root: str) -> InotifyWatchGroup | None:
        observer, watch = self._watches.get(root, (None, None))
        if observer is None:
            return None
        emitters = (emitter for emitter in observer.emitters if emitter.watch == watch)
        return next((emitter.group for emitter in emitters if isinstance(emitter, _Emitter)), None)

    def _inotify_observer(self) -> BaseObserver:
        if self._inotify is None:
            self._inotify = _Observer(self._overflowed)
            self._inotify.start()
        return self._inotify

    def _polling_observer(self) -> BaseObserver:
        if self._polling is None:
            self._polling = PollingObserver(timeout=_POLL_SECONDS)
            self._polling.start()
        return self._polling
