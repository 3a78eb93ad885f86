"""Take values of the wanted type out of what a file holds, which may hold anything at each place."""

import math
from collections.abc import Mapping
from typing import Any

from modelkeep.importers.legacy_text import clean

LIST_MAX = 10_000
"""More tags or words than this nobody wrote."""


def text(value: object) -> str:
    """Return a text without the space around it; empty where there is none."""
    return clean(value).strip() if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    """Return the distinct texts of a list, or the one that stands in its place."""
    items = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(filter(None, map(text, items[:LIST_MAX]))))


def object_of(value: object) -> Mapping[str, Any]:
    """Return an object; an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list; an empty one where there is none."""
    return value[:LIST_MAX] if isinstance(value, list) else []


def number(value: object) -> float | None:
    """Return a finite number, whether it stands there as one or as a text; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(value: object) -> bool | None:
    """Return a boolean, also one that stands there as a text; None where there is none."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(text(value).casefold())
