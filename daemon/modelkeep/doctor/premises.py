"""What every check stands on: settings, roots, the time, and whether somebody is at work in the data folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from modelkeep.base.clock import now_ms
from modelkeep.disk.data_directory import DataDirectory, lock_holder
from modelkeep.domain.naming import Root
from modelkeep.errors import SettingsError
from modelkeep.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Premises:
    """What the checks are told.

    `holder` names the process that has the lock of the data folder, empty when there is none; `roots_error` says why
    the roots of ComfyUI are not among `roots`.
    """

    settings: Settings
    directory: DataDirectory
    now_ms: int
    roots: tuple[Root, ...] = ()
    roots_error: str = ""
    holder: str = ""

    @property
    def may_enter(self) -> bool:
        """Whether this user may look into the data folder; into one that is not there as well."""
        return may_enter(self.directory.path)

    @property
    def is_at_work(self) -> bool:
        """Whether a daemon or a command is changing the data folder: then much of what is seen is in motion."""
        return bool(self.holder)


def take_premises(settings: Settings) -> Premises:
    """Look at the present state of affairs."""
    directory = DataDirectory(settings.data_dir)
    roots, error = _roots(settings)
    holder = lock_holder(directory.lock_file) if may_enter(directory.path) else ""
    return Premises(settings, directory, now_ms(), roots, error, holder)


def may_enter(folder: Path) -> bool:
    """Return whether this user may look into a folder, should it be there."""
    return not folder.is_dir() or os.access(folder, os.R_OK | os.X_OK)


def _roots(settings: Settings) -> tuple[tuple[Root, ...], str]:
    try:
        return tuple(settings.model_roots()), ""
    except SettingsError as error:
        return tuple(Root(str(root.path), root.type) for root in settings.roots), str(error)
