"""Which file system a path lies on, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
from pathlib import Path

NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "davfs", "fuse", "vboxsf", "virtiofs")
"""Beginnings of the names of file systems whose changes, made elsewhere, the kernel does not tell."""

_OCTAL = re.compile(rb"\\([0-7]{3})")
"""How the kernel spells spaces, tabs, line ends and backslashes in there."""

_LOCAL_FUSE = ("fuseblk",)
"""A local disk behind FUSE (NTFS, exFAT): every change passes through this kernel."""


def is_network_file_system(path: str, mountinfo: Path = Path("/proc/self/mountinfo")) -> bool:
    """Tell whether changes under a path may be made by another machine, unseen by the kernel."""
    kind = file_system_of(path, mountinfo)
    return kind.startswith(NETWORK_FILE_SYSTEMS) and kind not in _LOCAL_FUSE


def file_system_of(path: str, mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system that a path lies on; empty when the kernel does not tell."""
    best, kind = "", ""
    try:
        lines = mountinfo.read_bytes().splitlines()
    except OSError:
        return ""
    resolved = str(Path(path).resolve())
    for line in lines:
        before, _, after = line.partition(b" - ")
        mount_point = os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), before.split(b" ")[4]))
        is_below = resolved == mount_point or resolved.startswith(mount_point.rstrip("/") + "/")
        if is_below and len(mount_point) >= len(best):
            best, kind = mount_point, after.split(b" ", 1)[0].decode(errors="replace")
    return kind
