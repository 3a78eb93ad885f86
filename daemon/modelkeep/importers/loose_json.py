"""Read JSON that other programs wrote: whatever it holds, it becomes a value that every reader of ours can hold."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from modelkeep.domain.frozen import frozen
from modelkeep.domain.values import JsonObject
from modelkeep.importers.legacy_text import clean

DEPTH_MAX = 100
"""Whoever reads a value later has a smaller stack than we know."""

ITEMS_MAX = 2_000_000
"""`[],[],…` takes thirty times its length once it is read; this many items take some 200 MB."""

NOT_JSON = "is not valid JSON"
CUT_OFF = "is truncated: its JSON ends in the middle"
TOO_DEEP = "is nested too deep"
TOO_LONG = "is too long to be read"


@frozen
class Loaded:
    """What a JSON text says, or what is wrong with it; a value of which parts had to be replaced or left out.

    `repeated` are keys that an object bears more than once: the last one counts.
    """

    value: Any = None
    fault: str = ""
    is_replaced: bool = False
    repeated: tuple[str, ...] = ()


def load_json(text: str, *, note_repeated: bool = False) -> Loaded:
    """Return what a JSON text says: NaN, infinities and broken characters become null or U+FFFD.

    Args:
        text: of any length; whoever has it bounds that.
        note_repeated: whether to tell of repeated keys.
    """
    if len(text) > ITEMS_MAX and text.count(",") + text.count("[") + text.count("{") > ITEMS_MAX:
        return Loaded(fault=TOO_LONG)
    repeated: list[str] = []
    try:
        try:
            value, is_odd = _decoder(repeated if note_repeated else None)(text), "\\u" in text or not text.isascii()
        except _NotFinite:
            value, is_odd = json.loads(text), True
    except RecursionError:
        return Loaded(fault=TOO_DEEP)
    except json.JSONDecodeError as error:
        return Loaded(fault=CUT_OFF if _ends_early(error) else NOT_JSON)
    except ValueError:  # a number of more digits than Python reads
        return Loaded(fault=NOT_JSON)
    if len(text) > DEPTH_MAX and text.count("{") + text.count("[") > DEPTH_MAX and is_deep(value):
        return Loaded(fault=TOO_DEEP)
    keys = tuple(dict.fromkeys(map(clean, repeated))) if repeated else ()
    if not is_odd:
        return Loaded(value, repeated=keys)
    cleaned = _cleaned(value)
    # A NaN is unequal to the null that replaces it, so this tells of every kind of replacement.
    return Loaded(cleaned, is_replaced=cleaned != value, repeated=keys)


def keep_under(target: JsonObject, key: str, value: Any) -> None:
    """Set a key; when it is taken already, one with a number behind it."""
    free, number = key, 2
    while free in target:
        free, number = f"{key}_{number}", number + 1
    target[free] = value


class _NotFinite(Exception):
    """A number of the text is none: NaN, Infinity, or too large."""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotFinite
    return number


def _no_number(text: str) -> float:
    raise _NotFinite(text)


_WHITE_SPACE = " \t\n\r"
"""Of JSON (RFC 8259)."""

_STRICT = json.JSONDecoder(parse_float=_finite, parse_constant=_no_number)


def _strictly_read(text: str) -> Any:
    """Return what `_STRICT.decode` does, without its looks for white space around most texts."""
    if text[:1] in ("{", "["):
        value, end = _STRICT.raw_decode(text)
        if end == len(text) or not text[end:].strip(_WHITE_SPACE):
            return value
    return _STRICT.decode(text)


def _decoder(repeated: list[str] | None) -> Callable[[str], Any]:
    """Return what reads a text strictly; keys that an object bears more than once are added to `repeated`."""
    if repeated is None:
        return _strictly_read

    def as_object(pairs: Sequence[tuple[str, Any]]) -> JsonObject:
        value = dict(pairs)
        if len(value) < len(pairs):
            repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return value

    return json.JSONDecoder(object_pairs_hook=as_object, parse_float=_finite, parse_constant=_no_number).decode


def _ends_early(error: json.JSONDecodeError) -> bool:
    """Return whether a text is wrong only in that it does not go on."""
    return error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")


def is_deep(value: Any) -> bool:
    """Return whether a JSON value is nested deeper than every reader of ours can bear."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return False
    return True


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        cleaned: JsonObject = {}
        for key, inner in value.items():
            keep_under(cleaned, clean(key), _cleaned(inner))
        return cleaned
    return value
