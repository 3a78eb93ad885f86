"""The kernel's events and watches for all roots: one inotify instance (watchdog 7.1)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyEvent,
    InotifyFD,
    Mask,
    Watch,
    WatchCallback,
    WatchDescriptor,
    inotify_rm_watch,
)

from modelkeep.base.patience import reached
from modelkeep.watch.watches import Group

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

    def end_strays(self) -> int:
        """End the kernel's watches of which nobody knows here, and forget those that it has not; returns how many."""
        with self._lock:
            in_kernel = set() if self._closed else _watches_in_kernel(self._inotify_fd)
            if not in_kernel:  # the kernel does not say
                return 0
            strays = [wd for wd in in_kernel if wd not in self._watch_for_wd]
            for wd in strays:
                inotify_rm_watch(self._inotify_fd, wd)
            lost = [wd for wd in self._watch_for_wd if wd not in in_kernel]
            callbacks = [(wd, callback) for wd in lost for callback in self._remove_watch(wd)]
        for wd, callback in callbacks:  # outside of the lock: they may want to watch
            callback.on_watch_deleted(wd)
        return len(strays) + len(lost)

    def _get_or_create_watch(self, path: bytes, mask: Mask) -> Watch:
        reached(os.fsdecode(path))
        # Theirs takes a folder that may not be read for a watched one.
        watch = super()._get_or_create_watch(path, mask)
        if watch.wd == _REFUSED:
            del self._watch_for_wd[_REFUSED]
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return watch

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        # Theirs warns when a folder is watched already; asking the kernel again is how one knows that it is.
        watch = self._get_or_create_watch(path, mask)
        if isinstance(callback, Group) and watch.callbacks.keys() <= {id_}:
            watch.callbacks = callback.alone  # a table for each of thousands takes a third of their memory
        else:
            watch.callbacks = {**watch.callbacks, id_: callback}
        return watch.wd

    def _remove_callback(self, wd: WatchDescriptor, id_: CallbackId) -> None:
        watch = self._watch_for_wd.get(wd)
        if watch is not None:
            watch.callbacks = dict(watch.callbacks)  # theirs takes it out, and others have the same table
        super()._remove_callback(wd, id_)


def _watches_in_kernel(descriptor: int) -> set[WatchDescriptor]:
    """Return the watches of an inotify instance (proc_pid_fdinfo(5): `inotify wd:1 ino:... sdev:... mask:...`)."""
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:
        return set()
    return {
        WatchDescriptor(int(line.split()[1].removeprefix("wd:"), 16)) for line in lines if line.startswith("inotify ")
    }
