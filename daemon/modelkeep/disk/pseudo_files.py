"""Files of nobody: those by which the kernel shows itself (/proc, /sys)."""

import ctypes
import os

_PSEUDO_KINDS = {
    "bpf": 0xCAFE4A11,
    "binderfs": 0x6C6F6F70,
    "binfmt_misc": 0x42494E4D,
    "cgroup": 0x0027E0EB,
    "cgroup2": 0x63677270,
    "configfs": 0x62656570,
    "debugfs": 0x64626720,
    "devpts": 0x00001CD1,
    "efivarfs": 0xDE5E81E4,
    "fusectl": 0x65735543,
    "hugetlbfs": 0x958458F6,
    "mqueue": 0x19800202,
    "nsfs": 0x6E736673,
    "proc": 0x00009FA0,
    "pstore": 0x6165676C,
    "resctrl": 0x07655821,
    "securityfs": 0x73636673,
    "selinuxfs": 0xF97CFF8C,
    "smackfs": 0x43415D53,
    "sysfs": 0x62656572,
    "tracefs": 0x74726163,
}
"""File systems that show the kernel and no files of anybody, by the numbers of statfs(2)."""

PSEUDO_NUMBERS = frozenset(_PSEUDO_KINDS.values())
_STATFS_BYTES = 256
"""More than the kernel writes on any machine."""

_libc = ctypes.CDLL(None, use_errno=True)


def is_pseudo_file(path_or_descriptor: str | bytes | int) -> bool:
    """Return whether a path, or what is open, lies on a file system that shows the kernel and no files of anybody."""
    return file_system_number(path_or_descriptor) in PSEUDO_NUMBERS


def file_system_number(path_or_descriptor: str | bytes | int) -> int:
    """Return the number that statfs(2) says; 0 when it says none."""
    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    if isinstance(path_or_descriptor, int):
        failed = _libc.fstatfs(path_or_descriptor, answer)
    else:
        failed = _libc.statfs(os.fsencode(path_or_descriptor), answer)
    return 0 if failed else ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF
