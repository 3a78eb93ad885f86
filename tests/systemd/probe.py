"""Runs in the sandbox of the service, in the place of the daemon: tries what it must not be able to do.

What each attempt came to is written as JSON, with the name of the error where it failed.
"""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_SYS_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}
_libc = ctypes.CDLL(None, use_errno=True)


def outcome(attempt: Callable[[], object]) -> object:
    """Return what an attempt returns, or the name of its error."""
    try:
        return attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unknown") if error.errno else type(error).__name__


def write_in(folder: str) -> Callable[[], object]:
    def attempt() -> str:
        path = Path(folder) / "probe"
        path.write_text("probe")
        path.unlink()
        return "written"

    return attempt


def connect_to(host: str, port: int) -> Callable[[], object]:
    def attempt() -> str:
        with socket.create_connection((host, port), timeout=2):
            return "connected"

    return attempt


def open_socket(family: socket.AddressFamily) -> object:
    with socket.socket(family, socket.SOCK_RAW):
        return "opened"


def make_name_space() -> object:
    if _libc.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    return "made"


def make_memory_executable() -> object:
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with contextlib.closing(mmap.mmap(-1, 4096, prot=protection)):
        return "made"


def of_process(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{name}:"))


def io_class() -> object:
    number = _SYS_IOPRIO_GET.get(os.uname().machine)
    return _libc.syscall(number, 1, 0) >> 13 if number is not None else 3


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write a root": write_in("/srv/demo/models"),
    "write another root": write_in('/srv/odd "name" 100%'),
    "write /etc/modelkeep": write_in("/etc/modelkeep"),
    "write a home": write_in("/root"),
    "write an own root": write_in("/home/owner/models"),
    "write an own home": write_in("/home/owner"),
    "write own data": write_in("/home/owner/.local/state/modelkeep"),
    "write its state": write_in("/var/lib/modelkeep"),
    "read a root": lambda: any(Path("/srv/demo/models").iterdir()),
    "connect to another machine": connect_to("192.0.2.1", 9),
    "connect to loopback": connect_to("127.0.0.1", 8189),
    "open a netlink socket": lambda: open_socket(socket.AF_NETLINK),
    "open a packet socket": lambda: open_socket(socket.AF_PACKET),
    "make a name space": make_name_space,
    "make memory executable": make_memory_executable,
    "see the first process": lambda: Path("/proc/1").exists(),
    "see the pressure": lambda: Path("/proc/pressure/io").exists(),
    "user": lambda: os.getuid(),
    "capabilities": lambda: [of_process("CapEff"), of_process("CapBnd")],
    "no new privileges": lambda: of_process("NoNewPrivs"),
    "nice": lambda: os.nice(0),
    "io class": io_class,
}

if __name__ == "__main__":
    print(json.dumps({name: outcome(attempt) for name, attempt in ATTEMPTS.items()}))
