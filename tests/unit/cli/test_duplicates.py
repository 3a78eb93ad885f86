import json
from collections.abc import Callable
from typing import Any

from typer.testing import Result

from modelkeep.api import shapes
from modelkeep.domain.duplicates import Duplicate
from modelkeep.domain.values import Location, LocationState, Model

Cli = Callable[..., Result]
SHA = "ab" * 32

FOUND = [
    Duplicate(
        Model(SHA, name="hero [bold]x\x1b[2J", size_bytes=6_000_000_000),
        copies=(("/m/hero.pt", "/m/second name.pt"), ("/m/backup/hero.pt",), ("/n/caf\udce9.pt",)),
        symbolic_links=("/m/link.pt",),
        away=(Location("/usb/hero.pt", SHA, LocationState.UNREACHABLE),),
    ),
    Duplicate(Model("cd" * 32, name="linked", size_bytes=10), copies=(("/m/l.pt", "/m/k.pt"),)),
]


def test_each_content_is_a_row_with_its_places_and_the_total_stands_last(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/duplicates", shapes.duplicates(FOUND))

    result = cli("duplicates")

    assert result.exit_code == 0, result.output
    out = result.stdout
    lines = out.splitlines()
    assert "hero [bold]x\\x1b[2J  6.0 GB, 3 copies, 1 hard link, 1 symbolic link, 12.0 GB could be freed" in lines
    assert "linked  10 B, 1 copy, 1 hard link" in lines
    for told in (
        "copy  /m/hero.pt",
        "hard link  /m/second name.pt",
        "copy  /n/caf\\xe9.pt",
        "symbolic link  /m/link.pt",
        "unreachable  /usb/hero.pt",
    ):
        assert told in out
    assert out.splitlines()[-1] == (
        "2 copies too many: 12.0 GB could be freed. "
        "1 location not counted: missing, unreachable, or not confirmed yet."
    )


def test_a_content_whose_name_is_blank_goes_by_its_first_file(cli: Cli, daemon: Any) -> None:
    daemon.answer(
        "GET", "/api/duplicates", shapes.duplicates([Duplicate(Model(SHA), copies=(("/m/l.pt", "/m/k.pt"),))])
    )

    assert cli("duplicates").stdout.splitlines()[0] == "l.pt  0 B, 1 copy, 1 hard link"


def test_json_is_what_the_daemon_says(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/duplicates", shapes.duplicates(FOUND))

    answer = json.loads(cli("duplicates", "--json").stdout)

    assert answer == shapes.duplicates(FOUND)
    assert answer["freeable_bytes"] == 12_000_000_000


def test_none_is_said_in_words(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/duplicates", shapes.duplicates([]))

    assert cli("duplicates").stdout == "Every model has one copy only.\n"
    assert json.loads(cli("duplicates", "--json").stdout) == {"duplicates": [], "freeable_bytes": 0, "siblings": []}


def test_without_a_daemon_and_a_catalogue_there_are_none(cli: Cli) -> None:
    assert cli("duplicates").stdout == "Every model has one copy only.\n"
