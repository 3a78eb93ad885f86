"""The library answers a command without a daemon exactly as the daemon's HTTP interface answers everybody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from fastapi import FastAPI

from modelkeep.api.access import AccessRules
from modelkeep.api.app import create_app
from modelkeep.catalogue.dialect import writing_engine
from modelkeep.catalogue.store.adopting import adopt
from modelkeep.catalogue.store.models import upsert_model
from modelkeep.catalogue.store.pending import detect
from modelkeep.catalogue.upgrade import upgrade
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.detection import Found
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Model
from modelkeep.errors import NotFound
from modelkeep.journal.writer import JournalWriter
from modelkeep.service import listing
from modelkeep.service.library import Library, resting_library
from modelkeep.service.status import Activity
from modelkeep.settings.model import load_settings

if TYPE_CHECKING:
    from modelkeep.api.backend import Backend
    from modelkeep.catalogue.catalogue import Catalogue
    from modelkeep.settings.model import Settings

A = "a" * 64
B = "b" * 64
C = "c" * 64
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("/api/status", {}),
    ("/api/migration/status", {}),
    ("/api/models", {"type": "loras", "q": "b", "limit": 2, "offset": 0}),
    ("/api/models/find", {"q": "b.ckpt"}),
    ("/api/models/browse", {"text": "b", "type": "others", "order": "newest", "limit": 2, "offset": 0}),
    ("/api/models/count", {"text": "ckpt", "tag": ["no such tag"]}),
    ("/api/models/get_types", {}),
    ("/api/models/{sha256}", {"sha256": A}),
    ("/api/models/{sha256}/details", {"sha256": A}),
    ("/api/images/get_img_count", {"sha256": A}),
    ("/api/tags", {}),
    ("/api/tags/details", {}),
    ("/api/duplicates", {}),
    ("/api/orphans", {}),
    ("/api/orphans/{record_id}", {"record_id": 1}),
    ("/api/pending", {"state": "waiting"}),
    ("/api/pending/{pending_id}", {"pending_id": 1}),
    ("/api/migration/pending_models", {}),
    ("/api/journal", {"event": "daemon.*", "limit": 5}),
]
NOT_JSON_OR_NOT_KNOWLEDGE = {
    "/healthz",
    "/api/scan",
    "/api/address",
    "/api/events",
    "/api/images/{name}",
    "/api/images/pending/{name}",
}
WITH_ANOTHER_NAME = {"/api/migration/pending_model"}
"""Its parameter is called otherwise over HTTP."""


@dataclass
class Served:
    """A backend of which only the library is asked."""

    library: Library
    ready: bool = field(default=True)


def settings_in(folder: Path) -> "Settings":
    (folder / "models" / "loras").mkdir(parents=True)
    config = folder / "modelkeep.toml"
    config.write_text('data_dir = "data"\n[[roots]]\npath = "models"\ntype = "loras"\n')
    return load_settings(config)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> "Settings":
    """Settings whose data folder knows a model, a row of the queue, an orphan and a record of the journal."""
    settings = settings_in(tmp_path_factory.mktemp("used"))
    directory = DataDirectory(settings.data_dir)
    directory.path.mkdir()
    upgrade(directory.catalogue)
    engine = writing_engine(directory.catalogue)
    root = Root(str(settings.roots[0].path), "loras")
    with engine.begin() as connection:
        upsert_model(connection, Model(A, f"{root.path}/b.ckpt", name="b.ckpt", type="loras", size_bytes=5))
        lost = SourceRecord("pysssss", f"{root.path}/lost.txt", C, stem="lost", raw={"text": "words"})
        adopt(connection, [Arrival(lost)], (), 1, lambda _: None)
        detect(connection, [Found(f"{root.path}/a.ckpt", 5)], [root], 1)
    engine.dispose()
    journal = JournalWriter.open(directory.journal)
    journal.write("daemon.started", version="1", pid=1, reason="a test")
    journal.close()
    return settings


@pytest.fixture
def library(used: "Settings") -> Iterator[Library]:
    with resting_library(used) as opened:
        yield opened


def served(library: Library) -> FastAPI:
    return create_app(cast("Backend", Served(library)), AccessRules(), version="1")


def client_of(library: Library) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(served(library)), base_url="http://x")


@pytest.mark.parametrize(("path", "parameters"), QUESTIONS, ids=[path for path, _ in QUESTIONS])
async def test_http_and_a_command_are_answered_alike(library: Library, path: str, parameters: dict[str, Any]) -> None:
    url = path.format_map(parameters)
    query = {key: value for key, value in parameters.items() if f"{{{key}}}" not in path}
    async with client_of(library) as client:
        answer = await client.get(url, params=query)
    assert (answer.status_code, answer.json()) == (200, await library.ask(path, **parameters))


LONG_LISTS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("/api/models", asked)
        for asked in ({}, {"limit": 3}, {"offset": 1}, {"offset": 9}, {"q": "not there"}, {"q": "b"})
    ),
    ("/api/models/browse", {"order": "newest", "limit": 4, "offset": 1}),
    ("/api/models/browse", {"text": "pt -1"}),
    *(("/api/orphans", asked) for asked in ({}, {"limit": 3, "offset": 1}, {"limit": 1}, {"offset": 9})),
    ("/api/pending", {}),
    ("/api/pending", {"state": "conflict"}),
    ("/api/pending", {"state": "waiting", "limit": 3, "offset": 1}),
    ("/api/migration/pending_models", {}),
]


@pytest.mark.parametrize(("path", "asked"), LONG_LISTS)
async def test_a_long_list_that_is_made_while_it_is_sent_is_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, asked: dict[str, Any]
) -> None:
    monkeypatch.setattr(listing, "LISTED_AT_ONCE", 2)
    monkeypatch.setattr("modelkeep.api.parameters.PAGE_MAX", 0)
    settings = settings_in(tmp_path)
    settings.data_dir.mkdir()
    upgrade(DataDirectory(settings.data_dir).catalogue)
    engine = writing_engine(DataDirectory(settings.data_dir).catalogue)
    with engine.begin() as connection:
        for letter in "edcba":
            upsert_model(connection, Model(letter * 64, f"/m/{letter}.pt", name=f"{'ab'.find(letter)} {letter}"))
        detect(connection, [Found(f"/q/{number}.pt", 5) for number in range(5)], [], 1)
        lost = [SourceRecord("pysssss", f"/lost/{number}.txt", C, stem=f"{number}") for number in range(5)]
        adopt(connection, [Arrival(record) for record in lost], (), 1, lambda _: None)
    engine.dispose()
    with resting_library(settings) as library:
        async with client_of(library) as client:
            answer = await client.get(path, params=asked)
        assert answer.headers["content-type"] == "application/json"
        assert "content-length" not in answer.headers
        whole = await library.ask(path, **asked)
        assert answer.json() == whole
        (listed,) = whole.values()
        assert len(listed) == len({str(item) for item in listed}) <= asked.get("limit", 9)


async def test_questions_are_counted_so_that_memory_is_given_back_after_them(library: Library) -> None:
    before = library.answered
    await library.ask("/api/models/browse", limit=1)
    await library.ask("/api/models/count")
    assert library.answered == before + 2


async def test_what_there_is_not_is_said_alike(library: Library) -> None:
    for path, parameters in (
        ("/api/models/{sha256}", {"sha256": B}),
        ("/api/pending/{pending_id}", {"pending_id": 9}),
        ("/api/orphans/{record_id}", {"record_id": 9}),
    ):
        async with client_of(library) as client:
            answer = await client.get(path.format_map(parameters))
        with pytest.raises(NotFound) as caught:
            await library.ask(path, **parameters)
        assert (answer.status_code, answer.json()) == (404, {"error": str(caught.value)})


def test_everything_that_can_be_read_over_http_is_a_question_of_the_library(library: Library) -> None:
    read = {path for path, methods in served(library).openapi()["paths"].items() if "get" in methods}
    assert read - NOT_JSON_OR_NOT_KNOWLEDGE - WITH_ANOTHER_NAME == {path for path, _ in QUESTIONS}


async def test_a_row_has_a_short_form_too(library: Library) -> None:
    row = (await library.ask("/api/pending/{pending_id}", pending_id=1))["pending"]
    short = await library.ask("/api/migration/pending_model", pending_id=1)
    assert short.items() <= row.items()
    assert Path(short["path"]).name == "a.ckpt"


async def test_a_daemon_that_is_off_is_stopped_and_what_it_knew_is_counted(library: Library) -> None:
    status = await library.ask("/api/status")
    assert (status["state"], status["pid"], status["models"]) == ("stopped", 0, 1)
    assert (status["pending"]["waiting"], status["journal"]["seq"]) == (1, 1)


async def test_what_goes_on_while_the_status_is_asked_for_is_not_missed() -> None:
    state, at_work = "scanning", 0

    class Counting:
        """Counts before the rows are there that a scan finds, which then ends, and after one was committed."""

        async def counts(self) -> Mapping[str, Any]:
            nonlocal state, at_work
            none = dict.fromkeys(("waiting", "conflict", "failed", "missing"), 0)
            counted = {"models": 0, "images": 0, "tags": 0, "locations": {}, "pending": none}
            state, at_work = "watching", 1
            return counted

    def activity() -> Activity:
        return Activity(
            "running", hashing_rows=at_work, roots=[{"path": "/srv/models", "state": state, "directories": 0}]
        )

    asked = Library(cast("Catalogue", Counting()), DataDirectory(Path("/nowhere")), DiskLooks, activity)
    status = await asked.ask("/api/status")
    assert status["watch"]["roots"][0]["state"] == "scanning", "its rows are not among those that were counted"
    assert status["pending"]["hashing"] == 1, "it is committed, and its images have no names yet"


async def test_where_nothing_was_ever_kept_nothing_is_known_and_nothing_made(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with resting_library(settings) as library:
        assert await library.ask("/api/models") == {"models": []}
        assert await library.ask("/api/pending") == {"pending": []}
        assert await library.ask("/api/duplicates") == {"duplicates": [], "freeable_bytes": 0, "siblings": []}
        assert await library.ask("/api/journal") == {"records": []}
        status = await library.ask("/api/status")
        with pytest.raises(NotFound):
            await library.ask("/api/models/{sha256}", sha256=A)
    assert (status["models"], set(status["pending"].values()), status["journal"]["seq"]) == (0, {0}, 0)
    assert not settings.data_dir.exists()
