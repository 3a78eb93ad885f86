"""Each endpoint hands the right question to the backend and its answer back in the shape of the contract."""

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from modelkeep.api import answers, shapes
from modelkeep.domain.browsing import Order, Wanted
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.values import Strategy
from modelkeep.errors import Conflict

if TYPE_CHECKING:
    from tests.unit.api.conftest import ClientMaker, FakeBackend

A = "a" * 64


async def test_health_is_503_until_the_daemon_is_ready(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert (await client.get("/healthz")).json() == {"status": "ready"}
    backend.ready = False
    answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["error"]


async def test_status_is_what_the_backend_says(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/status")).json()["state"] == "running"


async def test_hashing_migrates_only_when_asked_to(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    asked = {"path": "/srv/models/x.ckpt", "pending_status": "ignore"}
    assert (await client.post("/api/models/sha256", json=asked)).json() == {"sha256": A}
    answer = await client.post("/api/models/sha256", json={**asked, "pending_status": "pending"})
    assert answer.json() == {"sha256": A, "action_taken": "merged"}
    assert backend.changes == [("hash", "/srv/models/x.ckpt", False), ("hash", "/srv/models/x.ckpt", True)]


async def test_a_path_that_is_not_utf8_arrives_as_it_is(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    body = b'{"path": "/srv/models/\\udcff.ckpt"}'
    answer = await client.post("/api/models/sha256", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert backend.changes == [("hash", "/srv/models/\udcff.ckpt", False)]


async def test_types_are_not_taken_for_a_hash(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/models/get_types")).json() == {"types": ["checkpoints", "loras"]}


async def test_models_are_asked_for_by_every_filter(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answer = await client.get(
        "/api/models", params={"type": "others", "q": "he", "tag": "t", "limit": 5, "offset": 2}
    )
    assert answer.json() == {"models": [shapes.model_listed(backend.details.model, 1)]}
    assert (await client.get("/api/models")).json() == answer.json()
    assert backend.asked == [("", "he", "t", 5, 2), (None, "", "", 0, 0)]


async def test_the_library_is_looked_through_by_words_tags_and_type(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    wanted = {"text": "red house", "tag": ["x", "y z"], "type": "others"}
    answer = await client.get("/api/models/browse", params={**wanted, "order": "largest", "limit": 5, "offset": 2})
    assert answer.json() == {"models": [shapes.model_listed(backend.details.model, 1)]}
    answer = await client.get("/api/models/count", params=wanted)
    assert answer.json() == {"total": 5, "types": [{"type": "", "models": 2}, {"type": "loras", "models": 3}]}
    asked = Wanted("red house", ("x", "y z"), "")
    assert backend.asked == [(asked, Order.LARGEST, 5, 2), asked]
    assert (await client.get("/api/models/browse", params={"order": "odd"})).status_code == 422


async def test_models_are_found_by_a_path_that_is_not_utf8(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answer = await client.get("/api/models/find?q=%2Fm%2F%FF+%C3%A9.ckpt")
    assert answer.json() == {"models": [shapes.model_found(backend.details.model)]}
    assert backend.asked == ["/m/\udcff é.ckpt"]


async def test_a_model_is_found_by_its_hash_in_either_case(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert (await client.get(f"/api/models/{A}")).json() == shapes.model_full(backend.details.model, 1)
    assert (await client.get(f"/api/models/{A.upper()}")).status_code == 200
    details = (await client.get(f"/api/models/{A}/details")).json()
    assert details == shapes.model_details(backend.details)


@pytest.mark.parametrize("name", ["b" * 64, "a" * 63, "a" * 65, "g" * 64, "x", "a" * 64 + "%00"])
async def test_no_such_model_is_404(client: httpx.AsyncClient, name: str) -> None:
    for path in (f"/api/models/{name}", f"/api/models/{name}/details"):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]


async def test_a_model_takes_over_from_another(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    origin = "b" * 64
    response = await client.post(f"/api/models/{A}/inherit", json={"origin": origin})
    assert (response.status_code, response.json()["model"]["sha256"]) == (200, backend.details.model.sha256)
    assert backend.changes == [("inherit", A, origin)]
    assert (await client.post(f"/api/models/{A}/inherit", json={"origin": "x"})).status_code == 422


async def test_a_models_file_is_read_for_its_blake3(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    response = await client.post(f"/api/models/{A}/confirm")
    assert (response.status_code, "blake3" in response.json()["digests"]) == (200, True)
    assert backend.changes == [("confirm", A)]


async def test_duplicates_are_told_with_their_places_and_what_could_be_freed(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    answer = (await client.get("/api/duplicates")).json()
    assert answer == shapes.duplicates(await backend.library.find_duplicates())
    (row,) = answer["duplicates"]
    assert (row["copies"], row["symbolic_links"]) == ([["/a", "/b"], ["/c"]], ["/d"])
    assert answer["freeable_bytes"] == row["freeable_bytes"] == 5
    answers.Duplicates.model_validate(answer)


async def test_the_queue_is_listed_by_state(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert backend.row is not None
    answer = await client.get("/api/pending", params={"state": "conflict", "limit": 3})
    assert answer.json() == {"pending": [shapes.queue_row(backend.row.pending)]}
    assert backend.asked == [("conflict", 3, 0)]


async def test_both_sides_of_a_row_are_shown(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert backend.row is not None
    assert (await client.get("/api/pending/7")).json() == shapes.pending_details(backend.row)
    assert (await client.get("/api/pending/8")).status_code == 404


@pytest.mark.parametrize(("body", "ids"), [({"ids": [7, 8]}, [7, 8]), ({"ids": None}, None), ({}, None)])
async def test_rows_are_tried_again(
    client: httpx.AsyncClient, backend: "FakeBackend", body: dict[str, object], ids: list[int] | None
) -> None:
    answer = await client.post("/api/pending/retry", json=body)
    assert answer.json() == {"retried": 2 if ids else 1}
    assert backend.changes == [("retry", ids)]


async def test_a_row_is_dropped_once(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert (await client.delete("/api/pending/7")).status_code == 200
    assert (await client.delete("/api/pending/8")).status_code == 404


async def test_pending_models_are_listed_for_the_front_end(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert backend.row is not None
    answer = await client.get("/api/migration/pending_models")
    assert answer.json() == {"models": [shapes.pending_listed(backend.row.pending)]}
    one = await client.get("/api/migration/pending_model", params={"id": 7})
    assert one.json() == shapes.pending_full(backend.row.pending)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *((query, 400) for query in ("", "?id=", "?id=x", "?id=-1", "?id=0", "?id=1.5", "?id=%C2%B2")),
        *((query, 400) for query in ("?id=9223372036854775808", f"?id={'9' * 5000}")),
        ("?id=9223372036854775807", 404),
    ],
)
async def test_an_id_that_is_none_is_400(client: httpx.AsyncClient, query: str, status: int) -> None:
    answer = await client.get(f"/api/migration/pending_model{query}")
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("strategy", "known"), [("merge", Strategy.MERGE), ("override", Strategy.OVERRIDE), (None, None), ("", None)]
)
async def test_one_row_is_imported_by_a_strategy(
    client: httpx.AsyncClient, backend: "FakeBackend", strategy: str | None, known: Strategy | None
) -> None:
    answer = await client.post("/api/migration/import_a_model", json={"id": 7, "conf_strategy": strategy})
    assert answer.json() == {"status": "success", "sha256": A, "action_taken": "merged"}
    assert backend.changes == [("resolve", 7, known)]


async def test_a_conflict_shows_both_sides(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert backend.row is not None
    backend.error = Conflict("Name differs: choose a strategy.")
    answer = await client.post("/api/migration/import_a_model", json={"id": 7})
    assert answer.status_code == 409
    assert answer.json() == {
        "error": "Name differs: choose a strategy.",
        "existing": shapes.model_full(backend.details.model, 1),
        "pending": shapes.pending_full(backend.row.pending),
    }


async def test_a_conflict_whose_row_has_gone_is_still_409(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    backend.error, backend.row = Conflict("Choose."), None
    answer = await client.post("/api/migration/import_a_model", json={"id": 7})
    assert (answer.status_code, answer.json()) == (409, {"error": "Choose."})


async def test_the_legacy_database_is_imported_to_the_end(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    counts = {"migrated": 4, "pending": 13, "errors": 1, "images_processed": 6, "image_errors": 2}
    backend.stream = [{"progress": {"phase": "reading", "done": 0, "total": 1}}, {"report": {**counts, "rows": 18}}]
    body = {"legacy_db_path": "/old/hikaze_mm.sqlite3", "legacy_images_dir": None}
    answer = await client.post("/api/migration/migrate_legacy_db", json=body)
    assert answer.json() == {"status": "success", "db_migration": counts}
    assert backend.changes == [("import", ImportOrder("hikaze", "/old/hikaze_mm.sqlite3"))]


async def test_an_import_without_a_report_has_failed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/migration/migrate_legacy_db", json={"legacy_db_path": "/old/db"})
    assert answer.json()["status"] == "failed"
    assert set(answer.json()["db_migration"].values()) == {0}


async def test_a_pause_lasts_until_start_or_resume(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/migration/pause")).json()["paused"] is True
    assert (await client.get("/api/migration/status")).json() == {
        "status": "success",
        "state": "paused",
        "paused": True,
        "pending": {"waiting": 1},
        "hashing": {},
    }
    assert (await client.post("/api/migration/resume")).json()["paused"] is False
    await client.post("/api/migration/pause")
    assert (await client.post("/api/migration/start")).json()["paused"] is False


async def test_nothing_is_changed_by_get_but_a_scan(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    for path in ("start", "pause", "resume", "import_a_model", "migrate_legacy_db"):
        assert (await client.get(f"/api/migration/{path}")).status_code == 405
    for path in ("/api/models/sha256", "/api/pending/retry", "/api/import"):
        assert 400 <= (await client.get(path)).status_code < 500
    assert backend.changes == []
    assert (await client.get("/api/scan")).json()["pending_ids"] == [8]
    assert (await client.post("/api/scan")).json()["status"] == "success"
    assert backend.changes == ["scan", "scan"]


async def test_the_journal_is_read_by_every_filter(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answer = await client.get("/api/journal?after=3&limit=9&model=%2Fm%2F%FF&event=hash.*&since=5&failed=true")
    assert answer.json() == {"records": [{"seq": 1, "event": "file.detected"}]}
    await client.get("/api/journal")
    assert backend.asked == [("/m/\udcff", "hash.*", 5, True, 3, 0, 9), ("", "", 0, False, 0, 1000, 1000)]


async def test_the_interface_documents_itself(client: httpx.AsyncClient, make_client: "ClientMaker") -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["info"]["version"] == "1.2.3"
    assert {"/api/models/{sha256}", "/api/migration/import_a_model", "/api/scan", "/healthz"} <= set(
        document["paths"]
    )


async def test_the_documentation_has_all_that_it_shows_from_this_server(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
    addresses = re.findall(r"""(?:src|href|url)[=:]? ?["']([^"']+)["']""", page.text)
    assert {address.rpartition("/")[2] for address in addresses} >= {"swagger-ui-bundle.js", "swagger-ui.css"}
    for address in addresses:
        assert (await client.get(address)).status_code == 200, address
    assert (await client.get("/docs/assets/../../pyproject.toml")).status_code == 404
    assert (await client.get("/docs/assets/..%2f..%2fcore.py")).status_code == 404
