"""A daemon that another program starts: one that takes rights away, or sets limits."""

import os
from collections.abc import Sequence
from pathlib import Path

from tests.daemon_process import DaemonProcess, Tables

NOBODY = 65534


class DaemonUnder(DaemonProcess):
    """A daemon whose command line stands behind that of another program, which becomes it by exec.

    Args:
        prefix: the other program and its arguments.
        folder: as for every daemon.
        roots: as for every daemon.
        tables: as for every daemon.
    """

    def __init__(
        self, prefix: Sequence[str], folder: Path, roots: Sequence[Path], tables: Tables | None = None
    ) -> None:
        super().__init__(folder, roots, tables)
        self._before = list(prefix)

    def program(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [*self._before, *super().program(*arguments)]

    def give_to(self, user: int) -> None:
        """Give its own folder to the user as whom it runs."""
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, user, user)


def as_nobody(*capabilities: str) -> list[str]:
    """Return what runs a program as a user who owns nothing, with these capabilities alone (`dac_read_search`)."""
    those = ",".join(["-all", *(f"+{capability}" for capability in capabilities)])
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *user, f"--bounding-set={those}", f"--inh-caps={those}", f"--ambient-caps={those}"]


def with_limit(name: str, number: int) -> list[str]:
    """Return what runs a program in a user name space of its own with a limit of /proc/sys/user."""
    return ["unshare", "-Ur", "sh", "-c", f'echo {number} >/proc/sys/user/{name} && exec "$@"', "sh"]
