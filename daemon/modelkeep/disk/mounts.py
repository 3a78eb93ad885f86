"""Which file system a path lies on, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkeep.disk.pseudo_files import PSEUDO_NUMBERS, file_system_number

_MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "davfs", "fuse", "vboxsf", "virtiofs")
"""Beginnings of the names of file systems whose changes, made elsewhere, the kernel does not tell."""

_FSTAB = Path("/etc/fstab")

_OCTAL = re.compile(rb"\\([0-7]{3})")
"""How the kernel spells spaces, tabs, line ends and backslashes in there."""

_LOCAL_FUSE = ("fuseblk",)
"""A local disk behind FUSE (NTFS, exFAT): every change passes through this kernel."""


_TMPFS = 0x01021994


def is_pseudo_file_system(folder: str | bytes) -> bool:
    """Return whether a folder shows the kernel or its devices, and no files of anybody."""
    number = file_system_number(folder)
    # /dev has the number of any file system in memory.
    return number in PSEUDO_NUMBERS or (number == _TMPFS and file_system_of(os.fsdecode(folder)) == "devtmpfs")


def is_network_file_system(path: str, mountinfo: Path = _MOUNTINFO) -> bool:
    """Return whether changes under a path may be made by another machine, unseen by the kernel."""
    return is_network_kind(file_system_of(path, mountinfo))


def is_network_kind(kind: str) -> bool:
    """Return whether file systems of this type may lie on another machine."""
    return kind.startswith(NETWORK_FILE_SYSTEMS) and kind not in _LOCAL_FUSE


def carrier_of(device: int, path: str, mountinfo: Path = _MOUNTINFO) -> tuple[str, str]:
    """Return type and source of the file system with a device number; touches no disk, so no link is followed.

    Args:
        device: its number.
        path: on it; counts where no mount has that number.
        mountinfo: what is mounted.
    """
    mounts = list(_mounts(mountinfo))
    ours = [mount for mount in mounts if mount.device == device]
    ours = ours or [mount for mount in mounts if _is_at_or_below(path, mount.point)]
    best = max(ours, key=lambda mount: len(mount.point), default=None)
    return (best.kind, best.source) if best is not None else ("", "")


def mounted_devices(mountinfo: Path = _MOUNTINFO) -> set[int]:
    """Return the device numbers of everything that is mounted."""
    return {mount.device for mount in _mounts(mountinfo)}


def is_unplugged(path: str, device: int, mounted: Collection[int]) -> bool:
    """Return whether the drive on which a file lay is gone: not mounted, and another one's folder in its place."""
    folder = os.path.dirname(path)
    while True:
        try:
            return device not in mounted and os.stat(folder).st_dev != device
        except OSError:
            if folder == os.path.dirname(folder):
                return False
            folder = os.path.dirname(folder)


def file_system_of(path: str, mountinfo: Path = _MOUNTINFO) -> str:
    """Return the type of the file system that a path lies on; empty when the kernel does not tell."""
    mount = _mount_of(path, mountinfo)
    return mount.kind if mount is not None else ""


def mount_point_of(path: str, mountinfo: Path = _MOUNTINFO) -> str:
    """Return where the file system is mounted that a path lies on; empty when the kernel does not tell."""
    mount = _mount_of(path, mountinfo)
    return mount.point if mount is not None else ""


def mount_points(mountinfo: Path = _MOUNTINFO) -> frozenset[tuple[int, str]]:
    """Return number and place of every mount; a file system that is mounted anew has another number."""
    return frozenset((mount.number, mount.point) for mount in _mounts(mountinfo))


def is_any_below(points: Iterable[str], path: str) -> bool:
    """Return whether any of these places of mounts lies at a path or below it."""
    resolved = str(Path(path).resolve())
    return any(_is_at_or_below(point, resolved) for point in points)


def may_be_away(path: str, fstab: Path = _FSTAB) -> bool:
    """Return whether fstab(5) says that the machine starts without the drive that a path lies on."""
    try:
        lines = fstab.read_bytes().splitlines()
    except OSError:
        return False
    entries = (line.split() for line in lines if not line.lstrip().startswith(b"#"))
    return any(
        _is_at_or_below(path, _unescaped(entry[1])) and not {b"nofail", b"noauto"}.isdisjoint(entry[3].split(b","))
        for entry in entries
        if len(entry) >= 4  # device, mount point, type, options
    )


@dataclass(frozen=True, slots=True)
class _Mount:
    number: int
    device: int
    point: str
    kind: str
    source: str


def _mount_of(path: str, mountinfo: Path) -> _Mount | None:
    """Return the innermost mount above a path, of several at one place the newest."""
    best: _Mount | None = None
    resolved = str(Path(path).resolve())
    for mount in _mounts(mountinfo):
        if _is_at_or_below(resolved, mount.point) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _mounts(mountinfo: Path) -> Iterator[_Mount]:
    try:
        lines = mountinfo.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(b" - ")
        fields = before.split(b" ")
        major, minor = fields[2].split(b":")
        kind, source = after.split(b" ")[:2]
        yield _Mount(
            int(fields[0]),
            os.makedev(int(major), int(minor)),
            _unescaped(fields[4]),
            kind.decode(errors="replace"),
            _unescaped(source),
        )


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field))


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
