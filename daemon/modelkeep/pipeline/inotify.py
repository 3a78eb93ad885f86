"""watchdog's inotify observer, with those of its answers replaced that leave it blind (watchdog 7.1)."""

import errno
import os
from collections.abc import Callable

from watchdog.events import DirMovedEvent, FileMovedEvent
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver, InotifyWatchGroup
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    Watch,
    WatchCallback,
    WatchDescriptor,
)
from watchdog.observers.inotify_move_event_grouper import GroupedInotifyEvent, PathedInotifyEvent

_REFUSED = WatchDescriptor(-1)


_RENAMES_MAX = 10_000
"""Renames of which the other half may still come."""


class Kernel(InotifyFD):
    """The kernel's events for all roots; it knows where a file came from that was moved from one root to another."""

    def __init__(self) -> None:
        super().__init__()
        self._moved_from: dict[int, bytes] = {}

    def handle_event(self, event: InotifyEvent) -> None:
        """Hand an event to the roots that it concerns."""
        if event.is_moved_from:
            self._remember(event)
        super().handle_event(event)

    def source_of(self, event: InotifyEvent) -> bytes | None:
        """Return the path from which something was moved to where an event says."""
        return self._moved_from.pop(event.cookie, None)

    def _remember(self, event: InotifyEvent) -> None:
        watch = self._watch_for_wd.get(event.wd)
        for group in watch.callbacks.values() if watch is not None else ():
            folder = group._active_callbacks_by_watch.get(event.wd) if isinstance(group, InotifyWatchGroup) else None
            if folder is not None:
                self._moved_from[event.cookie] = os.path.join(folder, event.name)
        if len(self._moved_from) > _RENAMES_MAX:
            del self._moved_from[next(iter(self._moved_from))]

    def _get_or_create_watch(self, path: bytes, mask: Mask) -> Watch:
        # Theirs takes a folder that may not be read for a watched one.
        watch = super()._get_or_create_watch(path, mask)
        if watch.wd == _REFUSED:
            del self._watch_for_wd[_REFUSED]
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return watch

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        # Theirs warns when a folder is watched already; asking the kernel again is how one knows that it is.
        watch = self._get_or_create_watch(path, mask)
        watch.callbacks[id_] = callback
        return watch.wd


class Emitter(InotifyEmitter):
    """Hands over the events of one root.

    After a queue overflow 7.1 removes and adds every watch: with thousands of folders that overflows the queue again,
    without end. The watches are good; what was dropped is found by looking, so the overflow is only reported.
    """

    on_overflow: Callable[[str], None]

    def on_thread_start(self) -> None:
        """Begin to watch."""
        super().on_thread_start()
        group = self._inotify
        assert group is not None  # noqa: S101 - made by the line above
        path = os.fsdecode(self.watch.path)
        group.on_queue_overflow = lambda: type(self).on_overflow(path)  # type: ignore[method-assign]

    def queue_events(self, timeout: float, *, full_events: bool = False) -> None:  # noqa: ARG002 - theirs
        """Hand over the next event."""
        # Theirs logs an error when it is stopped at this point.
        group = self._inotify
        event = group.read_event() if group is not None else None
        if event is not None and self._inotify is not None:
            self.build_and_queue_event(event)

    def build_and_queue_event(self, event: GroupedInotifyEvent, *, full_events: bool = False) -> None:
        """Translate an event into watchdog's own."""
        if isinstance(event, PathedInotifyEvent) and event.ev.is_moved_to and self._queue_move_between_roots(event):
            return
        super().build_and_queue_event(event, full_events=full_events)
        group = self._inotify
        if group is None or not isinstance(event, PathedInotifyEvent):  # both halves of a rename are known
            return
        if event.ev.is_moved_from and event.ev.is_directory:
            _unwatch_below(group, event.path)

    def _queue_move_between_roots(self, event: PathedInotifyEvent) -> bool:
        # Theirs pairs the halves of a rename within one root only.
        source = self._inotify_fd.source_of(event.ev) if isinstance(self._inotify_fd, Kernel) else None
        if source is None:
            return False
        kind = DirMovedEvent if event.ev.is_directory else FileMovedEvent
        self.queue_event(kind(os.fsdecode(source), os.fsdecode(event.path)))
        return True

    @property
    def group(self) -> InotifyWatchGroup | None:
        """The kernel watches of this root."""
        return self._inotify


class Observer(InotifyObserver):
    """Watches roots; `on_overflow` gets the path of each root of which the kernel dropped events."""

    def __init__(self, on_overflow: Callable[[str], None]) -> None:
        self._inotify_fd = Kernel()
        self._inotify_fd.start()
        emitter_class = type("_ReportingEmitter", (Emitter,), {"on_overflow": staticmethod(on_overflow)})
        BaseObserver.__init__(self, emitter_class, inotify_fd=self._inotify_fd)

    @property
    def hears(self) -> bool:
        """Whether the threads run that read the kernel's events and hand them over."""
        return self.is_alive() and self._inotify_fd.is_alive()


def watch_folder(group: InotifyWatchGroup, folder: bytes) -> None:
    """Have the kernel watch a folder, or make sure that it does; the caller holds the group's lock.

    Raises:
        OSError: it cannot be watched; ENOSPC when the kernel's limit is reached.
    """
    # A link to a folder stands for the folder: the link itself never changes.
    mask = Mask(group.event_mask & ~InotifyConstants.IN_DONT_FOLLOW)
    descriptor = group._inotify_fd.add_callback(folder, mask, group, group._id)
    before = group._active_callbacks_by_watch.get(descriptor)
    if before is not None and before != folder and group._active_callbacks_by_path.get(before) == descriptor:
        del group._active_callbacks_by_path[before]  # it was renamed, and the event was lost
    group._active_callbacks_by_path[folder] = descriptor
    group._active_callbacks_by_watch[descriptor] = folder


def _unwatch_below(group: InotifyWatchGroup, folder: bytes) -> None:
    """Let go of a folder that was moved out: it would go on reporting under its old path, for ever."""
    with group._lock:
        if not group.is_active or os.path.isdir(folder):  # it is back, and watched anew
            return
        watched = group._active_callbacks_by_path
        for path in [path for path in watched if path == folder or path.startswith(folder + b"/")]:
            descriptor = watched[path]
            if group._active_callbacks_by_watch.get(descriptor) == path:
                group._remove_callbacks([descriptor])
            else:
                del watched[path]
