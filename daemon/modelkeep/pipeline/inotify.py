"""watchdog's inotify observer, with those of its answers replaced that leave it blind (watchdog 7.1)."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress

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
    """The kernel's events for all roots; it knows where a file came from that was moved from one root to another.

    Args:
        on_overflow: gets the path of each root of which the kernel dropped events.
    """

    def __init__(self, on_overflow: Callable[[str], None]) -> None:
        super().__init__()
        self.on_overflow = on_overflow
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
            folder = group.path_of(event.wd) if isinstance(group, Group) else None
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


class Group(InotifyWatchGroup):
    """The watches of one root.

    After a queue overflow 7.1 removes and adds every watch: with thousands of folders that overflows the queue again,
    without end. The watches are good; what was dropped is found by looking, so the overflow is only reported.
    """

    def on_queue_overflow(self) -> None:
        """Report that events were lost."""
        if isinstance(self._inotify_fd, Kernel):
            self._inotify_fd.on_overflow(os.fsdecode(self.path))

    def path_of(self, descriptor: WatchDescriptor) -> bytes | None:
        """Return the folder that a descriptor watches."""
        return self._active_callbacks_by_watch.get(descriptor)

    @property
    def count(self) -> int:
        """Number of folders that the kernel watches."""
        return len(self._active_callbacks_by_path)

    def watch(self, folder: bytes) -> None:
        """Have the kernel watch a folder, or make sure that it does.

        Raises:
            OSError: it cannot be watched; ENOSPC when the kernel's limit is reached.
        """
        with self._lock:
            # A link to a folder stands for the folder: the link itself never changes.
            mask = Mask(self.event_mask & ~InotifyConstants.IN_DONT_FOLLOW)
            descriptor = self._inotify_fd.add_callback(folder, mask, self, self._id)
            before = self.path_of(descriptor)
            if before is not None and self._active_callbacks_by_path.get(before) == descriptor:
                del self._active_callbacks_by_path[before]  # perhaps it was renamed, and the event was lost
            self._active_callbacks_by_path[folder] = descriptor
            self._active_callbacks_by_watch[descriptor] = folder

    def watch_if_new(self, folder: bytes) -> None:
        """Watch a folder and all below it, unless it is watched: it may just have become readable."""
        if folder in self._active_callbacks_by_path:
            return
        for path, _, _ in os.walk(folder):
            with suppress(OSError):  # rescans find what the kernel does not watch
                self.watch(path)

    def unwatch_below(self, folder: bytes) -> None:
        """Let go of a folder that was moved out: it would go on reporting under its old path, for ever."""
        with self._lock:
            if not self.is_active:
                return
            is_back = os.path.isdir(folder)
            for descriptor, path in list(self._active_callbacks_by_watch.items()):
                is_below = path == folder or path.startswith(folder + b"/")
                is_current = self._active_callbacks_by_path.get(path) == descriptor
                if is_below and not (is_back and is_current):
                    self._remove_callbacks([descriptor])

    def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
        # Theirs fails when a path has had another folder meanwhile, which ends the thread.
        path = self._active_callbacks_by_watch.pop(wd, None)
        if path is not None and self._active_callbacks_by_path.get(path) == wd:
            del self._active_callbacks_by_path[path]


class Emitter(InotifyEmitter):
    """Hands over the events of one root."""

    group: Group | None = None

    def on_thread_start(self) -> None:
        """Begin to watch."""
        self._inotify = self.group = Group(
            self._inotify_fd,
            os.fsencode(self.watch.path),
            is_recursive=self.watch.is_recursive,
            event_mask=self.get_event_mask_from_filter(),
            follow_symlink=self.watch.follow_symlink,
        )

    def get_event_mask_from_filter(self) -> Mask:
        """Return what the kernel is asked to tell of: theirs forgets the attributes, which the filter names."""
        return Mask(super().get_event_mask_from_filter() | InotifyConstants.IN_ATTRIB)

    def queue_events(self, timeout: float, *, full_events: bool = False) -> None:  # noqa: ARG002 - theirs
        """Hand over the next event."""
        # Theirs logs an error when it is stopped at this point.
        group = self._inotify
        event = group.read_event() if group is not None else None
        if event is not None and self._inotify is not None:
            self.build_and_queue_event(event)

    def build_and_queue_event(self, event: GroupedInotifyEvent, *, full_events: bool = False) -> None:
        """Translate an event into watchdog's own."""
        if not isinstance(event, PathedInotifyEvent):  # a rename within this root
            super().build_and_queue_event(event, full_events=full_events)
        elif not (event.ev.is_moved_to and self._queue_move_between_roots(event)):
            if event.ev.is_attrib and event.ev.is_directory and self.group is not None:
                self.group.watch_if_new(event.path)
            super().build_and_queue_event(event, full_events=full_events)
            if event.ev.is_moved_from and event.ev.is_directory and self.group is not None:
                self.group.unwatch_below(event.path)

    def _queue_move_between_roots(self, event: PathedInotifyEvent) -> bool:
        # Theirs pairs the halves of a rename within one root only.
        source = self._inotify_fd.source_of(event.ev) if isinstance(self._inotify_fd, Kernel) else None
        if source is None:
            return False
        kind = DirMovedEvent if event.ev.is_directory else FileMovedEvent
        self.queue_event(kind(os.fsdecode(source), os.fsdecode(event.path)))
        return True


class Observer(InotifyObserver):
    """Watches roots; `on_overflow` gets the path of each root of which the kernel dropped events."""

    def __init__(self, on_overflow: Callable[[str], None]) -> None:
        self._inotify_fd = Kernel(on_overflow)
        self._inotify_fd.start()
        BaseObserver.__init__(self, Emitter, inotify_fd=self._inotify_fd)

    @property
    def hears(self) -> bool:
        """Whether the threads run that read the kernel's events and hand them over."""
        return self.is_alive() and self._inotify_fd.is_alive()
