"""Walk a folder and list the model files in it.

Links lead anywhere: to the kernel's own folders, to the whole machine, in circles. Those out of the root are followed
to files and folders of ordinary file systems only, and not without end.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from modelkeep.base.patience import reached
from modelkeep.disk.folder_listing import Packed, PackedFolders, packed_folders
from modelkeep.disk.mounts import file_system_of, is_pseudo_file_system
from modelkeep.disk.pseudo_files import is_pseudo_file
from modelkeep.disk.statx import Looks
from modelkeep.domain.fingerprint import Entry, Fingerprint
from modelkeep.domain.naming import Root, is_hidden_below, is_model_file

LINKED_FOLDERS_MAX = 20_000
"""Folders behind links out of a root that are entered."""

LINKED_AROUND_MAX = 1_000
"""Folders around what links out of a root lead to that are remembered."""

LINKED_LEVELS_MAX = 32
"""Levels of folders behind a link out of a root, links in them counted as levels."""

_KERNELS_FOLDERS = tuple(map(Root, ("/proc", "/sys", "/dev")))
_SHARED_MEMORY = Root("/dev/shm")  # noqa: S108 - nothing is made there
_LINKS_IN_A_ROW = 40
"""Of which the kernel makes one path (path_resolution(7))."""


@dataclass(slots=True)
class Listing:
    """What lies below a folder: model files with their fingerprints, folders, and what could not be read.

    `packed` and `single` are the files as the kernel tells of them: a scan makes values of few. `unreadable` and
    `not_followed` have paths with the reason, `gone` are folders that went before it was their turn: of what lies
    below an unreadable or gone one nobody knows. `around_linked` are folders in which lies what links out of the root
    lead to, whether it is there or not.
    """

    packed: list[Packed] = field(default_factory=list)
    single: list[Entry] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    not_followed: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    around_linked: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return sum(map(len, self.packed)) + len(self.single)

    def note_failure(self, folder: str, error: OSError) -> None:
        """Take down why a folder cannot be read."""
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            self.gone.append(folder)
        else:
            self.unreadable.append((folder, error.strerror or str(error)))

    def digest(self) -> bytes:
        """Return what is the same only for the same files of which the kernel tells the same."""
        digest = hashlib.sha256(repr(self.single).encode("utf-8", "surrogateescape"))
        for packed in self.packed:
            for part in (os.fsencode(packed.folder), packed.files, packed.names):
                digest.update(b"%d " % len(part))
                digest.update(part)
        return digest.digest()

    def entries(self) -> set[Entry]:
        """Return all files as plain values."""
        found = set(self.single)
        for packed in self.packed:
            found.update(packed.entries())
        return found

    @property
    def files(self) -> dict[str, Fingerprint]:
        """The fingerprint of each file by its path."""
        return {entry[0]: Fingerprint.of(*entry[1:]) for entry in self.entries()}


def walk(folder: str, extensions: Sequence[str], root: str | None = None) -> Listing:
    """List the model files below a folder.

    Links to folders are followed where nothing else leads to the folder, each folder is entered once: a loop of links
    ends. Folders whose name begins with a dot are left out.

    Args:
        folder: where to begin.
        extensions: endings of model files.
        root: the root in which the folder lies, when it is not one: the listing is the part of the root's own that
            lies below the folder.
    """
    listing, looks, suffixes = Listing(), Looks(), tuple(extensions)
    packed = packed_folders(suffixes) if suffixes else None
    tour = Tour(folder, root or folder, _reading(packed, listing) if packed is not None else None)
    for current, entries in tour:
        listing.folders.append(current)
        files = [entry for entry in entries if is_model_file(entry.name, suffixes)] if suffixes else []
        if files:
            _take_files(current, files, looks, listing)
    for path, error in tour.unreadable:
        listing.note_failure(path, error)
    listing.not_followed = sorted([*listing.not_followed, *tour.not_followed])
    listing.around_linked = tour.around_linked
    return listing


def _reading(packed: PackedFolders, listing: Listing) -> "Reads":
    """Return what lists the files of folders whole, where they can be."""

    def read(folder: str) -> Sequence[str] | None:
        told = packed.read(folder)
        if told is None:
            return None
        files, folders = told
        if len(files):
            listing.packed.append(files)
        return folders

    return read


def _take_files(folder: str, files: "Sequence[os.DirEntry[str]]", looks: Looks, listing: Listing) -> None:
    """List model files of a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        listing.note_failure(folder, error)
        return
    try:
        listing.single.extend(looks.through(descriptor, (file for file in files if _is_ordinary(file, listing))))
    finally:
        os.close(descriptor)


def _is_ordinary(file: "os.DirEntry[str]", listing: Listing) -> bool:
    """Return whether no link leads from there to a file that the kernel makes up."""
    if not file.is_symlink() or not is_pseudo_file(file.path):
        return True
    listing.not_followed.append((file.path, f"it leads to a file of the kernel ({file_system_of(file.path)})"))
    return False


@dataclass(frozen=True, slots=True)
class _Step:
    """A folder to be entered; `behind` counts the levels since a link led out of the root, 0 in the root itself."""

    path: str
    behind: int
    device: int


Reads = Callable[[str], Sequence[str] | None]
"""Reads a folder in its own way, and returns the names of those in it; None where that has to be done as usual."""


