"""Tell the service manager how the daemon is (sd_notify(3)); says nothing where none asked.

By hand, for it is one datagram: the libraries are C extensions, have no types, or know no reload.
"""

import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """Whoever started the daemon and wants to hear of it, if anybody does.

    Args:
        environment: says where it listens, and how often it wants to hear that the daemon lives.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "") if self._address and is_ours else ""
        self.watchdog_seconds = int(usec) / 1e6 if usec.isdigit() else 0.0

    @property
    def listens(self) -> bool:
        """Whether anybody wants to hear."""
        return bool(self._address)

    def tell(self, **variables: object) -> None:
        """Send variables as sd_notify(3) names them; a manager that does not take them changes nothing for us."""
        if not self._address:
            return
        text = "".join(f"{name}={' '.join(str(value).split())}\n" for name, value in variables.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
            try:
                out.sendto(text.encode(errors="backslashreplace"), self._address)
            except OSError:
                return

    def tell_reloading(self) -> None:
        """Say that the configuration is read again; `READY=1` ends it."""
        self.tell(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
