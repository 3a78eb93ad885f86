"""How the catalogue looks: the list, and everything about one model. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelkeep.api.sides import comparable
from modelkeep.cli.output import facts, named, plain, table
from modelkeep.cli.sources_view import sources_parts
from modelkeep.cli.wording import called, count, local_time, size

_HASH_DIGITS = 12
_HASH_DIGITS_MIN = 8
_NAME_COLUMNS = 100
_WIDE_COLUMNS = 100
_TAG_COLUMNS = 14
_KEY_COLUMNS, _VALUE_COLUMNS, _KEYS_SHOWN = 48, 200, 60
_TYPE_COLUMNS = 40
_LINES_SHOWN = 6
_STATE_STYLES = {"present": "green", "missing": "yellow", "unreachable": "yellow"}


def models_table(rows: Sequence[Mapping[str, Any]], width: int) -> Table:
    """Return models as a table; those that a search found do not say how many images they have.

    Args:
        rows: the models.
        width: columns of the output; images are counted only where there is room.
    """
    is_wide = width >= _WIDE_COLUMNS
    made = table("hash", "name", "type", "size", *(["images"] if is_wide else []), "tags", right=("size", "images"))
    made.columns[0].no_wrap = made.columns[3].no_wrap = True
    made.columns[-1].max_width = None if is_wide else _TAG_COLUMNS
    for row in rows:
        made.add_row(
            plain(row["sha256"][: _HASH_DIGITS if is_wide else _HASH_DIGITS_MIN], "dim"),
            named(called(row["name"], row["path"]), columns=_NAME_COLUMNS),
            named(row["type"], columns=_TYPE_COLUMNS),
            size(row["size_bytes"]),
            *([str(row.get("images_count", ""))] if is_wide else []),
            named(", ".join(tag["name"] for tag in row["tags"])),
        )
    return made


def model_view(details: Mapping[str, Any]) -> RenderableType:
    """Return everything that is known about a model."""
    model = details["model"]
    known = comparable({**details, **model})
    known.pop("name", None)
    parts: list[RenderableType] = [
        named(called(model["name"], model["path"]), "bold"),
        facts(
            [
                ("sha256", model["sha256"]),
                ("size", size(model["size_bytes"])),
                ("created", local_time(model["created_at"])),
                *((key, _first_lines(value) if key == "examples" else value) for key, value in known.items()),
                ("images", _images(details)),
                *(("not used", f"{image['file']}: {image['reason']}") for image in details["refused"]),
                *((kind, digest) for kind, digest in details["digests"].items() if kind != "sha256"),
            ]
        ),
    ]
    parts += _siblings(details)
    if details["header"]["keys"] or details["header"]["problem"]:
        parts += ["", _header(details["header"])]
    if details["locations"]:
        parts += ["", _locations(details["locations"])]
    # A daemon of before an update tells of no sources.
    parts += sources_parts(details.get("sources", {}))
    return Group(*parts)


def _header(header: Mapping[str, Any]) -> RenderableType:
    """Return what a file's own header says, each key in brief: `--json` has all of it."""
    keys = list(header["keys"].items())
    rows = [
        (named(key, columns=_KEY_COLUMNS).plain, named(_in_brief(value), columns=_VALUE_COLUMNS))
        for key, value in keys
    ]
    further = len(rows) - _KEYS_SHOWN
    more = [("…", plain(f"{count(further, 'more key')}: --json shows them"))] if further > 0 else []
    problem = [("not all", plain(header["problem"], "yellow"))] if header["problem"] else []
    return Group(plain(f"its {header['format']} header says", "bold"), facts([*rows[:_KEYS_SHOWN], *more, *problem]))


def confirmed_lines(details: Mapping[str, Any]) -> list[Text]:
    """Return the BLAKE3 of a model, and what becomes of those that are claimed."""
    claims = [
        (source, claim)
        for kind in sorted(details["sources"])
        for source in details["sources"][kind]
        for claim in source["claims"]
        if claim["kind"] == "blake3"
    ]
    told = [
        plain(f"{claim['verdict']}: {claim['value']}, says {source['kind']} in {source['key']}")
        for source, claim in claims
    ]
    return [plain(f"blake3  {details['digests']['blake3']}"), *(told or [plain("No source claims one.", "dim")])]


def _siblings(details: Mapping[str, Any]) -> list[RenderableType]:
    """Return which other models hold the same tensors, and what can be done about it."""
    made = table("same weights, another header", "name", "location", "state")
    for sibling in details["siblings"]:
        state = plain(sibling["state"], _STATE_STYLES.get(sibling["state"], ""))
        if sibling["heir"] == details["model"]["sha256"]:
            state.append(", taken over from", style="dim")
        made.add_row(
            plain(sibling["sha256"][:_HASH_DIGITS], "dim"),
            named(called(sibling["name"], sibling["path"]), columns=_NAME_COLUMNS),
            plain(sibling["path"]),
            state,
        )
    own = details["model"]["sha256"]
    open_ones = [sibling["sha256"] for sibling in details["siblings"] if sibling["heir"] != own]
    hint = [
        plain(f"to take over what is known: modelkeep models inherit {own[:_HASH_DIGITS]} {other[:_HASH_DIGITS]}")
        for other in open_ones[:1]
    ]
    return ["", made, *hint] if details["siblings"] else []


def _first_lines(text: str) -> str:
    """Return the first of many objects that stand on a line each: a site may give a hundred examples."""
    lines = text.splitlines()
    if len(lines) <= _LINES_SHOWN:
        return text
    return "\n".join([*lines[:_LINES_SHOWN], f"… {len(lines) - _LINES_SHOWN:,} more: --json shows them"])


def _in_brief(value: object) -> object:
    if isinstance(value, dict) and "summary" in value:
        return f"({value['summary']} of {value['length']}) {value.get('begins', '')}".rstrip()
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def purge_table(known: Sequence[Mapping[str, Any]]) -> Table:
    """Return what is forgotten with each of these models."""
    made = table("hash", "name", "images", "tags", "last seen at", right=("images", "tags"))
    for details in known:
        model = details["model"]
        made.add_row(
            plain(model["sha256"][:_HASH_DIGITS], "dim"),
            named(called(model["name"], model["path"]), columns=_NAME_COLUMNS),
            str(len(details["images"])),
            str(len(model["tags"])),
            named(model["path"]),
        )
    return made


def purged_lines(purged: Sequence[Mapping[str, Any]]) -> list[Text]:
    """Return a line about each model that was forgotten."""
    return [
        Text.assemble(
            named(called(details["model"]["name"], details["model"]["path"])),
            " is forgotten, with ",
            count(len(details["images"]), "image"),
            " and ",
            count(len(details["model"]["tags"]), "tag"),
            ".",
        )
        for details in purged
    ]


def _images(details: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{image['width']} x {image['height']}" for image in details["images"])
    return f"{len(details['images'])}  ({sizes})" if sizes else ""


def _locations(locations: Sequence[Mapping[str, Any]]) -> Table:
    made = table("location", "state", "seen last")
    for location in locations:
        state = plain(location["state"], _STATE_STYLES.get(location["state"], ""))
        if location["claimed"]:
            state.append(", hash not confirmed yet", style="dim")
        made.add_row(plain(location["path"]), state, local_time(location["last_seen"]))
    return made
