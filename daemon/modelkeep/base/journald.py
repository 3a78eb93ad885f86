"""Send log records to journald with their fields (systemd.io/JOURNAL_NATIVE_PROTOCOL).

By hand, for it is one datagram: the libraries have no types, or choose the names of the fields themselves.
"""

import array
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Mapping
from typing import TextIO

JOURNAL_SOCKET = "/run/systemd/journal/socket"

_SEND_SECONDS = 1.0
"""How long journald may keep a record waiting: it must not be able to stop the daemon."""

_NAME_LENGTH_MAX = 64
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def leads_to_journald(stream: TextIO) -> bool:
    """Return whether a stream is the one that systemd connected with journald (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class Journald:
    """The local journald.

    Args:
        path: of its socket.
    """

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SEND_SECONDS)

    def send(self, fields: Mapping[str, object]) -> None:
        """Send one record.

        Args:
            fields: upper-case names and values; text is sent byte for byte as the file system spells it.

        Raises:
            OSError: journald does not take it.
        """
        datagram = b"".join(_encoded(name, value) for name, value in fields.items())
        try:
            self._socket.sendto(datagram, self._path)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._send_by_descriptor(datagram)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_by_descriptor(self, datagram: bytes) -> None:
        """Send what is too long for a datagram in a sealed file in memory."""
        file = os.memfd_create("modelkeep-log", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            os.write(file, datagram)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
            self._socket.sendmsg([b""], rights, 0, self._path)
        finally:
            os.close(file)


def _encoded(name: str, value: object) -> bytes:
    key, content = name[:_NAME_LENGTH_MAX].encode("ascii"), _bytes(str(value))
    if b"\n" not in content:
        return key + b"=" + content + b"\n"
    return key + b"\n" + len(content).to_bytes(8, sys.byteorder) + content + b"\n"


def _bytes(text: str) -> bytes:
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # no file system said this
        return text.encode(errors="backslashreplace")
