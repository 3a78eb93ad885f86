"""JSON that whoever gets it can hold: with names that are no UTF-8, and numbers for which JSON has no words."""

import json
import math
from collections.abc import Callable, Mapping
from functools import cache

COMPACT = (",", ":")
"""Separators with no space between the tokens."""


def json_text(
    value: object,
    *,
    encoding: str = "utf-8",
    spell: Callable[[float], object] | None = None,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
) -> str:
    """Return a value as JSON; all of it in ASCII, with escapes, where it has characters that the encoding has not.

    Args:
        value: what JSON has a form for.
        encoding: of whoever gets it.
        spell: gives what stands for a NaN and for infinities; without it they stand in Python's own words.
        indent: spaces for each level; None: all in one line.
        separators: between items, and between key and value.

    Raises:
        TypeError: the value holds something that JSON has no form for.
    """

    text = _written(value, _encoder(encoding == "ascii", spell is None, indent, separators), spell)
    if text.isascii():
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return _written(value, _encoder(True, spell is None, indent, separators), spell)
    return text


def _written(value: object, encoder: json.JSONEncoder, spell: Callable[[float], object] | None) -> str:
    try:
        return encoder.encode(value)
    except ValueError:
        if spell is None:
            raise
        return encoder.encode(_spelled(value, spell))


@cache
def _encoder(
    in_ascii: bool, allow_nan: bool, indent: int | None, separators: tuple[str, str] | None
) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=in_ascii, allow_nan=allow_nan, indent=indent, separators=separators)


def _spelled(value: object, spell: Callable[[float], object]) -> object:
    """Return a JSON value with something else for every number that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _spelled(inner, spell) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner, spell) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return spell(value)
    return value
