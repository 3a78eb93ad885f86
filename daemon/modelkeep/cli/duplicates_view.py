"""How duplicates look: the table with every place of each, and what it all comes to. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from modelkeep.cli.output import named, plain, table
from modelkeep.cli.wording import count, size

_NAME_COLUMNS = 100


def duplicates_view(found: Mapping[str, Any]) -> RenderableType:
    """Return the table of duplicates and its total."""
    made = table("model", "size", "copies", "links", "could be freed", right=("size", "copies", "could be freed"))
    for row in found["duplicates"]:
        made.add_row(
            _model(row),
            size(row["size_bytes"]),
            str(len(row["copies"])),
            _links(row),
            size(row["freeable_bytes"]) if row["freeable_bytes"] else "",
        )
    return Group(made, plain(_total(found), "bold"))


def _model(row: Mapping[str, Any]) -> Text:
    """Return a model's name with its places below it."""
    return Text("\n").join([named(row["name"], "bold", _NAME_COLUMNS), *_places(row)])


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
    return ", ".join(f"{number} {kind}" for kind, number in numbers.items() if number)


def _total(found: Mapping[str, Any]) -> str:
    rows = found["duplicates"]
    spare = sum(max(0, len(row["copies"]) - 1) for row in rows)
    away = sum(len(row["away"]) for row in rows)
    total = f"{count(spare, 'copy', 'copies')} too many: {size(found['freeable_bytes'])} could be freed."
    if not away:
        return total
    return f"{total} {count(away, 'place')} not counted: missing, unreachable, or not confirmed yet."
