"""Read the small JSON files in a tool's folders, by the same rules as files beside models."""

from pathlib import Path

from modelkeep.domain.values import JsonObject
from modelkeep.errors import SourceError
from modelkeep.importers.sidecars.reading import as_object, read_bytes
from modelkeep.importers.sqlite_copy import unreadable


def read_object(path: Path) -> JsonObject:
    """Return the object that a JSON file holds.

    Raises:
        SourceError: it cannot be read, or holds something else.
    """
    try:
        found = as_object(read_bytes(str(path)))
    except OSError as error:
        raise unreadable(path, error) from error
    if found.fault:
        raise SourceError(f"{path}: {found.fault}")
    return found.value


def read_object_or_empty(path: Path) -> JsonObject:
    """Return the object that a JSON file holds, an empty one when it holds none or is not there."""
    try:
        return read_object(path)
    except SourceError:
        return {}
