"""Models and tags are changed by what the front end sends, and nobody overwrites what he has not seen."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from modelkeep import errors
from modelkeep.domain.edits import Edit

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

A = "a" * 64
HERO = f"/api/models/{A}"


async def test_a_whole_model_that_is_sent_back_changes_nothing(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    before, shown = backend.details, (await client.get(HERO)).json()
    answer = await client.patch(HERO, json=shown)
    assert (answer.status_code, answer.json(), backend.details) == (200, shown, before)


@pytest.mark.parametrize("tags", [[2, 1], [{"id": 2, "name": "style"}, {"id": 1}], [2, {"id": 1}, 2]])
async def test_tags_are_named_by_number_or_as_they_are_shown(
    client: httpx.AsyncClient, backend: "FakeBackend", tags: list[object]
) -> None:
    answer = await client.patch(HERO, json={"tags": tags})
    assert answer.json()["tags"] == [{"id": 1, "name": "character"}, {"id": 2, "name": "style"}]
    assert backend.details.model.name == "Hero"


async def test_what_is_left_out_stays_as_it_is(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    await client.patch(HERO, json={"meta_json": {"prompts": {"negative": "n"}, "images_count": 9}})
    assert backend.changes[0] == ("edit", A, Edit(meta={"prompts": {"negative": "n"}, "images_count": 9}))
    meta = backend.details.model.meta
    assert meta == {
        "description": "d",
        "prompts": {"positive": "p", "seed": 7, "negative": "n"},
        "trained_words": ["hero"],
    }


async def test_who_knows_an_older_state_is_told_the_new_one(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    first = (await client.get(HERO)).headers["etag"]
    second = (await client.patch(HERO, json={"name": "Other"}, headers={"If-Match": first})).headers["etag"]
    assert second != first
    for stale in (first, f"W/{second}", "nonsense", ""):
        answer = await client.patch(HERO, json={"name": "Lost"}, headers={"If-Match": stale})
        assert (answer.status_code, answer.headers["etag"]) == (412, second)
        assert (answer.json()["existing"]["name"], bool(answer.json()["error"])) == ("Other", True)
    for fitting in (second, f'"x", {second}', "*"):
        assert (await client.patch(HERO, json={"name": "Other"}, headers={"If-Match": fitting})).status_code == 200
    assert (await client.patch(HERO, json={"name": "Any"})).json()["name"] == "Any"


async def test_a_model_is_not_sent_to_whoever_has_it(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    tag = (await client.get(HERO)).headers["etag"]
    answer = await client.get(HERO, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    backend.details = replace(backend.details, images=())  # the number of images is part of what is shown
    assert (await client.get(HERO, headers={"If-None-Match": tag})).status_code == 200


UNFIT: list[dict[str, Any]] = [
    {"name": 5},
    {"name": "x" * 5000},
    {"name": "zero\0byte"},
    {"type": ["loras"]},
    {"path": "/m/\0"},
    {"meta_json": "text"},
    {"meta_json": {"deep": [[[[]]]] * 2, "a": {"b": eval("[" * 70 + "]" * 70)}}},
    {"tags": ["character"]},
    {"tags": [0]},
    {"tags": [{"name": "character"}]},
    {"tags": [2**63]},
    {"tags": list(range(1, 2000))},
    {"sha256": "b" * 64},
    {"sha256": "no hash"},
]


@pytest.mark.parametrize("body", UNFIT)
async def test_what_does_not_fit_is_refused_with_the_field(
    client: httpx.AsyncClient, backend: "FakeBackend", body: dict[str, Any]
) -> None:
    answer = await client.patch(HERO, json=body)
    assert (answer.status_code, backend.changes) == (422, [])
    assert next(iter(body)) in answer.json()["error"]


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
async def test_a_number_that_json_does_not_know_is_refused(client: httpx.AsyncClient, number: str) -> None:
    body = f'{{"meta_json": {{"seed": [{number}]}}}}'
    answer = await client.patch(HERO, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"tags": [3]}, 404),
        ({"path": "/etc/passwd"}, 403),
        ({"path": "/srv/models/loras/hero.safetensors"}, 200),
    ],
)
async def test_a_tag_or_a_path_that_there_is_not_is_told(
    client: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    assert (await client.patch(HERO, json=body)).status_code == status


async def test_tags_are_listed_added_changed_and_removed(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    both = [{"id": 1, "name": "character"}, {"id": 2, "name": "style"}]
    assert (await client.get("/api/tags")).json() == {"tags": both}
    detailed = (await client.get("/api/tags/details")).json()["tags"]
    assert detailed[0] == {"id": 1, "name": "character", "color": "#fff", "models": 1, "pending": 2}
    assert (await client.post("/api/tags_add", json={"newtags": ["a", " b"]})).json() == {
        "tags": [{"id": 1, "name": "a"}, {"id": 2, "name": " b"}]
    }
    changed = await client.patch("/api/tags/7", json={"name": "c", "color": "#abc"})
    assert changed.json() == {"id": 7, "name": "c", "color": "#abc"}
    assert (await client.patch("/api/tags/7", json={"color": ""})).json()["name"] == "kept"
    assert (await client.delete("/api/tags/7")).json() == {"status": "success", "models": 4}
    assert backend.changes == [
        ("add tags", "a", " b"),
        ("change tag", 7, "c", "#abc"),
        ("change tag", 7, None, ""),
        ("remove tag", 7),
    ]
    backend.error = errors.Conflict("there is one")
    assert (await client.patch("/api/tags/7", json={"name": "c"})).status_code == 409


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/tags_add", {"newtags": ["ok", "  "]}),
        ("POST", "/api/tags_add", {"newtags": ["x" * 201]}),
        ("POST", "/api/tags_add", {"newtags": "abc"}),
        ("POST", "/api/tags_add", {}),
        ("PATCH", "/api/tags/1", {"color": "red;background:url(//evil)"}),
        ("PATCH", "/api/tags/1", {"color": "#fff\n"}),
        ("PATCH", "/api/tags/1", {"name": ""}),
        ("PATCH", "/api/tags/0", {"name": "x"}),
        ("PATCH", "/api/tags/../1", {"name": "x"}),
        ("DELETE", "/api/tags/character", None),
        ("DELETE", f"/api/tags/{2**63}", None),
    ],
)
async def test_tags_that_cannot_be_meant_are_refused(
    client: httpx.AsyncClient, backend: "FakeBackend", method: str, path: str, body: object
) -> None:
    answer = await client.request(method, path, json=body)
    assert answer.status_code in (404, 422)
    assert (set(answer.json()), backend.changes) == ({"error"}, [])
