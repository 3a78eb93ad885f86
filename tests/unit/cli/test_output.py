import io
import json
import sys

import pytest
from rich.console import Console

from modelkeep.cli import output

HOSTILE = "[red]x[/red] :smile: \x1b]0;title\x07 " + b"\xff".decode("utf-8", "surrogateescape")


def captured(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    return written


def test_foreign_text_is_neither_markup_nor_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    written = captured("utf-8", monkeypatch)
    out = output.console()
    made = output.table("name")
    made.add_row(output.plain(HOSTILE))

    out.print(made)
    out.print(output.facts([("name", HOSTILE)]))
    sys.stdout.flush()

    assert written.getvalue().decode().count("[red]x[/red] :smile: \\x1b]0;title\\x07 \\xff") == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_text_beyond_the_terminals_encoding_is_shown_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = captured(encoding, monkeypatch)
    made = output.table("name")
    made.add_row(output.plain("日本語"))

    output.console().print(made)
    sys.stdout.flush()

    assert ("日本語" if encoding == "utf-8" else "\\u65e5") in written.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_json_is_whole_whatever_the_text_and_the_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = captured(encoding, monkeypatch)
    document = {"a": HOSTILE, "b": "日本語 😀", "c": [1, None, True]}

    output.print_json(document)
    sys.stdout.flush()

    assert json.loads(written.getvalue().decode(encoding)) == document


def test_nothing_is_cut_or_coloured_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    written = captured("utf-8", monkeypatch)
    long = "/srv/" + "x" * 3000
    made = output.table("path", "other")
    made.add_row(output.plain(long, "red"), "y")

    output.console().print(made)
    sys.stdout.flush()

    assert f"{long}  y" in written.getvalue().decode()
    assert b"\x1b" not in written.getvalue()


def test_empty_facts_are_left_out() -> None:
    out = Console(file=io.StringIO(), width=80)

    out.print(output.facts([("kept", "x"), ("dropped", ""), ("dropped too", output.plain(""))]))

    assert out.file.getvalue().split() == ["kept", "x"]  # type: ignore[attr-defined]
