"""How duplicates look: every location of each, and what it all comes to. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from modelkeep.cli.output import named, plain
from modelkeep.cli.wording import called, count, size

_NAME_COLUMNS = 100
_HASH_DIGITS = 12


def duplicates_view(found: Mapping[str, Any]) -> RenderableType:
    """Return each content with its locations, the one that frees the most first, and what it all comes to."""
    parts: list[RenderableType] = []
    for row in found["duplicates"]:
        parts += [_headline(row), *_places(row)]
    if found["duplicates"]:
        parts += ["", plain(_total(found), "bold")]
    for family in found["siblings"]:
        parts += ["", plain("the same weights under different headers: no copies", "bold"), *map(_relative, family)]
    return Group(*parts)


def _relative(model: Mapping[str, Any]) -> Text:
    return Text.assemble(
        plain(f"  {model['sha256'][:_HASH_DIGITS]}  ", "dim"),
        named(called(model["name"], model["path"])),
        "  ",
        plain(model["path"]),
    )


def _headline(row: Mapping[str, Any]) -> Text:
    freeable = f", {size(row['freeable_bytes'])} could be freed" if row["freeable_bytes"] else ""
    counts = ", ".join(
        filter(None, [size(row["size_bytes"]), count(len(row["copies"]), "copy", "copies"), _links(row)])
    )
    first = next((path for names in row["copies"] for path in names), "")
    return Text.assemble(named(called(row["name"], first), "bold", _NAME_COLUMNS), f"  {counts}{freeable}")


def _places(row: Mapping[str, Any]) -> Iterator[Text]:
    for names in row["copies"]:
        for number, path in enumerate(names):
            yield _place("hard link" if number else "copy", path)
    for path in row["symbolic_links"]:
        yield _place("symbolic link", path)
    for place in row["away"]:
        yield _place("not confirmed" if place["state"] == "present" else place["state"], place["path"], "yellow")


def _place(kind: str, path: str, style: str = "dim") -> Text:
    return Text.assemble(plain(f"  {kind}  ", style), plain(path))


def _links(row: Mapping[str, Any]) -> str:
    numbers = {"hard": sum(len(names) - 1 for names in row["copies"]), "symbolic": len(row["symbolic_links"])}
    return ", ".join(count(number, f"{kind} link") for kind, number in numbers.items() if number)


def _total(found: Mapping[str, Any]) -> str:
    rows = found["duplicates"]
    spare = sum(max(0, len(row["copies"]) - 1) for row in rows)
    away = sum(len(row["away"]) for row in rows)
    total = f"{count(spare, 'copy', 'copies')} too many: {size(found['freeable_bytes'])} could be freed."
    if not away:
        return total
    return f"{total} {count(away, 'location')} not counted: missing, unreachable, or not confirmed yet."
