"""How a record of the journal looks to people. Pure: a record becomes a line."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from modelkeep.cli.wording import clean, count, duration, local_time, size
from modelkeep.domain.naming import in_brief

_STYLES = {
    "daemon": "bold",
    "import": "bold",
    "file": "cyan",
    "root": "yellow",
    "hash": "blue",
    "migration": "green",
    "image": "green",
    "recovery": "magenta",
    "claim": "cyan",
    "watch": "yellow",
}
_EVENT_COLUMNS = 24
_HASH_DIGITS = 10
_PART_COLUMNS = 1000

_ELSEWHERE = frozenset({"seq", "ts", "event", "crc", "path", "sha256", "error", "migration"})
"""Fields that have a place of their own in the line, or that only recovery needs."""

_TOO_MUCH = frozenset(
    {"pending", "plan", "model", "images", "files", "tags", "order", "decision", "removed", "originals"}
)
"""Fields of a plan that are whole objects; `--json` shows them, the line names the row and the action."""

_COUNTED_FROM_NONE = frozenset({"picture"})
"""Fields whose zero is no absence."""

_ACTIONS = {
    "image_removed": "picture removed",
    "image_uploaded": "picture added",
    "purged": "model forgotten with all that was known of it",
}
"""What the owner did, in words; what migrations did has words already."""


def day_of(record: Mapping[str, Any]) -> str:
    """Return the local day of a record: `Friday, 2026-11-20`."""
    moment = _moment(record)
    return moment.strftime("%A, %Y-%m-%d") if moment else "no date"


def line_of(record: Mapping[str, Any], *, with_day: bool = True) -> Text:
    """Return a record as one line: when, what, which file, which content, and what else it says."""
    event = str(record.get("event", ""))
    line = Text(_time(record, with_day=with_day), style="dim")
    line.append("  ")
    line.append(clean(event).ljust(_EVENT_COLUMNS), style=_style(event))
    for part, style in (_name(record), ""), (_short_hash(record.get("sha256")), "dim"), (details(record), ""):
        if part:
            line.append("  ")
            line.append(in_brief(clean(part), _PART_COLUMNS), style=style)
    if record.get("error"):
        line.append("  ")
        line.append(in_brief(clean(record["error"]), _PART_COLUMNS), style="red")
    return line


def details(record: Mapping[str, Any]) -> str:
    """Return the fields of a record that have no place of their own, in words."""
    said = []
    for key, value in record.items():
        is_too_much = key in _TOO_MUCH and isinstance(value, (dict, list))
        if key in _ELSEWHERE or is_too_much or (value in ("", None, 0, [], {}) and key not in _COUNTED_FROM_NONE):
            continue
        words = _WORDS.get(key)
        said.append(words(value) if words else f"{key.replace('_', ' ')} {_value(value)}")
    return ", ".join(filter(None, said))


def _style(event: str) -> str:
    if event.endswith((".failed", ".refuted")):
        return "red"
    if event.endswith((".conflicted", ".missing", ".rolled_back")):
        return "yellow"
    return _STYLES.get(event.split(".", 1)[0], "")


def _time(record: Mapping[str, Any], *, with_day: bool) -> str:
    moment = _moment(record)
    if moment is None:
        return clean(record.get("ts", "?"))
    return moment.strftime("%Y-%m-%d %H:%M:%S" if with_day else "%H:%M:%S")


def _moment(record: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(record["ts"])).astimezone()
    except (KeyError, ValueError, OverflowError):
        return None


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("path") or "").rsplit("/", 1)[-1]


def _short_hash(value: object) -> str:
    return value[:_HASH_DIGITS] if isinstance(value, str) else ""


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _as_size(value: object) -> str:
    return size(value) if isinstance(value, (int, float)) else str(value)


def _as_duration(value: object) -> str:
    return f"in {duration(value)}" if isinstance(value, (int, float)) else str(value)


def _as_time(value: object) -> str:
    return f"again at {local_time(value)}" if isinstance(value, int) else f"again at {value}"


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "action": lambda value: _ACTIONS.get(value, str(value)),
    "attempts": lambda value: f"attempt {value}",
    "bytes": _as_size,
    "cause": str,
    "claimed": lambda value: f"claimed {_short_hash(value)}",
    "counts": _value,
    "found": lambda value: f"found {_short_hash(value)}",
    "kind": str,
    "moved_down": lambda value: f"{count(value, 'later one')} moved down by one",
    "old": lambda value: f"from {value}",
    "old_path": lambda value: f"from {value}",
    "pending_id": lambda value: f"row {value}",
    "picture": lambda value: f"number {value}",
    "pid": lambda value: f"pid {value}",
    "reason": str,
    "retry_at": _as_time,
    "seconds": _as_duration,
    "size_bytes": _as_size,
    "source": lambda value: f"from {value}",
    "strategy": lambda value: f"by {value}",
}
