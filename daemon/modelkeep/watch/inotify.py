"""watchdog's inotify observer, with those of its answers replaced that leave it blind (watchdog 7.1)."""

import os
from collections.abc import Callable

from watchdog.events import DirCreatedEvent, DirMovedEvent, FileMovedEvent
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver
from watchdog.observers.inotify_c import InotifyConstants, Mask
from watchdog.observers.inotify_move_event_grouper import GroupedInotifyEvent, PathedInotifyEvent

from modelkeep.watch.kernel import Kernel
from modelkeep.watch.watches import Group

_END_SECONDS = 1.0
"""How long the thread of a root may take to end."""


class DirExchangedEvent(DirMovedEvent):
    """Two folders have changed places."""


class Emitter(InotifyEmitter):
    """Hands over the events of one root."""

    _inotify_fd: Kernel
    group: Group | None = None

    def on_thread_start(self) -> None:
        """Begin to watch."""
        self._inotify = self.group = Group(
            self._inotify_fd,
            os.fsencode(self.watch.path),
            is_recursive=self.watch.is_recursive,
            event_mask=self.get_event_mask_from_filter(),
            follow_symlink=self.watch.follow_symlink,
            on_overflow=self._inotify_fd.on_overflow,
        )

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread, not for a disk."""
        super().join(_END_SECONDS if timeout is None else timeout)

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
            if not (event[0].ev.is_directory and self._queue_exchange(event[0].path, event[1].path)):
                super().build_and_queue_event(event, full_events=full_events)
        elif not (event.ev.is_moved_to and self._queue_move_between_roots(event)):
            if event.ev.is_attrib and event.ev.is_directory and self.group is not None:
                self.group.watch_if_new(event.path)
            super().build_and_queue_event(event, full_events=full_events)
            if event.ev.is_moved_from and event.ev.is_directory and self.group is not None:
                self.group.unwatch_departed(event.ev.cookie)

    def _queue_exchange(self, old: bytes, new: bytes) -> bool:
        """Hand over that two folders changed places: the kernel tells it as two renames."""
        is_first = self.group.take_exchange(old, new) if self.group is not None else None
        if is_first is None:
            return False
        if is_first:
            self.queue_event(DirExchangedEvent(os.fsdecode(old), os.fsdecode(new)))
        else:  # it was followed with the first half; looking there is right in any case
            for folder in (old, new):
                self.queue_event(DirCreatedEvent(os.fsdecode(folder)))
        return True

    def _queue_move_between_roots(self, event: PathedInotifyEvent) -> bool:
        # Theirs pairs the halves of a rename within one root only.
        source = self._inotify_fd.source_of(event.ev)
        if source is None:
            return False
        kind = DirMovedEvent if event.ev.is_directory else FileMovedEvent
        self.queue_event(kind(os.fsdecode(source), os.fsdecode(event.path)))
        return True


class Observer(InotifyObserver):
    """Watches roots; `on_overflow` gets the path of each root of which the kernel dropped events."""

    def __init__(self, on_overflow: Callable[[str], None]) -> None:
        self._inotify_fd: Kernel = Kernel(on_overflow)
        self._inotify_fd.start()
        BaseObserver.__init__(self, Emitter, inotify_fd=self._inotify_fd)

    def end_strays(self) -> int:
        """End the kernel's watches of which nobody knows, and forget those that it has not; returns how many."""
        return self._inotify_fd.end_strays()

    @property
    def hears(self) -> bool:
        """Whether the threads run that read the kernel's events and hand them over."""
        return self.is_alive() and self._inotify_fd.is_alive()
