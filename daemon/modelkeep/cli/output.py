"""What commands write: a console that never interprets foreign text, tables, and JSON that stands alone."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from modelkeep.cli.wording import clean
from modelkeep.domain.json_text import json_text
from modelkeep.domain.naming import in_brief

_RULED_HEAD = box.Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
"""A line below the head of a table, and one space more than the padding between its columns."""

_WIDTH_OF_A_FILE = 65_536
"""Columns of a table that goes to a file or a program: wide enough that no line is folded."""

NAME_COLUMNS = 256
"""No file's base name has more characters; what an old database calls a name may have thousands."""


class PlainConsole(Console):
    """A console that leaves a broken pipe to the border, which knows the exit status for it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; what is no terminal gets lines without spaces at their ends."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
        self.file.flush()

    def on_broken_pipe(self) -> None:
        """Let the error rise."""
        raise  # Rich calls this while it handles the error


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output (or error); texts given to it are never read as markup."""
    # A name may hold what the terminal's encoding does not: show it escaped instead of failing.
    _never_fail(sys.stderr if stderr else sys.stdout)
    made = PlainConsole(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        # Whatever $COLUMNS says: programs with readline leave it to their children without meaning to.
        made.width = _WIDTH_OF_A_FILE
    return made


def print_json(document: Any) -> None:
    """Write one JSON document on standard output."""
    print(_json_text(document, indent=2))


def print_json_line(record: Any, *, flush: bool) -> None:
    """Write one line of JSON Lines; `flush`: at once, so that whoever follows sees it."""
    print(_json_text(record), flush=flush)


def _json_text(document: Any, indent: int | None = None) -> str:
    """Return JSON that standard output can take."""
    return json_text(document, encoding=getattr(sys.stdout, "encoding", None) or "utf-8", indent=indent)


def plain(value: object, style: str = "") -> Text:
    """Return foreign text as it may be printed: no markup, no control characters."""
    return Text(clean(value), style=style)


def named(value: object, style: str = "", columns: int = NAME_COLUMNS) -> Text:
    """Return a foreign name or path as `plain` does, without the middle of one that is too long."""
    return Text(in_brief(clean(value), columns), style=style)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Return an empty table; columns named in `right` hold numbers."""
    made = Table(box=_RULED_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    numbers = set(right)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return made


def facts(pairs: Sequence[tuple[str, RenderableType]]) -> Table:
    """Return a list of names and values, one a line, without those whose value is an empty text."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value != "" and not (isinstance(value, Text) and not value.plain):
            grid.add_row(name, plain(value) if isinstance(value, str) else value)
    return grid


def _never_fail(stream: TextIO | None) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
