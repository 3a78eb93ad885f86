"""A disk that keeps no more than POSIX promises: what was not synced may be gone after a power cut.

Built from the calls that a life made, it gives the data folder as a kill or a power cut would leave it after any of
them. It is stricter than ext4 and XFS, which bring more to the disk than they must: the fsync of a file keeps its
bytes and not its name, the fsync of a folder the names in it and nothing else. SQLite's `-shm` is left out: it is an
index that is made anew.
"""

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.system_calls import Call

_SECTOR_BYTES = 512
TORN_SHARE = 0.1

_Write = tuple[int, bytes | None]
"""Offset and bytes; None for a cut at the offset."""


@dataclass
class _Inode:
    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    unsynced: list[_Write] = field(default_factory=list)


@dataclass(frozen=True)
class _NameChange:
    """A change of names that no sync has kept yet; inode None: the name goes, -1: it is a folder."""

    folders: frozenset[str]
    changes: tuple[tuple[str, int | None], ...]


FOLDER = -1


class Disk:
    """The folder of one life, and what of it would outlast a power cut.

    Args:
        root: the folder; what lies in it at the beginning is on the disk.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._inodes: list[_Inode] = []
        self._names: dict[str, int] = {self._root: FOLDER}
        for path in sorted(root.rglob("*")):
            self._names[str(path)] = FOLDER if path.is_dir() else self._new_inode(path.read_bytes())
        self._durable_names = dict(self._names)
        self._unsynced_names: list[_NameChange] = []

    def copy(self) -> "Disk":
        """Return a disk that goes its own way from here."""
        return copy.deepcopy(self)

    def take(self, calls: Iterable[Call]) -> None:
        """Take calls in, in their order."""
        for call in calls:
            if call.path.endswith("-shm"):
                continue
            if not call.failed:
                getattr(self, f"_{call.name}")(call)
            elif call.is_sync:
                self._fail_to_sync(call)

    # What a crash leaves

    def after_kill(self, place: Path) -> None:
        """Put into a folder what there is after a kill: everything."""
        _put(place, self._root, self._names, [bytes(inode.content) for inode in self._inodes])

    def after_power_cut(self, place: Path) -> None:
        """Put into a folder what there is after a power cut that keeps nothing beyond what it must."""
        _put(place, self._root, self._durable_names, [inode.durable for inode in self._inodes])

    def after_lucky_power_cut(self, place: Path, chance: random.Random) -> None:
        """Put into a folder what there is after a power cut that has kept some of the rest.

        Names change in their order, as on a file system with a journal; of unsynced writes any may be kept, or only
        their first sectors.
        """
        names = dict(self._durable_names)
        for change in self._unsynced_names[: chance.randint(0, len(self._unsynced_names))]:
            _apply(names, change)
        share = chance.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        _put(place, self._root, names, [_partly(inode, share, chance) for inode in self._inodes])

    # Calls

    def _create(self, call: Call) -> None:
        number = self._names.get(call.path)
        if number is None:
            self._change(call.path, self._new_inode(b"", is_durable=False))
        elif call.data and self._inodes[number].content:
            self._cut(number, 0)

    def _write(self, call: Call) -> None:
        number = self._names.get(call.path)
        if number is None:
            return  # it has no name any more
        inode = self._inodes[number]
        offset = len(inode.content) if call.offset is None else call.offset
        inode.unsynced.append((offset, call.data))
        _write(inode.content, offset, call.data)

    _pwrite64 = _write

    def _ftruncate(self, call: Call) -> None:
        number = self._names.get(call.path)
        if number is not None:
            self._cut(number, int(call.data.rpartition(b",")[2]))

    def _fsync(self, call: Call) -> None:
        if self._names.get(call.path) == FOLDER:
            self._sync_names(call.path)
        elif call.path in self._names:
            inode = self._inodes[self._names[call.path]]
            inode.durable, inode.unsynced = _written(inode, inode.unsynced), []

    _fdatasync = _fsync

    def _fail_to_sync(self, call: Call) -> None:
        # The kernel holds the pages for clean now: no later sync writes them.
        number = self._names.get(call.path, FOLDER)
        if number != FOLDER:
            self._inodes[number].unsynced = []

    def _rename(self, call: Call) -> None:
        number = self._names[call.path]
        self._note((call.path, None), (call.target, number))

    def _link(self, call: Call) -> None:
        self._note((call.target, self._names[call.path]))

    def _unlink(self, call: Call) -> None:
        self._note((call.path, None))

    _rmdir = _unlink

    def _mkdir(self, call: Call) -> None:
        self._change(call.path, FOLDER)

    def _sendfile(self, call: Call) -> None:
        """Copy; what lies elsewhere is the legacy database, whose scratch copy is of no interest."""
        source = self._names.get(call.target, FOLDER)
        if source != FOLDER:
            target = self._inodes[self._names[call.path]]
            begin, size = len(target.content), call.offset or 0
            data = bytes(self._inodes[source].content[begin : begin + size])
            target.unsynced.append((begin, data))
            target.content.extend(data)

    # Inner state

    def _new_inode(self, content: bytes, *, is_durable: bool = True) -> int:
        self._inodes.append(_Inode(bytearray(content), content if is_durable else b""))
        return len(self._inodes) - 1

    def _cut(self, number: int, size: int) -> None:
        inode = self._inodes[number]
        inode.unsynced.append((size, None))
        del inode.content[size:]

    def _change(self, path: str, number: int) -> None:
        self._note((path, number))

    def _note(self, *changes: tuple[str, int | None]) -> None:
        folders = frozenset(path.rpartition("/")[0] for path, _ in changes)
        change = _NameChange(folders, changes)
        _apply(self._names, change)
        self._unsynced_names.append(change)

    def _sync_names(self, folder: str) -> None:
        kept = [change for change in self._unsynced_names if folder in change.folders]
        for change in kept:
            _apply(self._durable_names, change)
        self._unsynced_names = [change for change in self._unsynced_names if folder not in change.folders]


def _apply(names: dict[str, int], change: _NameChange) -> None:
    for path, number in change.changes:
        if number is None:
            names.pop(path, None)
        else:
            names[path] = number


def _write(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _partly(inode: _Inode, share: float, chance: random.Random) -> bytes:
    kept = [_perhaps_torn(write, chance) for write in inode.unsynced if chance.random() < share]
    return _written(inode, kept)


def _perhaps_torn(write: _Write, chance: random.Random) -> _Write:
    offset, data = write
    if data is None or chance.random() > TORN_SHARE:
        return write
    return offset, data[: chance.randrange(0, len(data) + 1, _SECTOR_BYTES)]


def _written(inode: _Inode, writes: Iterable[_Write]) -> bytes:
    content = bytearray(inode.durable)
    for offset, data in writes:
        if data is None:
            del content[offset:]
        else:
            _write(content, offset, data)
    return bytes(content)


def _put(place: Path, root: str, names: dict[str, int], contents: list[bytes]) -> None:
    for path, number in sorted(names.items()):
        target = place / Path(path).relative_to(root)
        if number == FOLDER:
            if target.parent.is_dir():
                target.mkdir(exist_ok=True)
        elif target.parent.is_dir():  # the name of its folder may be gone
            target.write_bytes(contents[number])
