"""How rows of the queue look: the list, and both sides of a conflict next to each other. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelkeep.cli.output import facts, named, plain, table
from modelkeep.cli.wording import clean, count, local_time, shortened, size
from modelkeep.domain.description import TEXTS
from modelkeep.domain.naming import in_brief

_STATE_STYLES = {"conflict": "yellow", "failed": "red", "missing": "yellow"}
_EFFECTS = (
    ("merge", "keeps the catalogue's values and adds the rest"),
    ("override", "puts the pending values in their place"),
    ("delete", "drops the pending row"),
)
_NAME_COLUMNS = 100
_TYPE_COLUMNS = 40
_REASON_COLUMNS = 60
_VALUE_COLUMNS = 400
_NOT_SHOWN = frozenset({"images", "images_count"})
"""Keys of `meta_json` that are derived; the pictures have a line of their own."""


def pending_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the queue as a table, with the reason of what does not go on by itself."""
    made = table("id", "state", "name", "type", "size", "why", right=("id", "size"))
    for row in rows:
        made.add_row(
            str(row["id"]),
            plain(row["state"], _STATE_STYLES.get(row["state"], "")),
            named(row["name"] or base_name(row["path"]), columns=_NAME_COLUMNS),
            named(row["type"], columns=_TYPE_COLUMNS),
            size(row["size_bytes"]) if row["size_bytes"] else "",
            Text(shortened(row["last_error"], _REASON_COLUMNS)),
        )
    return made


def both_sides(details: Mapping[str, Any]) -> RenderableType:
    """Return a row, beside the model that has its content if there is one."""
    pending, existing = details["pending"], details["existing"]
    parts: list[RenderableType] = [facts(_facts(pending))]
    if existing is None:
        parts.append(facts([(key, plain(_whole(key, value))) for key, value in comparable(pending).items()]))
    else:
        known = comparable({**existing, **existing["model"]})
        parts.append(_comparison(comparable(pending), known, details["lost_keys"]))
        parts.append(facts(_facts_of_existing(existing)))
    return Group(*parts)


def how_to_resolve(details: Mapping[str, Any], command: Callable[..., str]) -> Text:
    """Return what the owner can do about a conflict.

    Args:
        details: both sides.
        command: makes a command line for the user to type out of its words.
    """
    lost = ", ".join(map(clean, details["lost_keys"]))
    said = f"Merging would lose the pending {lost}." if lost else "Both sides can be merged without loss."
    resolve = command("pending", "resolve", str(details["pending"]["id"]), "--strategy")
    lines = [f"{resolve} {strategy:<8}  {effect}" for strategy, effect in _EFFECTS]
    return Text("\n".join([said, *lines]), style="cyan")


def comparable(side: Mapping[str, Any]) -> dict[str, str]:
    """Return what is known on one side as texts by (dotted) key; nothing that is empty."""
    values = {name: str(side[name]) for name in TEXTS}
    values |= _flattened(side["meta_json"])
    values["tags"] = ", ".join(sorted(tag["name"] for tag in side["tags"]))
    return {key: value for key, value in values.items() if value}


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return path.rsplit("/", 1)[-1]


def _facts(pending: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    state = plain(pending["state"], _STATE_STYLES.get(pending["state"], ""))
    due = pending["due_at"] if pending["state"] == "failed" else 0
    return [
        ("row", f"{pending['id']}"),
        ("path", plain(pending["path"])),
        ("state", state),
        ("error", plain(pending["last_error"], "red")),
        ("tried", count(pending["attempts"], "time") if pending["attempts"] else ""),
        ("again at", local_time(due)),
        ("size", size(pending["size_bytes"]) if pending["size_bytes"] else ""),
        ("from", plain(pending["source"])),
        ("known since", local_time(pending["created_at"])),
        ("picture", plain(pending["image"])),
        # A row in conflict was read; what others say of a hash is a claim.
        ("hash" if pending["state"] == "conflict" else "claimed hash", plain(pending["sha256"])),
    ]


def _facts_of_existing(existing: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    places = ", ".join(f"{location['path']} ({location['state']})" for location in existing["locations"])
    return [
        ("in the catalogue", plain(existing["model"]["sha256"])),
        ("pictures", f"{len(existing['images'])}" if existing["images"] else ""),
        ("locations", plain(places)),
    ]


def _comparison(pending: Mapping[str, str], existing: Mapping[str, str], lost_keys: Sequence[str]) -> Table:
    made = table("", "", "pending", "in the catalogue")
    made.columns[0].no_wrap = True
    for key in dict.fromkeys([*pending, *existing]):
        ours, theirs = pending.get(key, ""), existing.get(key, "")
        # The mark stands also where there are no colours.
        differs = key in lost_keys or (bool(ours) and bool(theirs) and ours != theirs and key != "tags")
        mark, style = ("≠", "bold yellow") if differs else ("", "")
        made.add_row(mark, plain(key), plain(_cut(ours), style), plain(_cut(theirs), style))
    return made


def _whole(key: str, value: str) -> str:
    """Return a value in full, but for a name that no one can have meant."""
    return in_brief(value, _VALUE_COLUMNS) if key == "name" else value


def _cut(text: str) -> str:
    return shortened(text, _VALUE_COLUMNS)


def _flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values by dotted key, as the journal and `lost_keys` name them."""
    flat: dict[str, str] = {}
    for key, inner in value.items():
        if not prefix and key in _NOT_SHOWN:
            continue
        if isinstance(inner, dict):
            flat |= _flattened(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _as_text(inner)
    return flat


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(_as_text, value)) if isinstance(value, list) else str(value)