class Tour:
    """Enters a folder and those below it, one after the other; gives each with its entries.

    `unreadable`, `not_followed` and `around_linked` (see `Listing`) grow on the way.

    Args:
        folder: where to begin.
        root: the root in which it lies.
        reads: reads folders, of which no entries are given then.
    """

    def __init__(self, folder: str, root: str, reads: Reads | None = None) -> None:
        self._root = root
        self._reads = reads
        self._entered = _identities_above(folder, root)
        # Links wait for all the rest: a folder is told by its own path, and by the same one at every walk.
        self._waiting = [_Step(folder, 0, -1)]
        self._links: list[_Step] = []
        self._linked = 0
        self.unreadable: list[tuple[str, OSError]] = []
        self.not_followed: list[tuple[str, str]] = []
        self.around_linked: set[str] = set()

    def __iter__(self) -> Iterator[tuple[str, "list[os.DirEntry[str]]"]]:
        while self._waiting or self._links:
            step = self._waiting.pop() if self._waiting else self._links.pop()
            reached(step.path)
            try:
                status = os.stat(step.path)
                if not self._may_enter(step, status):
                    continue
                entries = self._enter(step, status.st_dev)
            except OSError as error:
                self.unreadable.append((step.path, error))
                continue
            yield step.path, entries

    def _enter(self, step: _Step, device: int) -> "list[os.DirEntry[str]]":
        names = self._reads(step.path) if self._reads is not None else None
        if names is None:
            with os.scandir(step.path) as listed:
                entries = list(listed)
            self._note_folders(entries, step, device)
            return entries
        behind = step.behind + (step.behind > 0)
        self._waiting += [_Step(os.path.join(step.path, name), behind, device) for name in names]
        return []

    def _may_enter(self, step: _Step, status: os.stat_result) -> bool:
        identity = (status.st_dev, status.st_ino)
        if identity in self._entered:
            return False
        if status.st_dev != step.device and is_pseudo_file_system(step.path):
            self.not_followed.append((step.path, f"the kernel shows itself there ({file_system_of(step.path)})"))
            return False
        if step.behind > LINKED_LEVELS_MAX:
            raise OSError(f"it lies more than {LINKED_LEVELS_MAX} levels behind a link")
        if step.behind and self._linked >= LINKED_FOLDERS_MAX:
            raise OSError(f"more than {LINKED_FOLDERS_MAX} folders lie behind links: make what they lead to a root")
        self._linked += step.behind > 0
        self._entered.add(identity)
        return True

    def _note_folders(self, entries: "list[os.DirEntry[str]]", step: _Step, device: int) -> None:
        """Remember the sub-folders and the links to folders among a folder's entries."""
        before = len(self._links)
        for entry in entries:
            if entry.is_file(follow_symlinks=False) or entry.name.startswith("."):
                continue
            reached(entry.path)
            if entry.is_symlink():
                self._note_target(entry)
            if not _is_folder(entry):
                continue
            if not entry.is_symlink():
                self._waiting.append(_Step(entry.path, step.behind + (step.behind > 0), device))
            elif not _leads_into(entry.path, self._root):
                reason = _why_not_followed(entry.path, self._root)
                if reason:
                    self.not_followed.append((entry.path, reason))
                else:
                    self._links.append(_Step(entry.path, step.behind + 1, -1))
        if len(self._links) > before:
            self._links.sort(key=lambda link: link.path, reverse=True)

    def _note_target(self, link: "os.DirEntry[str]") -> None:
        """Remember the folders around what a link out of the root leads to."""
        try:
            first = os.path.join(os.path.dirname(link.path), os.readlink(link.path))
            if Root(self._root).contains(os.path.normpath(first)):
                return
            target = os.path.realpath(first)
        except OSError:  # of the kernel's own links some may not be read
            return
        around = os.path.dirname(target) if os.path.isfile(link.path) else target
        while around not in self.around_linked and len(self.around_linked) < LINKED_AROUND_MAX:
            self.around_linked.add(around)
            around = os.path.dirname(around)


def _why_not_followed(link: str, root: str) -> str:
    """Return why a link to a folder is not followed; empty when it is."""
    target = os.path.realpath(link)
    if Root(target).contains(os.path.realpath(root)):
        return f"it leads to {target}, in which the root itself lies"
    through = _kernels_folder_on_the_way(link)
    if through:
        return f"it leads through {through}, where the kernel shows itself"
    return ""


def _kernels_folder_on_the_way(link: str) -> str:
    """Return the first of the kernel's own paths to which a chain of links leads; empty when it leads to none.

    Such a path may lead on to an ordinary folder: the current one of any process, or the root of all.
    """
    path = link
    for _ in range(_LINKS_IN_A_ROW):
        try:
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        except OSError:
            return ""
        if any(folder.contains(path) for folder in _KERNELS_FOLDERS) and not _SHARED_MEMORY.contains(path):
            return path
    return ""


def _identities_above(folder: str, root: str) -> set[tuple[int, int]]:
    """Return device and inode of the root and every folder between it and a folder."""
    found: set[tuple[int, int]] = set()
    while folder != root and Root(root).contains(folder):
        folder = os.path.dirname(folder)
        try:
            status = os.stat(folder)
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def _leads_into(link: str, root: str) -> bool:
    """Return whether a link leads to a folder of the root itself that is not hidden there: it is found as itself."""
    target, base = os.path.realpath(link), os.path.realpath(root)
    return Root(base).contains(target) and not is_hidden_below(os.path.join(target, "file"), base)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
