"""The data folder: what lies where in it, and the lock that keeps a second daemon out."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

from modelkeep.errors import CatalogueMissing, DataDirectoryBusy, SettingsError

_SOMEBODY = "another process"


class DataDirectory:
    """The folder in which everything is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.catalogue = path / "modelkeep.db"
        self.images = path / "images"
        self.journal = path / "journal"
        self.exported = path / "exported"
        self.lock_file = path / "modelkeep.lock"
        self._lock: IO[str] | None = None

    @property
    def written(self) -> tuple[Path, ...]:
        """What is written in, where somebody may have put a link to a larger disk."""
        originals, staging = self.images / "pending", self.images / ".staging"
        return self.path, self.catalogue, self.images, originals, staging, self.journal, self.exported

    def require_catalogue(self) -> None:
        """Make sure that there is a catalogue: to a mistyped folder all questions have the answer of a new one.

        Raises:
            CatalogueMissing: there is none; the text says what to do.
            OSError: this user may not look.
        """
        try:
            if self.catalogue.stat().st_size:
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        if self.journal.is_dir():
            raise CatalogueMissing(
                f"there is no catalogue in {self.path}, though there is a journal: put {self.catalogue.name} back, or"
                f" a backup of it; else `modelkeep run` makes a new one"
            )
        raise CatalogueMissing(
            f"there is no catalogue in {self.path}: if yours is elsewhere, name its folder with --data-dir;"
            f" else `modelkeep import` or `modelkeep run` makes one"
        )

    def lock(self, purpose: str) -> None:
        """Make the folder and take its lock, which ends with this process.

        Raises:
            DataDirectoryBusy: somebody else holds it; the text says who.
            SettingsError: the folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self.lock_file.open("a+")
        except OSError as error:
            raise SettingsError(f"the data folder {self.path} cannot be used: {error.strerror or error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = self._holder()
            lock.close()
            raise DataDirectoryBusy(
                f"the data folder {self.path} is in use by {holder}: stop that first, or use another --data-dir"
            ) from error
        lock.truncate(0)
        json.dump({"pid": os.getpid(), "purpose": purpose, "since": time.strftime("%Y-%m-%d %H:%M:%S")}, lock)
        lock.flush()
        self._lock = lock

    def unlock(self) -> None:
        """Give the lock back."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.truncate(0)
            lock.close()

    def _holder(self) -> str:
        try:
            return _described(self.lock_file.read_text(errors="replace"))
        except OSError:
            return _SOMEBODY


def lock_holder(lock_file: Path) -> str:
    """Return who holds the lock of the data folder, empty when nobody does; takes nothing away from anybody.

    Raises:
        OSError: this user may not look.
    """
    try:
        with lock_file.open("r", errors="replace") as lock:
            told = lock.read()
            # Whoever ends in order empties the file; only what a killed process left has to be asked for: asking
            # takes the lock for a moment, and a daemon that starts in that moment would be turned away.
            return _described(told) if told and _is_locked(lock.fileno()) else ""
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _described(told: str) -> str:
    try:
        held = json.loads(told)
        return f"{held['purpose']} (process {held['pid']}, since {held['since']})"
    except (ValueError, KeyError, TypeError):
        return _SOMEBODY
