"""Where the parts of an installed service lie, for the system and for one user, and how they get there."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelkeep.disk.durable import make_folder, write_durably
from modelkeep.errors import DaemonError, SettingsError
from modelkeep.settings.configuration import user_configuration_path

UNIT = "modelkeep.service"
ACCOUNT = "modelkeep"
"""The user as whom the system service runs."""

USERS_FILE = Path("/etc/sysusers.d/modelkeep.conf")
"""Says that this account is to be made."""

SYSTEM_DATA = Path("/var/lib/modelkeep")

_SYSTEMCTL_SECONDS = 660
"""A start may take as long as the unit allows."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the two places.

    `units` is the folder of its units, `options` are what systemctl needs to speak of it.
    """

    name: str
    units: Path
    options: Sequence[str]

    @property
    def is_system(self) -> bool:
        """Whether the service is the machine's and not one user's."""
        return self.name == "system"

    @property
    def unit(self) -> Path:
        """The unit."""
        return self.units / UNIT

    @property
    def drop_in(self) -> Path:
        """What is particular to this machine."""
        return self.units / f"{UNIT}.d" / "50-installed.conf"

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl and return what it wrote.

        Raises:
            DaemonError: it failed, with what it said.
        """
        return run("systemctl", *self.options, *arguments)

    def properties(self, *names: str) -> dict[str, str]:
        """Return what systemd knows of the service."""
        lines = self.systemctl("show", UNIT, f"--property={','.join(names)}").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def place_of(system: bool) -> Place:
    """Return the system's place or the user's."""
    if system:
        return Place("system", Path("/etc/systemd/system"), ())
    return Place("user", user_configuration_path().parents[1] / "systemd" / "user", ("--user",))


def require_systemd() -> None:
    """Make sure that systemd runs this machine (sd_booted(3)).

    Raises:
        DaemonError: it does not.
    """
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        raise DaemonError("systemd does not run on this machine; start `modelkeep run` as its services are started")


def run(*command: str) -> str:
    """Run a program of systemd's and return what it wrote.

    Raises:
        DaemonError: it failed, with what it said.
    """
    try:
        done = subprocess.run(  # noqa: S603 - systemd's own programs, with our own words
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SYSTEMCTL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise DaemonError(f"{' '.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout


def program() -> list[str]:
    """Return how this installation is started by its full path, be it in a virtual environment or not."""
    script = Path(sys.executable).parent / "modelkeep"
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "modelkeep"]


def needed_to_run() -> list[str]:
    """Return what has to be readable to whoever runs this installation: program, interpreter and package."""
    import modelkeep

    package = str(Path(modelkeep.__file__).parent)
    return list(dict.fromkeys([*program()[:1], os.path.realpath(sys.executable), package]))


def put(path: Path, text: str) -> bool:
    """Write a file if its text is another one; returns whether it was."""
    if path.is_file() and path.read_text("utf-8", errors="surrogateescape") == text:
        return False
    if not path.parent.is_dir():
        make_folder(path.parent)
        path.parent.chmod(0o755)
    write_durably(path, [text.encode()])
    path.chmod(0o644)
    return True


def unreachable_for(account: str, paths: Sequence[str]) -> Iterator[str]:
    """Yield the paths that another account cannot read, judged by owner, group and mode alone.

    Raises:
        SettingsError: there is no such account.
    """
    try:
        entry = pwd.getpwnam(account)
    except KeyError as error:
        raise SettingsError(f"there is no user {account}") from error
    groups = {entry.pw_gid, *os.getgrouplist(account, entry.pw_gid)}
    for path in paths:
        if not _reaches(Path(path), entry.pw_uid, groups):
            yield path


def _reaches(path: Path, uid: int, groups: set[int]) -> bool:
    needed = [(folder, os.X_OK) for folder in path.parents] + [(path, os.R_OK | (os.X_OK if path.is_dir() else 0))]
    return all(_may(folder, uid, groups, bits) for folder, bits in needed)


def _may(path: Path, uid: int, groups: set[int], bits: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return True  # what is not there is nobody's to refuse
    shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
    return (found.st_mode >> shift) & bits == bits
