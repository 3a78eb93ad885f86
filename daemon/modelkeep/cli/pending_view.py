"""How rows of the queue look: the list, and both sides of a conflict next to each other. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelkeep.api.sides import comparable
from modelkeep.cli.outcomes import effects
from modelkeep.cli.output import facts, named, plain, table
from modelkeep.cli.wording import called, count, moment, shortened, size
from modelkeep.domain.naming import in_brief

_STATE_STYLES = {"conflict": "yellow", "failed": "red", "missing": "yellow"}
_SOURCES = {"watch": "finding its file", "claim": "a hash that its file turned out not to have"}
_NAME_COLUMNS = 100
_TYPE_COLUMNS = 40
_REASON_COLUMNS = 100
_VALUE_COLUMNS = 400


def pending_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the queue as a table, with the reason of what does not go on by itself."""
    made = table("id", "state", "name", "type", "size", "why", right=("id", "size"))
    for row in rows:
        made.add_row(
            str(row["id"]),
            plain(row["state"], _STATE_STYLES.get(row["state"], "")),
            named(called(row["name"], row["path"]), columns=_NAME_COLUMNS),
            named(row["type"], columns=_TYPE_COLUMNS),
            size(row["size_bytes"]) if row["size_bytes"] else "",
            # What tells rows apart comes last in it: which file, what differs.
            named(" ".join(row["last_error"].split()), columns=_REASON_COLUMNS),
        )
    return made


def both_sides(details: Mapping[str, Any], now_ms: int) -> RenderableType:
    """Return a row, beside the model that has its content if there is one.

    Args:
        details: both.
        now_ms: the present time.
    """
    pending, existing = details["pending"], details["existing"]
    parts: list[RenderableType] = [facts(_facts(pending, now_ms))]
    if existing is None:
        known = {**comparable(pending), "image": pending["image"]}
        parts.append(facts([(key, plain(_whole(key, value))) for key, value in known.items()]))
    else:
        parts += ["", _comparison(pending, existing, details["lost_keys"]), ""]
        others = [place for place in existing["locations"] if place["path"] != pending["path"]]
        parts.append(facts([("its model is at", plain(f"{place['path']} ({place['state']})")) for place in others]))
    return Group(*parts)


def how_to_resolve(details: Mapping[str, Any], command: Callable[..., str]) -> RenderableType:
    """Return what each strategy would do with a conflict, and how to choose one.

    Args:
        details: both sides.
        command: makes a command line for the user to type out of its words.
    """
    resolve = command("pending", "resolve", str(details["pending"]["id"]), "--strategy", "merge")
    return Group(
        "",
        Text("What each strategy would do:", style="bold"),
        facts([(f"  {strategy}", plain(effect)) for strategy, effect in effects(details).items()]),
        Text(f"Choose one: {resolve}", style="cyan"),
    )


def _facts(pending: Mapping[str, Any], now_ms: int) -> list[tuple[str, RenderableType]]:
    state = Text.assemble(f"{pending['id']}  ", plain(pending["state"], _STATE_STYLES.get(pending["state"], "")))
    due = pending["due_at"] if pending["state"] == "failed" else 0
    return [
        ("row", state),
        ("path", plain(pending["path"])),
        ("why", plain(pending["last_error"])),
        ("tried", count(pending["attempts"], "time") if pending["attempts"] else ""),
        ("again at", moment(due, now_ms)),
        ("size", size(pending["size_bytes"]) if pending["size_bytes"] else ""),
        ("known from", plain(_SOURCES.get(pending["source"], f"the import from {pending['source']}"))),
        ("created", moment(pending["created_at"], now_ms)),
        # A row in conflict was read; what others say of a hash is a claim.
        ("sha256" if pending["state"] == "conflict" else "claimed sha256", plain(pending["sha256"])),
    ]


def _comparison(pending: Mapping[str, Any], existing: Mapping[str, Any], lost_keys: Sequence[str]) -> Table:
    made = table("", "", f"row {pending['id']}", "in the catalogue")
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    made.columns[2].ratio = made.columns[3].ratio = 1
    ours, theirs = comparable(pending), comparable({**existing, **existing["model"]})
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key, ""), theirs.get(key, "")
        # The mark stands also where there are no colours.
        differs = key in lost_keys or (bool(one) and bool(other) and one != other and key != "tags")
        mark, style = ("≠", "bold yellow") if differs else ("", "")
        made.add_row(mark, plain(key), plain(_cut(one), style), plain(_cut(other), style))
    images = count(len(existing["images"]), "image") if existing["images"] else ""
    if images or pending["image"]:
        made.add_row("", "images", plain(pending["image"]), images)
    return made


def _whole(key: str, value: str) -> str:
    """Return a value in full, but for a name that no one can have meant."""
    return in_brief(value, _VALUE_COLUMNS) if key == "name" else value


def _cut(text: str) -> str:
    return shortened(text, _VALUE_COLUMNS)
