"""A file system whose server may stop answering, as a network mount's does: a folder seen through FUSE.

Run as a program it is the server (kernel protocol 7.31, linux/fuse.h); `SilentMount` mounts it and talks to it.
While it is silent it takes no request from the kernel, or takes them and never answers: then whoever waits cannot
even be killed.
"""

# ruff: noqa: PTH115, PTH118, PTH123, PTH208

import ctypes
import errno
import os
import select
import stat
import struct
import subprocess
import sys
from pathlib import Path

_MAJOR, _MINOR = 7, 31
_IN_HEADER, _OUT_HEADER = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY = struct.Struct("<QQQQII")
_LOOKUP, _FORGET, _GETATTR, _READLINK, _OPEN, _READ, _STATFS, _RELEASE = 1, 2, 3, 5, 14, 15, 17, 18
_INIT, _OPENDIR, _READDIR, _RELEASEDIR, _ACCESS, _INTERRUPT, _BATCH_FORGET = 26, 27, 28, 29, 34, 36, 42
_UNANSWERED = (_FORGET, _BATCH_FORGET, _INTERRUPT)
_MOUNT_DETACH = 2


class Server:
    """Answers the kernel's requests about a folder; only reading ones."""

    def __init__(self, descriptor: int, folder: str) -> None:
        self._descriptor = descriptor
        self._paths = {1: folder}
        self._nodes = {folder: 1}
        self.swallows = False
        self._swallowed: list[bytes] = []

    def answer_one(self) -> None:
        """Take a request and answer it."""
        try:
            request = os.read(self._descriptor, 1 << 20)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                return
            sys.exit(0)
        if self.swallows:
            self._swallowed.append(request)
        else:
            self._serve(request)

    def answer_swallowed(self) -> None:
        """Answer what was taken while nothing was answered."""
        while self._swallowed:
            self._serve(self._swallowed.pop(0))

    def _serve(self, request: bytes) -> None:
        _, opcode, unique, node = _IN_HEADER.unpack_from(request)[:4]
        if opcode in _UNANSWERED:
            return
        try:
            answer, fault = self._answer(opcode, node, request[_IN_HEADER.size :]), 0
        except OSError as error:
            answer, fault = b"", -(error.errno or errno.EIO)
        try:
            os.write(self._descriptor, _OUT_HEADER.pack(_OUT_HEADER.size + len(answer), fault, unique) + answer)
        except OSError:
            return

    def _answer(self, opcode: int, node: int, body: bytes) -> bytes:
        path = self._paths.get(node, "")
        if opcode == _INIT:
            return struct.pack("<IIIIHHIIHHI7I", _MAJOR, _MINOR, 0, 0, 16, 12, 4096, 1, 1, 0, 0, *[0] * 7)
        if opcode == _LOOKUP:
            found = os.path.join(path, os.fsdecode(body.rstrip(b"\0")))
            return _ENTRY.pack(self._node_of(found), 0, 0, 0, 0, 0) + _attributes(found)
        if opcode == _GETATTR:
            return struct.pack("<QII", 0, 0, 0) + _attributes(path)
        if opcode == _READLINK:
            return os.fsencode(os.readlink(path))
        if opcode in (_OPEN, _OPENDIR):
            return struct.pack("<QII", 0, 1, 0)  # direct: nothing is kept by the kernel
        if opcode in (_READ, _READDIR):
            offset, size = struct.unpack_from("<QI", body, 8)
            return _bytes_of(path, offset, size) if opcode == _READ else _entries_of(path, offset, size)
        if opcode == _STATFS:
            return struct.pack("<QQQQQIIII6I", 1, 1, 1, 1, 1, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (_RELEASE, _RELEASEDIR, _ACCESS):
            return b""
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def _node_of(self, path: str) -> int:
        node = self._nodes.setdefault(path, len(self._nodes) + 1)
        self._paths[node] = path
        return node


def _attributes(path: str) -> bytes:
    status = os.lstat(path)
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    seconds, rests = [time // 10**9 for time in times], [time % 10**9 for time in times]
    size = (status.st_ino, status.st_size, status.st_blocks)
    owner = (status.st_mode, status.st_nlink, status.st_uid, status.st_gid)
    return _ATTR.pack(*size, *seconds, *rests, *owner, 0, 4096, 0)


def _bytes_of(path: str, offset: int, size: int) -> bytes:
    with open(path, "rb") as file:
        return os.pread(file.fileno(), size, offset)


def _entries_of(path: str, offset: int, size: int) -> bytes:
    listed = b""
    for number, name in list(enumerate(sorted(os.listdir(path)), 1))[offset:]:
        status = os.lstat(os.path.join(path, name))
        raw = os.fsencode(name)
        entry = struct.pack("<QQII", status.st_ino, number, len(raw), stat.S_IFMT(status.st_mode) >> 12) + raw
        entry += b"\0" * (-len(entry) % 8)
        if len(listed) + len(entry) > size:
            break
        listed += entry
    return listed


class SilentMount:
    """A folder seen at a mount point, for as long as its server answers.

    Raises:
        OSError: nothing can be mounted here.
    """

    def __init__(self, folder: Path, point: Path) -> None:
        self.point = point
        descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            if libc.mount(b"silent", os.fsencode(point), b"fuse", 0, options.encode()):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(descriptor), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[descriptor],
            )
        finally:
            os.close(descriptor)

    def fall_silent(self, *, swallow: bool = False) -> None:
        """Answer no more; with `swallow` what waits for an answer cannot even be killed."""
        self._tell(b"swallow\n" if swallow else b"silence\n")

    def answer_again(self) -> None:
        """Answer what waits, and what comes."""
        self._tell(b"answer\n")

    def close(self) -> None:
        """End it: whoever waits gets an error."""
        self._server.kill()
        self._server.communicate()
        ctypes.CDLL(None).umount2(os.fsencode(self.point), _MOUNT_DETACH)

    def _tell(self, order: bytes) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(order)
        self._server.stdin.flush()
        assert self._server.stdout.readline() == order


def _serve(descriptor: int, folder: str) -> None:
    server, is_silent = Server(descriptor, folder), False
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(descriptor, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == 0:
                order = os.read(0, 100)
                if not order:
                    return
                is_silent, server.swallows = order == b"silence\n", order == b"swallow\n"
                poll.modify(descriptor, 0 if is_silent else select.POLLIN)
                if not server.swallows:
                    server.answer_swallowed()
                os.write(1, order)
            elif not is_silent:
                server.answer_one()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
