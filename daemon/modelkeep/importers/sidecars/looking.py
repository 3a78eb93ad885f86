"""Look into folders for files that belong to models, without reading any."""

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from modelkeep.base.patience import reached
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import is_model_file, may_be_sidecar
from modelkeep.importers.sidecars.base import FoundSidecar

_HIDING = (".cache", ".huggingface")
"""Folders in which notes of downloads may lie."""


@dataclass(frozen=True, slots=True)
class SeenSidecar:
    """A file that by its name belongs to models, as it is now."""

    found: FoundSidecar
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @property
    def state(self) -> tuple[object, ...]:
        """What tells that reading it again would say nothing else: its rights are the same too."""
        return *self.facts, self.ctime_ns

    @property
    def facts(self) -> tuple[int, int, tuple[str, ...]]:
        """What tells that nothing has happened to it since: of itself, and of the models beside it."""
        return self.size_bytes, self.mtime_ns, tuple(sorted(self.found.models))


@dataclass(slots=True)
class FolderLook:
    """What was seen: the folders that could be listed, or are certainly gone, and the files in them."""

    folders: list[str] = field(default_factory=list)
    seen: dict[str, SeenSidecar] = field(default_factory=dict)


def look_into(folders: Iterable[str], extensions: Sequence[str], is_certain: Callable[[str], bool]) -> FolderLook:
    """Look into folders, not into those below them.

    Args:
        folders: absolute paths.
        extensions: endings of model files.
        is_certain: tells whether a folder that is not there is gone, and not its whole root.
    """
    look = FolderLook()
    for folder in folders:
        reached(folder)
        try:
            names = _names(folder)
        except (FileNotFoundError, NotADirectoryError):
            look.folders += [folder] if is_certain(folder) else []
            continue
        except OSError:
            continue
        _look(folder, names, extensions, look)
        for inner in _named_after_models(folder, names, extensions):
            with suppress(OSError):
                _look(inner, _names(inner), extensions, look)
        if any(name in _HIDING for name in names):
            for hidden, notes in _hidden_below(folder):
                _look(hidden, notes, extensions, look)
    return look


def read_all(
    seen: Iterable[SeenSidecar], fallback_encoding: str
) -> Iterator[tuple[SeenSidecar, SourceRecord | Refusal | None]]:
    """Yield what files say, why they cannot be taken, or None for those that are none of ours."""
    from modelkeep.importers.sidecars.formats import read_sidecar

    for each in seen:
        reached(each.found.path)
        yield each, read_sidecar(each.found, fallback_encoding)


def _look(folder: str, names: Collection[str], extensions: Sequence[str], look: FolderLook) -> None:
    look.folders.append(folder)
    if not any(map(may_be_sidecar, names)):
        return
    # What reads them loads what few daemons need.
    from modelkeep.importers.sidecars.formats import find

    above = _models_above(folder, extensions) if any(name.lower().endswith(".txt") for name in names) else ()
    for found in find(folder, names, extensions, above):
        try:
            status = os.stat(found.path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            look.seen[found.path] = SeenSidecar(found, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _named_after_models(folder: str, names: Collection[str], extensions: Sequence[str]) -> list[str]:
    """Return the folders in one that are named after models there: texts in them may have come before their model."""
    stems = {name.rpartition(".")[0] for name in names if is_model_file(name, extensions)}
    return [path for stem in sorted(stems & set(names)) if not os.path.islink(path := f"{folder.rstrip('/')}/{stem}")]


def _names(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _models_above(folder: str, extensions: Sequence[str]) -> list[str]:
    try:
        return [name for name in _names(os.path.dirname(folder)) if is_model_file(name, extensions)]
    except OSError:
        return []


def _hidden_below(folder: str) -> Iterator[tuple[str, list[str]]]:
    from modelkeep.importers.sidecars.walking import download_notes

    return download_notes(folder)
