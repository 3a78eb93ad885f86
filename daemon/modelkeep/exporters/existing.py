"""What lies where a sidecar is to be written: nothing, something to complete, or something to leave alone."""

import json
import math
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from modelkeep.disk.opening import open_for_reading
from modelkeep.domain.values import JsonObject

BYTES_MAX = 32 * 2**20

LINK = "it is a link, which is not followed"
TOO_LARGE = f"it is larger than {BYTES_MAX // 2**20} MB"
NOT_READ = "what is there cannot be read without loss, and is not overwritten"


@dataclass(frozen=True, slots=True)
class Existing:
    """A file as it was: its bytes, None when there is none, and its identity; or why it is left alone."""

    data: bytes | None = None
    state: tuple[int, int, int] | None = None
    """Inode, size and time of change; None when there is no file."""

    fault: str = ""


class NotMergeable(ValueError):
    """A file holds something that would be lost if it were written again."""


def look_at(path: str) -> Existing:
    """Return what lies at a path; links are not followed."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return Existing(fault=LINK)
        if not stat.S_ISREG(status.st_mode):
            return Existing(fault="it is no regular file")
        with os.fdopen(open_for_reading(path), "rb") as file:
            data = file.read(BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Existing()
    except OSError as error:
        return Existing(fault=f"what is there cannot be read: {error.strerror or error}")
    if len(data) > BYTES_MAX:
        return Existing(fault=TOO_LARGE)
    return Existing(data, (status.st_ino, status.st_size, status.st_mtime_ns))


def object_in(data: bytes) -> JsonObject:
    """Return the JSON object that a file holds.

    Raises:
        NotMergeable: it is none, or would not come back as it is: no UTF-8, a number that JSON has no word for or
            that is too large, a key that is there twice.
    """
    try:
        value = json.loads(
            data.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_float, object_pairs_hook=_object
        )
    except (ValueError, RecursionError) as error:
        raise NotMergeable(NOT_READ) from error
    if not isinstance(value, dict):
        raise NotMergeable(NOT_READ)
    return value


def _refuse(word: str) -> NoReturn:
    raise NotMergeable(f"{NOT_READ} ({word})")


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text[:40])


def _object(pairs: Sequence[tuple[str, Any]]) -> JsonObject:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise NotMergeable(f"{NOT_READ} (a key is there twice)")
    return value
