"""`modelkeep models purge`: asks, forgets through the daemon or on the files, and says why a model is kept."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from modelkeep.api import shapes
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.values import ImageRow, Location, LocationState, Model, Tag

Cli = Callable[..., Result]
OLD, OTHER = "ab" * 32, "cd" * 32


def known(sha256: str, name: str) -> ModelDetails:
    path = f"/m/{name}.ckpt"
    model = Model(sha256, path, name=name, type="loras", tags=(Tag(1, "anime"),))
    place = Location(path, sha256, LocationState.MISSING)
    return ModelDetails(model, (ImageRow(sha256, 0, 8, 8, "x"), ImageRow(sha256, 1, 8, 8, "y")), (place,))


@pytest.fixture
def both(daemon: Any) -> Any:
    """A daemon that knows two models, and is asked for them by name."""
    models = {"old": known(OLD, "old"), "other": known(OTHER, "other")}

    def found(query: dict[str, str]) -> dict[str, Any]:
        return {"models": [shapes.model_found(models[query["q"]].model)] if query["q"] in models else []}

    daemon.answer("GET", "/api/models/find", found)
    for details in models.values():
        daemon.answer("GET", f"/api/models/{details.model.sha256}/details", shapes.model_details(details))
        daemon.answer("DELETE", f"/api/models/{details.model.sha256}", {"status": "success"})
    return daemon


def deleted(daemon: Any) -> list[str]:
    return [path for method, path, _ in daemon.asked if method == "DELETE"]


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command believe that it may ask."""
    from modelkeep.cli import models

    class Terminal:
        def isatty(self) -> bool:
            return True

    class System:
        stdin = Terminal()
        stdout, stderr = sys.stdout, sys.stderr

    monkeypatch.setattr(models, "sys", System)


def test_models_are_forgotten_through_the_daemon(cli: Cli, both: Any) -> None:
    result = cli("models", "purge", "old", "other", "old", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "old is forgotten, with 2 images and 1 tag.",
        "other is forgotten, with 2 images and 1 tag.",
    ]
    assert deleted(both) == [f"/api/models/{OLD}", f"/api/models/{OTHER}"]


def test_one_that_is_not_known_stops_it_before_anything_is_forgotten(cli: Cli, both: Any) -> None:
    result = cli("models", "purge", "old", "none", "--yes")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "none" in result.stderr
    assert deleted(both) == []


def test_why_a_model_is_kept_is_told_and_the_others_are_forgotten(cli: Cli, both: Any) -> None:
    both.answer("DELETE", f"/api/models/{OLD}", {"error": "old is not purged, for its file is there: /m/old"}, 409)
    result = cli("models", "purge", "old", "other", "--yes", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout) == {
        "purged": [{"sha256": OTHER, "name": "other", "path": "/m/other.ckpt"}],
        "kept": [
            {
                "sha256": OLD,
                "name": "old",
                "path": "/m/old.ckpt",
                "error": "old is not purged, for its file is there: /m/old",
            }
        ],
    }
    assert "its file is there" in result.stderr


def test_without_a_terminal_nothing_is_forgotten_unasked(cli: Cli, both: Any) -> None:
    result = cli("models", "purge", "old")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert both.asked == []


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1)])
def test_at_a_terminal_it_shows_what_goes_and_asks(
    cli: Cli, both: Any, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    at_a_terminal(monkeypatch)
    result = cli("models", "purge", "old", input=answer)
    assert result.exit_code == status
    assert "Forget 1 model with all that is known?" in result.stderr
    assert "/m/old.ckpt" in result.stderr
    assert deleted(both) == ([f"/api/models/{OLD}"] if status == 0 else [])


def test_on_the_files_a_model_whose_file_is_there_is_kept(cli: Cli, config: Path) -> None:
    database = config.parent / "data" / "modelkeep.db"
    database.parent.mkdir()
    Catalogue.open(database).close()
    with closing(sqlite3.connect(database)) as connection, connection:
        for sha256, name, state in ((OLD, "old", "missing"), (OTHER, "other", "present")):
            path = f"/m/{name}.ckpt"
            connection.execute("INSERT INTO models (sha256, path, name) VALUES (?, ?, ?)", (sha256, path, name))
            connection.execute("INSERT INTO locations (path, sha256, state) VALUES (?, ?, ?)", (path, sha256, state))

    result = cli("models", "purge", OLD[:8], "/m/other.ckpt", "--yes")

    assert result.exit_code == 5, result.output
    assert result.stdout.splitlines() == ["old is forgotten, with 0 images and 0 tags."]
    assert "other is not purged, for its file is there: /m/other.ckpt" in result.stderr
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT sha256 FROM models").fetchall() == [(OTHER,)]
        assert connection.execute("SELECT sha256 FROM locations").fetchall() == [(OTHER,)]
    story = cli("journal", "--model", "old.ckpt").stdout
    assert "by the owner: model forgotten, with all that was known of it" in story
