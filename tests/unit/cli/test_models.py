import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from modelkeep.api import shapes
from modelkeep.domain.details import ModelDetails, RefusedImage
from modelkeep.domain.values import ImageRow, Location, LocationState, Model, Tag

Cli = Callable[..., Result]
SHA = "ab" * 32

MODEL = Model(
    SHA,
    path="/m/checkpoints/a.ckpt",
    name="A [bold]model[/bold]\x1b[2J",
    type="checkpoints",
    base="SDXL",
    size_bytes=6_500_000_000,
    created_at=1_795_168_800_000,
    meta={"description": "good", "prompts": {"positive": "a cat"}, "trained": [1, 2]},
    tags=(Tag(1, "anime"), Tag(2, "fast")),
)
DETAILS = ModelDetails(
    MODEL,
    images=(ImageRow(SHA, 0, 1024, 1536, "cd" * 32),),
    locations=(
        Location("/m/checkpoints/a.ckpt", SHA, LocationState.PRESENT, last_seen=1_795_168_800_000),
        Location("/m/old/a.ckpt", SHA, LocationState.MISSING, claimed=True),
    ),
    refused=(RefusedImage("7.gif", "ef" * 32, "it has no frames"),),
)


def listed(number: int) -> list[dict[str, Any]]:
    return [
        shapes.model_listed(MODEL.evolve(sha256=f"{index:064x}", name=f"model {index}"), 2) for index in range(number)
    ]


def paged(rows: list[dict[str, Any]]) -> Callable[[dict[str, str]], dict[str, Any]]:
    def answer(query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("offset", 0))
        return {"models": rows[start : start + int(query["limit"])]}

    return answer


def test_the_list_shows_each_model_with_its_tags_and_images(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/models", {"models": [shapes.model_listed(MODEL, 1)]})

    result = cli("models", "list", "--type", "checkpoints", "--tag", "anime", "--query", "mod")

    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if SHA[:12] in line)
    assert "A [bold]model[/bold]\\x1b[2J" in row
    assert row.split()[-4:] == ["GB", "1", "anime,", "fast"]
    asked = daemon.asked[0][2]
    assert (asked["type"], asked["tag"], asked["q"]) == ("checkpoints", "anime", "mod")


def test_a_long_list_says_that_there_is_more(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/models", paged(listed(150)))

    stdout = cli("models", "list").stdout

    assert stdout.count("model ") == 100
    assert stdout.endswith("These are the first 100; --limit 0 shows all.\n")


def test_a_list_that_just_fits_does_not_say_so(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/models", paged(listed(100)))

    assert "first" not in cli("models", "list").stdout


def test_json_holds_everything_however_many_pages_it_takes(cli: Cli, daemon: Any) -> None:
    rows = listed(2500)
    daemon.answer("GET", "/api/models", paged(rows))

    assert json.loads(cli("models", "list", "--json").stdout) == rows
    assert json.loads(cli("models", "list", "--json", "--limit", "1500").stdout) == rows[:1500]


@pytest.mark.parametrize(("arguments", "said"), [([], "catalogue is empty"), (["--tag", "x"], "No model fits")])
def test_nothing_to_list_is_said_in_words(cli: Cli, daemon: Any, arguments: list[str], said: str) -> None:
    daemon.answer("GET", "/api/models", {"models": []})

    assert said in cli("models", "list", *arguments).stdout
    assert json.loads(cli("models", "list", "--json", *arguments).stdout) == []


@pytest.mark.parametrize(
    "arguments", [["models", "find", ""], ["models", "show", ""], ["tag", "", "x"], ["export", "json", ""]]
)
def test_no_text_means_no_model(cli: Cli, daemon: Any, arguments: list[str]) -> None:
    daemon.answer("GET", "/api/models/find", {"error": "query.q: it is too short"}, 422)

    result = cli(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr == "modelkeep: an empty text means no model; name it, its path, or the beginning of its hash\n"
    )


def test_one_model_is_shown_with_all_that_is_known(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/models/find", {"models": [shapes.model_found(MODEL)]})
    daemon.answer("GET", f"/api/models/{SHA}/details", shapes.model_details(DETAILS))

    result = cli("models", "show", "a.ckpt")

    assert result.exit_code == 0, result.output
    for shown in (SHA, "6.5 GB", "SDXL", "a cat", "1, 2", "anime, fast", "1024 x 1536", "it has no frames"):
        assert shown in result.stdout
    assert "missing, hash not confirmed yet" in result.stdout
    assert daemon.asked[0] == ("GET", "/api/models/find", {"q": "a.ckpt"})
    assert json.loads(cli("models", "show", "a.ckpt", "--json").stdout) == shapes.model_details(DETAILS)


def test_a_model_whose_name_is_blank_goes_by_its_file(cli: Cli, daemon: Any) -> None:
    nameless = replace(DETAILS, model=MODEL.evolve(name=" "))
    daemon.answer("GET", "/api/models", {"models": [shapes.model_listed(nameless.model, 1)]})
    daemon.answer("GET", "/api/models/find", {"models": [shapes.model_found(nameless.model)]})
    daemon.answer("GET", f"/api/models/{SHA}/details", shapes.model_details(nameless))
    file_name = MODEL.path.rpartition("/")[2]

    assert file_name in cli("models", "list").stdout
    assert cli("models", "show", SHA).stdout.splitlines()[0] == file_name


def test_a_relative_path_is_made_absolute(
    cli: Cli, daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.ckpt").write_bytes(b"")
    daemon.answer("GET", "/api/models/find", {"models": []})

    cli("models", "show", "models/../x.ckpt")
    cli("models", "show", "here.ckpt")

    assert [asked[2]["q"] for asked in daemon.asked] == [str(tmp_path / "x.ckpt"), str(tmp_path / "here.ckpt")]


def test_several_that_are_meant_are_listed_and_the_status_is_four(cli: Cli, daemon: Any) -> None:
    other = MODEL.evolve(sha256="cd" * 32)
    daemon.answer("GET", "/api/models/find", {"models": [shapes.model_found(MODEL), shapes.model_found(other)]})

    result = cli("models", "show", "a", "--json")

    assert (result.exit_code, result.stdout) == (4, "")
    assert SHA[:12] in result.stderr
    assert "cd" * 6 in result.stderr
    assert "2 models are meant by a; choose one by the beginning of its hash" in result.stderr


def test_an_unknown_model_exits_with_four(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/models/find", {"models": []})

    result = cli("models", "show", "none\x1b")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "none\\x1b" in result.stderr
