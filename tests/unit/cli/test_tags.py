"""`modelkeep tags`, `tag` and `models edit`: on the files and through the daemon."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from modelkeep.api import shapes
from modelkeep.api.etags import etag_of
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.values import Model, Tag

Cli = Callable[..., Result]
HERO = "ab" * 32


@pytest.fixture
def database(config: Path) -> Path:
    """A catalogue of one model that carries a tag, and of another tag."""
    path = config.parent / "data" / "modelkeep.db"
    path.parent.mkdir()
    Catalogue.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO models (sha256, path, name) VALUES (?, '/m/hero.pt', 'hero')", (HERO,))
        connection.executemany("INSERT INTO tags (name, color) VALUES (?, ?)", [("anime", "red"), ("best", "")])
        connection.execute("INSERT INTO model_tags VALUES (?, 1)", (HERO,))
    return path


def rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_without_a_daemon_tags_are_changed_on_the_files(cli: Cli, database: Path) -> None:
    listed = json.loads(cli("tags", "list", "--json").stdout)
    assert listed[0] == {"id": 1, "name": "anime", "color": "red", "models": 1, "pending": 0}
    assert cli("tags", "add", "best", "new").stdout.splitlines() == ["Tag 2 is called best.", "Tag 3 is called new."]
    assert cli("tags", "rename", "anime", "Anime", "--color", "#abc").exit_code == 0
    assert rows(database, "SELECT id, name, color FROM tags") == [
        (1, "Anime", "#abc"),
        (2, "best", ""),
        (3, "new", ""),
    ]
    taken = cli("tags", "rename", "2", "new")
    assert (taken.exit_code, "there is a tag of that name already" in taken.stderr) == (5, True)
    assert cli("tags", "remove", "Anime").exit_code == 2  # a model carries it, and there is nobody to ask
    assert cli("tags", "remove", "Anime", "3", "--yes").stdout.splitlines() == [
        "Anime is gone; 1 model carried it.",
        "new is gone; 0 models carried it.",
    ]
    assert rows(database, "SELECT name FROM tags") == [("best",)]
    assert rows(database, "SELECT * FROM model_tags") == []
    story = cli("journal").stdout
    assert "by the owner: tags made (new)" in story
    assert "tag changed" in story
    assert "tag removed" in story


def test_without_a_daemon_a_model_is_tagged_and_edited_on_the_files(cli: Cli, database: Path) -> None:
    assert cli("tag", "hero", "new", "best").stdout == "hero: anime, best, new\n"
    assert cli("tag", "/m/hero.pt", "anime", "best", "--remove").stdout == "hero: new\n"
    assert cli("tag", "hero", "anime", "--remove").exit_code == 4
    edited = cli("models", "edit", "hero", "--name", "Hero", "--description", "a hero", "--json")
    assert json.loads(edited.stdout)["meta_json"]["description"] == "a hero"
    assert rows(database, "SELECT name, meta_json FROM models") == [("Hero", '{"description": "a hero"}')]
    assert [model["sha256"] for model in json.loads(cli("models", "find", "her", "--json").stdout)] == [HERO]
    assert "Hero" in cli("models", "find", HERO[:8]).stdout
    told = cli("journal", "--model", "hero.pt").stdout
    assert "by the owner: edited (name, meta)" in told


def test_a_model_whose_name_is_blank_is_tagged_by_its_file(cli: Cli, database: Path) -> None:
    assert cli("models", "edit", "hero", "--name", " ").exit_code == 0
    assert cli("tag", "/m/hero.pt", "new").stdout == "hero.pt: anime, new\n"
    assert "hero.pt does not carry the tag other" in cli("tag", "/m/hero.pt", "other", "--remove").stderr


def test_through_the_daemon_an_edit_is_about_what_was_seen(cli: Cli, daemon: Any) -> None:
    known = Model(HERO, "/m/hero.pt", name="hero", tags=(Tag(1, "anime"),))
    full = shapes.model_full(known, 2)
    daemon.answer("GET", "/api/models/find", {"models": [shapes.model_found(known)]})
    daemon.answer("GET", f"/api/models/{HERO}", full)
    daemon.answer("PATCH", f"/api/models/{HERO}", full)
    daemon.answer("POST", "/api/tags_add", {"tags": [{"id": 9, "name": "new"}]})
    assert cli("tag", "hero", "new").exit_code == 0
    assert daemon.asked[-2:] == [
        ("POST", "/api/tags_add", {"newtags": ["new"]}),
        ("PATCH", f"/api/models/{HERO}", {"tags": [1, 9]}),
    ]
    assert daemon.headers["if-match"] == etag_of(full)
    daemon.answer("PATCH", f"/api/models/{HERO}", {"error": "hero was changed meanwhile"}, 412)
    lost = cli("models", "edit", "hero", "--type", "loras")
    assert (lost.exit_code, "changed meanwhile" in lost.stderr) == (5, True)


def test_through_the_daemon_tags_are_changed(cli: Cli, daemon: Any) -> None:
    tag = {"id": 7, "name": "anime", "color": "", "models": 1, "pending": 0}
    daemon.answer("GET", "/api/tags/details", {"tags": [tag]})
    daemon.answer("PATCH", "/api/tags/7", tag)
    daemon.answer("DELETE", "/api/tags/7", {"status": "success", "models": 1})
    assert "anime" in cli("tags", "list").stdout
    assert cli("tags", "rename", "anime", "best").exit_code == 0
    assert daemon.asked[-1] == ("PATCH", "/api/tags/7", {"name": "best", "color": None})
    assert cli("tags", "remove", "7", "--yes").exit_code == 0
    assert daemon.asked[-1][:2] == ("DELETE", "/api/tags/7")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["tags", "add", " "], 2),
        (["tags", "rename", "anime", ""], 2),
        (["tags", "rename", "anime", "x", "--color", "url(//evil)"], 2),
        (["tags", "remove", "nothing"], 4),
        (["tag", "hero", ""], 2),
        (["tag", "nobody", "x"], 4),
        (["models", "edit", "hero"], 2),
        (["models", "find", "nobody"], 4),
    ],
)
def test_what_cannot_be_meant_changes_nothing(cli: Cli, database: Path, arguments: list[str], status: int) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert rows(database, "SELECT count(*) FROM tags") == [(2,)]
