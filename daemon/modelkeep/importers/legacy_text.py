"""Make usable values out of what a loosely typed legacy database holds."""

import math
import re
from datetime import UTC, datetime

from modelkeep.domain.encodings import REPLACEMENT

_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
"""Halves of characters, which no encoding takes, and NUL, at which SQLite ends a text."""

_WHOLE_MAX = 2**63 - 1
_SECONDS_MAX = 100_000_000_000
"""A larger number of seconds lies beyond the year 5000, as milliseconds in 1973."""
_MILLISECONDS_MAX = 253_402_300_799_999
"""The end of the year 9999."""


TAKEN_AS_UNKNOWN = "is taken as unknown"
"""How remarks end about a value that says nothing, so that nothing is lost with it."""


def as_text(value: object) -> str:
    """Return a database value as text; bytes that are no UTF-8 become surrogate escapes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def clean(value: object) -> str:
    """Return a database value as text that can be kept: what is no UTF-8, and NUL, becomes U+FFFD."""
    text = value if isinstance(value, str) else as_text(value)
    return text if text.isascii() and "\0" not in text else _UNKEEPABLE.sub(REPLACEMENT, text)


def whole_number(value: object) -> int | None:
    """Return a number that is not negative and fits a database column, or None when the value is none."""
    number = _number(value)
    if number is None or not 0 <= number <= _WHOLE_MAX:
        return None
    return int(number)


def milliseconds(value: object) -> int | None:
    """Return a time in ms since 1970 out of seconds, milliseconds or an ISO date, or None when the value is none."""
    number = _number(value)
    if number is None:
        number = _iso_seconds(as_text(value))
    if number is None or not 0 <= number <= _MILLISECONDS_MAX:
        return None
    return int(number * 1000) if number < _SECONDS_MAX else int(number)


def _number(value: object) -> float | None:
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = as_text(value).strip()
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _iso_seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
