"""Every error is one sentence with the status that fits."""

import errno
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs

from modelkeep import errors
from modelkeep.api.access import AccessRules
from modelkeep.api.app import create_app

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

BODY = {"path": "/srv/models/x.ckpt"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("s"), 404),
        (errors.FileVanished("s"), 404),
        (errors.FileChanged("s"), 409),
        (errors.Conflict("s"), 409),
        (errors.Busy("s"), 423),
        (errors.HashCancelled("s"), 503),
        (errors.DataDirectoryBusy("s"), 503),
        (errors.SourceError("s"), 400),
        (errors.SettingsError("s"), 400),
        (errors.ImageError("s"), 415),
        (errors.NotAModel("s"), 400),
        (errors.NoWorkers("s"), 503),
        (errors.WorkerDied("s"), 503),
        (errors.HashError("s"), 422),
        (errors.CatalogueError("s"), 500),
        (errors.CatalogueLocked("s"), 503),
        (errors.CatalogueUnwritable("s"), 507),
        (errors.JournalError("s"), 507),
        (errors.StorageError("s"), 507),
    ],
)
async def test_an_error_keeps_its_sentence(
    client: httpx.AsyncClient, backend: "FakeBackend", error: Exception, status: int
) -> None:
    backend.error = error
    with capture_logs() as logged:
        answer = await client.post("/api/models/sha256", json=BODY)
    assert (answer.status_code, answer.json()) == (status, {"error": "s"})
    assert len(logged) == (status == 500)


async def test_of_a_path_outside_the_roots_nothing_is_told(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answers = set()
    for sentence in ("/etc/shadow exists but is outside", "/etc/nothing does not exist"):
        backend.error = errors.OutsideRoots(sentence)
        answer = await client.post("/api/models/sha256", json=BODY)
        answers.add((answer.status_code, answer.text))
    assert len(answers) == 1
    assert answers.pop() == (403, '{"error":"That path lies in none of the watched roots."}')


async def test_an_error_that_nobody_foresaw_is_logged_and_tells_nothing(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    backend.error = ZeroDivisionError("secret detail")
    with capture_logs() as logged:
        answer = await client.get("/api/status")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"].endswith(".")
    assert [(entry["event"], entry["path"], entry["exc_info"]) for entry in logged] == [
        ("request.failed", "/api/status", backend.error)
    ]
    backend.error = None
    assert (await client.get("/api/status")).status_code == 200


async def test_a_catalogue_that_another_program_holds_may_be_asked_again(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    backend.error = errors.CatalogueLocked("s")
    answer = await client.get("/api/status")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room on the disk of /srv"),
        (errno.EROFS, "mount the disk of /srv so that it can be written"),
    ],
)
async def test_a_disk_that_takes_nothing_is_told_without_a_traceback(
    client: httpx.AsyncClient, backend: "FakeBackend", number: int, advice: str
) -> None:
    backend.error = OSError(number, os.strerror(number), "/srv/file")
    with capture_logs() as logged:
        answer = await client.get("/api/status")
    sentence = f"files of modelkeep cannot be written: {os.strerror(number)}; {advice}"
    assert (answer.status_code, answer.json()) == (507, {"error": sentence})
    assert [(entry["error"], "exc_info" in entry) for entry in logged] == [(sentence, False)]


async def test_half_an_answer_never_passes_for_a_whole_one(backend: "FakeBackend") -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"{"
        raise ZeroDivisionError

    app = create_app(backend, AccessRules(), version="1")
    app.add_api_route("/half", lambda: StreamingResponse(half()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/half")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/models/sha256", {}, "path in the body"),
        ("/api/models/sha256", {"path": ""}, "path in the body: it is empty"),
        ("/api/models/sha256", {"path": "/x\0y"}, "path in the body"),
        ("/api/models/sha256", {"path": "/x", "pending_status": "soon"}, "pending_status in the body"),
        ("/api/pending/retry", {"ids": [1, "x"]}, "ids.1 in the body"),
        ("/api/migration/import_a_model", {"id": True}, "id in the body"),
        ("/api/migration/import_a_model", {"id": 2**63}, "id in the body"),
        ("/api/migration/import_a_model", {"id": 1, "conf_strategy": "mrege"}, "conf_strategy in the body"),
        ("/api/migration/migrate_legacy_db", {"legacy_db_path": ["x"]}, "legacy_db_path in the body"),
        ("/api/import", {"kind": "hikaze", "source": "/x", "map": [["a"]]}, "map.0.1 in the body"),
        ("/api/import", [], "In the body"),
    ],
)
async def test_what_does_not_fit_names_the_field(
    client: httpx.AsyncClient, backend: "FakeBackend", path: str, body: object, field: str
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(field)
    assert backend.changes == []


async def test_where_several_shapes_fit_none_of_their_names_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.patch(f"/api/models/{'a' * 64}", json={"tags": [1, {"id": "x"}]})
    assert [said.partition(":")[0] for said in answer.json()["error"].split("; ")] == [
        "tags.1 in the body",
        "tags.1.id in the body",
    ]


async def test_a_character_that_no_path_can_have_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/models/sha256", content=b'{"path": "/\\ud800"}', headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=1e9", f"limit={2**63}", "state=lost"])
async def test_a_query_that_does_not_fit_names_the_parameter(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/pending?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{query.partition('=')[0]} in the query")


async def test_an_unknown_address_or_method_is_a_sentence_too(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "There is nothing at /api/nothing."})
    answer = await client.post("/api/status")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json() == {"error": "/api/status does not know the method POST."}


async def test_what_no_utf8_can_carry_is_answered_all_the_same(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    model = backend.details.model.evolve(
        path="/m/\udcff.ckpt", name="水彩", meta={"weight": float("nan"), "l": [1e999]}
    )
    object.__setattr__(backend.details, "model", model)
    answer = await client.get(f"/api/models/{model.sha256}")
    found = answer.json()
    assert (found["path"], found["name"]) == ("/m/\udcff.ckpt", "水彩")
    assert (found["meta_json"]["weight"], found["meta_json"]["l"]) == (None, [None])


async def test_an_answer_cannot_be_taken_for_a_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/<script>")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/json"
