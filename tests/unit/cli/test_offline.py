"""Commands that read or change the files while no daemon runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Cli = Callable[..., Result]
SHA = "ab" * 32


@pytest.fixture
def imported(cli: Cli, tmp_path: Path, make_legacy: Callable[[Path, list[str]], Path]) -> Path:
    """A data folder in which two rows wait."""
    legacy = make_legacy(tmp_path / "old.sqlite3", [str(tmp_path / "models" / name) for name in ("a.ckpt", "b.ckpt")])
    assert cli("import", "hikaze", str(legacy)).exit_code == 0
    return tmp_path / "data"


def rows(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    result = cli("pending", "list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["journal"], ["doctor"]])
def test_what_may_come_before_the_first_start_creates_nothing(cli: Cli, config: Path, arguments: list[str]) -> None:
    before = sorted(config.parent.rglob("*"))

    assert cli(*arguments).exit_code == 0
    assert sorted(config.parent.rglob("*")) == before


ASKS = [
    ["status"],
    ["models", "list"],
    ["models", "list", "--json"],
    ["duplicates"],
    ["tags", "list"],
    ["pending", "list"],
    ["orphans", "list"],
    ["export", "json", "--dry-run"],
]
NEEDS_IT = [
    ["models", "find", "x"],
    ["models", "show", "x"],
    ["models", "purge", "x", "--yes"],
    ["tags", "rename", "x", "y"],
    ["tag", "x", "y"],
    ["pending", "show", "1"],
    ["pending", "retry", "--all"],
    ["pending", "drop", "1", "--yes"],
    ["orphans", "resolve", "1", "--drop"],
    ["export", "archive", "all.zip"],
]


@pytest.mark.parametrize(
    ("arguments", "status"), [*((words, 0) for words in ASKS), *((words, 4) for words in NEEDS_IT)]
)
@pytest.mark.parametrize("is_a_folder", [False, True])
def test_a_folder_without_a_catalogue_is_told_and_left_as_it_is(
    cli: Cli,
    imported: Path,
    arguments: list[str],
    status: int,
    is_a_folder: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistyped = imported.with_name("dada")
    if is_a_folder:
        mistyped.mkdir()
    monkeypatch.chdir(imported.parent)
    before = sorted(imported.parent.rglob("*"))

    result = cli("--data-dir", str(mistyped), *arguments)

    assert result.exit_code == status
    assert result.stderr.startswith(
        f"modelkeep: there is no catalogue in {mistyped}: if yours is elsewhere, name its"
    )
    assert sorted(imported.parent.rglob("*")) == before


def test_programs_get_an_empty_list_where_there_is_no_catalogue(cli: Cli, tmp_path: Path) -> None:
    assert json.loads(cli("--data-dir", str(tmp_path / "new"), "models", "list", "--json").stdout) == []


def test_a_catalogue_that_is_gone_is_told_from_one_that_is_not_made_yet(cli: Cli, imported: Path) -> None:
    (imported / "modelkeep.db").unlink()

    result = cli("models", "list")

    assert result.exit_code == 0
    assert f"there is no catalogue in {imported}, though there is a journal: put modelkeep.db back" in result.stderr


def test_tags_may_be_made_before_anything_else(cli: Cli, tmp_path: Path) -> None:
    assert cli("tags", "add", "favourite").exit_code == 0
    assert "favourite" in cli("tags", "list").stdout


def test_the_status_says_stopped_and_what_waits(cli: Cli, imported: Path) -> None:
    status = json.loads(cli("status", "--json").stdout)

    assert (status["state"], status["pid"]) == ("stopped", 0)
    assert sum(status["pending"].values()) == 2
    assert "stopped" in cli("status").stdout


def test_rows_can_be_listed_shown_and_chosen(cli: Cli, imported: Path) -> None:
    assert [row["name"] for row in rows(cli)] == ["a.ckpt", "b.ckpt"]
    assert [row["name"] for row in rows(cli, "--limit", "1")] == ["a.ckpt"]
    assert rows(cli, "--state", "conflict") == []
    row = rows(cli)[0]
    assert json.loads(cli("pending", "show", str(row["id"]), "--json").stdout)["pending"] == row
    assert cli("pending", "show", "99").exit_code == 4


def test_a_row_is_dropped_on_the_files(cli: Cli, imported: Path) -> None:
    first = rows(cli)[0]["id"]

    assert cli("pending", "drop", str(first), "--yes").exit_code == 0
    assert first not in [row["id"] for row in rows(cli)]
    assert cli("pending", "drop", str(first), "--yes").exit_code == 4


def test_rows_are_tried_again_on_the_files(cli: Cli, imported: Path) -> None:
    result = cli("pending", "retry", "--all")

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("will be tried again.\n")


def test_a_model_that_is_not_there_exits_with_four(cli: Cli, imported: Path) -> None:
    assert cli("models", "show", SHA).exit_code == 4
    assert cli("models", "show", SHA, "--json").stdout == ""


def test_a_data_folder_in_use_is_named_with_its_holder(cli: Cli, imported: Path) -> None:
    from modelkeep.disk.data_directory import DataDirectory

    directory = DataDirectory(imported)
    directory.lock("another command")
    try:
        result = cli("pending", "retry", "--all")
    finally:
        directory.unlock()

    assert result.exit_code == 1
    assert "another command" in result.stderr
