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


def _written(value: object, encode: Callable[[object], str], spell: Callable[[float], object] | None) -> str:
    try:
        return encode(value)
    except ValueError:
        if spell is None:
            raise
        return encode(_spelled(value, spell))


@cache
def _encoder(
    in_ascii: bool, allow_nan: bool, indent: int | None, separators: tuple[str, str] | None
) -> Callable[[object], str]:
    encoder = json.JSONEncoder(ensure_ascii=in_ascii, allow_nan=allow_nan, indent=indent, separators=separators)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None or indent is not None:
        return encoder.encode
    # `JSONEncoder.encode` makes this for each value, which takes as long as to write a short one.
    escaped = json.encoder.encode_basestring_ascii if in_ascii else json.encoder.encode_basestring
    separated = encoder.key_separator, encoder.item_separator
    write = make(None, encoder.default, escaped, None, *separated, False, False, allow_nan)
    return lambda value: "".join(write(value, 0))


def _spelled(value: object, spell: Callable[[float], object]) -> object:
    """Return a JSON value with something else for every number that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _spelled(inner, spell) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner, spell) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return spell(value)
    return value
