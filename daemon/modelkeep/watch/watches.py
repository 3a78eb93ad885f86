"""The watches of one root: which folder each of them means, whatever is done to the folders (watchdog 7.1)."""

import errno
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache, cached_property
from typing import Any

from watchdog.observers.inotify import InotifyWatchGroup
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from modelkeep.disk.mounts import is_pseudo_file_system
from modelkeep.watch.pairing import Grouper


class Group(InotifyWatchGroup):
    """The watches of one root.

    After a queue overflow 7.1 removes and adds every watch: with thousands of folders that overflows the queue again,
    without end. The watches are good; what was dropped is found by looking, so the overflow is only reported.

    Its way to follow the rename of a folder loses the folder that gave its place up (`RENAME_EXCHANGE`). Here the
    kernel is asked again, after each rename, what it watches at both places: it answers with the watch that it has.

    Args:
        arguments: theirs.
        on_overflow: gets the root's path when the kernel dropped events.
        options: theirs.
    """

    folders_changed_at = float("-inf")
    """When something last happened to a folder, or to what leads to one, by the monotonic clock."""

    def __init__(self, *arguments: Any, on_overflow: Callable[[str], None], **options: Any) -> None:
        self._on_overflow = on_overflow
        self._exchanges: dict[tuple[bytes, bytes], bool] = {}
        self._departed: dict[int, list[WatchDescriptor]] = {}
        self._displaced: set[WatchDescriptor] = set()
        self._unproven: set[WatchDescriptor] = set()
        super().__init__(*arguments, **options)

    def __post_init__(self) -> None:
        self._move_event_grouper = Grouper()
        super().__post_init__()

    @cached_property
    def alone(self) -> dict[CallbackId, WatchCallback]:
        """Who is told of what nobody else watches; never changed."""
        return {self._id: self}

    def take_exchange(self, old: bytes, new: bytes) -> bool | None:
        """Return whether a rename is the first half of an exchange of folders; None when it is no half of one."""
        return self._exchanges.pop((old, new), None)

    def on_event(self, event: InotifyEvent) -> None:
        """Take an event in."""
        if self._is_about_folders(event):
            self.folders_changed_at = time.monotonic()
        if event.is_move and event.is_directory:
            self._note_departure(event)
        super().on_event(event)

    def _note_departure(self, event: InotifyEvent) -> None:
        """Remember the watches of a folder that leaves its place, until it is known where it went."""
        with self._lock:
            path = self._build_event_source_path(event)
            if event.is_moved_to:
                self._departed.pop(event.cookie, None)
            elif path is not None:
                self._departed[event.cookie] = list(self._held_below(path))

    def on_queue_overflow(self) -> None:
        """Report that events were lost."""
        self.folders_changed_at = time.monotonic()
        self._exchanges.clear()
        self._on_overflow(os.fsdecode(self.path))

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
        os.stat(folder)  # what hangs must do so before it holds the lock of all roots
        with self._lock:
            self._register(folder, follow_link=True)
            self._let_go_of_displaced()

    def watch_if_new(self, folder: bytes) -> None:
        """Watch a folder and all below it, unless it is watched: it may just have become readable."""
        with self._lock:
            if folder not in self._active_callbacks_by_path:
                self._add_all_callbacks(folder)

    def unwatch_departed(self, cookie: int) -> None:
        """Let go of a folder that was moved out: it would go on reporting under its old path, for ever."""
        with self._lock:
            # What was moved into it was moved out as well, and nobody has told so.
            departed = {*self._departed.pop(cookie, ()), *self._unproven}
            self._unproven.clear()
            if self.is_active:
                self._let_go([wd for wd in departed if not self._is_confirmed(wd)])
                self._let_go_of_displaced()

    def _is_confirmed(self, descriptor: WatchDescriptor) -> bool:
        """Return whether the kernel says that a watch means the folder that it is believed to mean."""
        path = self.path_of(descriptor)
        with suppress(OSError):
            return path is None or self._register(path, follow_link=False) == descriptor
        return False

    def mend(self, folders: Collection[bytes]) -> list[bytes]:
        """Hold what is believed of the kernel's watches against the folders of the root, and put it right.

        Args:
            folders: all of the root that have to be watched.

        Returns:
            The folders that were not watched, or of which events would have been told of another path.
        """
        with self._lock:
            if not self.is_active:
                return []
            # What was made since the folders were listed is there, and the kernel says so.
            rest = set(self._active_callbacks_by_watch.values()).difference(folders)
            wrong = [folder for folder in (*folders, *rest) if self._is_mended(folder)]
            stale = [wd for wd, path in self._active_callbacks_by_watch.items() if not self._is_current(wd, path)]
            wrong += [self._active_callbacks_by_watch[wd] for wd in stale]
            self._let_go(stale)
            self._displaced.clear()
            self._unproven.clear()
        return list(dict.fromkeys(wrong))

    def _is_mended(self, folder: bytes) -> bool:
        """Ask the kernel for its watch of a folder; returns whether another one, or none, was believed to be it."""
        believed = self._active_callbacks_by_path.get(folder)
        try:
            descriptor = self._register(folder, follow_link=True)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self._active_callbacks_by_path.pop(folder, None)
                return believed is not None
            return False  # it may not be read, or the kernel's limit is reached: that is told elsewhere
        return believed != descriptor

    def _is_current(self, descriptor: WatchDescriptor, path: bytes) -> bool:
        return self._active_callbacks_by_path.get(path) == descriptor

    def _is_about_folders(self, event: InotifyEvent) -> bool:
        """Return whether an event may change what has to be watched."""
        if event.is_ignored or not (event.is_create or event.is_move or event.is_delete):
            return False
        path = self._build_event_source_path(event)
        if path is None or event.is_directory:
            return path is not None
        # No event says that it is about a link to a folder, or to where one will be mounted.
        return path in self._active_callbacks_by_path or (os.path.islink(path) and not os.path.isfile(path))

    # Without the lock

    def _move_watches(self, move_src_path: bytes, move_dst_path: bytes) -> bool:
        given_up = self._active_callbacks_by_path.get(move_dst_path)
        moved = self._held_below(move_src_path)
        for path in moved.values():
            del self._active_callbacks_by_path[path]
        for wd, path in moved.items():
            self._believe(wd, move_dst_path + path[len(move_src_path) :])
        self._unproven.update(moved)
        if self._is_hidden(move_dst_path):
            self._let_go(moved)
        # What lies there by now: the two may have changed places, and later events may tell of more.
        for folder in (move_dst_path, move_src_path):
            self._watch_tree(folder)
        self._let_go_of_displaced()
        if given_up is not None and self._active_callbacks_by_path.get(move_src_path) == given_up:
            self._exchanges[move_src_path, move_dst_path] = True
            self._exchanges[move_dst_path, move_src_path] = False
        return True

    def _add_all_callbacks(self, path: bytes) -> None:
        if path == self.path:
            self._register(path, follow_link=True)  # that the root cannot be watched has to be told
        self._watch_tree(path)
        self._let_go_of_displaced()

    def _watch_tree(self, folder: bytes) -> None:
        """Have the kernel watch a folder and all below it, as far as it can."""
        if self._is_hidden(folder):
            return
        for path in _folders_at(folder, is_root=folder == self.path):
            with suppress(OSError):  # it is gone, or may not be read; rescans find what the kernel does not watch
                self._register(path, follow_link=path == self.path)

    def _register(self, folder: bytes, *, follow_link: bool) -> WatchDescriptor:
        """Have the kernel watch a folder, and record which of its watches means it."""
        mask = _mask_for_folders(self.event_mask, follow_link=follow_link)
        descriptor = self._inotify_fd.add_callback(folder, mask, self, self._id)
        self._unproven.discard(descriptor)
        before = self.path_of(descriptor)
        if before is not None and self._is_current(descriptor, before):
            if before == folder:
                return descriptor
            del self._active_callbacks_by_path[before]  # perhaps it was renamed, and the event was lost
        self._believe(descriptor, folder)
        return descriptor

    def _believe(self, descriptor: WatchDescriptor, folder: bytes) -> None:
        displaced = self._active_callbacks_by_path.get(folder, descriptor)
        if displaced != descriptor:
            self._displaced.add(displaced)
        self._active_callbacks_by_path[folder] = descriptor
        self._active_callbacks_by_watch[descriptor] = folder

    def _let_go_of_displaced(self) -> None:
        """Let go of watches in whose place there is another one, and that were found nowhere else.

        Where such a folder went, an event tells that is still to come: there it is watched anew, and looked through.
        """
        displaced, self._displaced = self._displaced, set()
        self._let_go([wd for wd in displaced if not self._is_current(wd, self.path_of(wd) or b"")])

    def _held_below(self, folder: bytes) -> dict[WatchDescriptor, bytes]:
        """Return the watches of a folder and of all below it, as far as they are known by such a path."""
        held = self._active_callbacks_by_watch.items()
        return {wd: path for wd, path in held if path == folder or path.startswith(folder + b"/")}

    def _let_go(self, descriptors: Iterable[WatchDescriptor]) -> None:
        known = [descriptor for descriptor in descriptors if descriptor in self._active_callbacks_by_watch]
        self._remove_callbacks(known)

    def _is_hidden(self, folder: bytes) -> bool:
        """Return whether nothing below a folder is looked at: a folder on the way to it begins with a dot."""
        return any(part.startswith(b".") for part in folder[len(self.path) :].split(b"/"))

    def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
        # Theirs fails when a path has had another folder meanwhile, which ends the thread.
        path = self._active_callbacks_by_watch.pop(wd, None)
        if path is not None and self._is_current(wd, path):
            del self._active_callbacks_by_path[path]


@cache
def _mask_for_folders(event_mask: Mask, *, follow_link: bool) -> Mask:
    """Return what the kernel is asked for, as one number for thousands of folders."""
    # A link to a folder stands for the folder: the link itself never changes.
    flags = InotifyConstants.IN_ONLYDIR | (0 if follow_link else InotifyConstants.IN_DONT_FOLLOW)
    return Mask(event_mask & ~InotifyConstants.IN_DONT_FOLLOW | flags)


def _folders_at(folder: bytes, *, is_root: bool) -> Iterator[bytes]:
    """Return a folder and those below it that are looked at; links are not followed: scans say which have to be."""
    if not os.path.isdir(folder) or (os.path.islink(folder) and not is_root):
        return
    waiting = [(folder, -1)]
    while waiting:
        current, device = waiting.pop()
        with suppress(OSError):
            own = os.stat(current).st_dev
            if own != device and is_pseudo_file_system(current):
                continue
            yield current
            with os.scandir(current) as entries:
                names = [entry for entry in entries if not entry.name.startswith(b".")]
            waiting += [(entry.path, own) for entry in names if entry.is_dir(follow_symlinks=False)]
