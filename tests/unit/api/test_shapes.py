"""The shapes that the front end relies on."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from modelkeep.api import answers, queue_answers, shapes
from modelkeep.domain.details import PendingDetails
from modelkeep.domain.values import Model, PendingImport

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

EMPTY_MODEL = Model("c" * 64)
EMPTY_ROW = PendingImport(1, "/m/x.ckpt")


def test_a_listed_model_has_exactly_the_keys_of_the_contract(backend: "FakeBackend") -> None:
    assert shapes.model_listed(backend.details.model, 3) == {
        "sha256": "a" * 64,
        "name": "Hero",
        "images_count": 3,
        "type": "loras",
        "path": "/srv/models/loras/hero.safetensors",
        "size_bytes": 5,
        "created_at": 1735689600000,
        "tags": [{"id": 1, "name": "character"}],
    }


def test_a_full_model_keeps_keys_that_are_not_understood(backend: "FakeBackend") -> None:
    assert shapes.model_full(backend.details.model, 1)["meta_json"] == {
        "description": "d",
        "community_links": "",
        "images_count": 1,
        "prompts": {"positive": "p", "negative": "", "seed": 7},
        "trained_words": ["hero"],
    }


@pytest.mark.parametrize("meta", [{}, {"description": None, "community_links": None, "prompts": None}])
def test_absent_text_is_empty_never_null(meta: dict[str, object]) -> None:
    shape = shapes.model_full(replace(EMPTY_MODEL, meta=meta), 0)
    assert shape["meta_json"] == {
        "description": "",
        "community_links": "",
        "images_count": 0,
        "prompts": {"positive": "", "negative": ""},
    }
    assert (shape["path"], shape["name"], shape["type"], shape["tags"]) == ("", "", "", [])


@pytest.mark.parametrize("prompts", ["a text", ["a", "list"], 5])
def test_prompts_are_always_an_object(prompts: object) -> None:
    meta = shapes.model_full(replace(EMPTY_MODEL, meta={"prompts": prompts}), 0)["meta_json"]
    assert meta["prompts"] == {"positive": "", "negative": ""}


def test_counts_are_derived_whatever_was_stored() -> None:
    stored = {"images_count": 99, "images": ["x.png"]}
    model = shapes.model_full(replace(EMPTY_MODEL, meta=stored), 2)["meta_json"]
    assert (model["images_count"], "images" in model) == (2, False)
    row = shapes.pending_full(replace(EMPTY_ROW, meta=stored))["meta_json"]
    assert (row["images"], "images_count" in row) == ([], False)


def test_a_listed_pending_row_has_exactly_the_keys_of_the_contract() -> None:
    assert shapes.pending_listed(EMPTY_ROW) == {"id": 1, "name": "", "image": "", "type": "", "tags": []}


def test_a_full_pending_row_names_its_image(backend: "FakeBackend") -> None:
    assert backend.row is not None
    shape = shapes.pending_full(backend.row.pending)
    assert list(shape) == ["id", "path", "sha256", "name", "type", "size_bytes", "created_at", "meta_json", "tags"]
    assert shape["meta_json"] == {
        "description": "",
        "community_links": "",
        "images": ["7.png"],
        "prompts": {"positive": "", "negative": ""},
    }


def test_both_sides_without_a_model_say_so() -> None:
    assert shapes.pending_details(PendingDetails(EMPTY_ROW))["existing"] is None


def test_both_sides_come_with_what_each_strategy_would_do(backend: "FakeBackend") -> None:
    assert backend.row is not None
    outcomes = shapes.pending_details(backend.row, "digest")["outcomes"]
    assert list(outcomes) == ["merge", "override", "delete", "ignore"]
    assert [outcome["removes_row"] for outcome in outcomes.values()] == [True, True, True, False]
    numbers = [image.seq for image in backend.details.images]
    assert outcomes["merge"]["image"] not in (None, *numbers)
    assert outcomes["override"]["image"] == 0


def test_the_documentation_describes_the_shapes_as_they_are(backend: "FakeBackend") -> None:
    assert backend.row is not None
    described: list[tuple[type[BaseModel], object]] = [
        (answers.ListedModel, shapes.model_listed(backend.details.model, 1)),
        (answers.FoundModel, shapes.model_found(backend.details.model)),
        (answers.FullModel, shapes.model_full(backend.details.model, 1)),
        (answers.DetailedModel, shapes.model_details(backend.details)),
        (queue_answers.ListedPending, shapes.pending_listed(backend.row.pending)),
        (queue_answers.FullPending, shapes.pending_full(backend.row.pending)),
        (queue_answers.QueueRow, shapes.queue_row(backend.row.pending)),
        (queue_answers.DetailedPending, shapes.pending_details(backend.row)),
    ]
    for schema, shape in described:
        assert schema.model_validate(shape).model_dump() == shape


@pytest.mark.parametrize(("digest", "is_lost"), [("b" * 64, False), ("c" * 64, True), (None, True)])
def test_an_image_that_the_model_has_already_is_not_lost_with_its_row(
    backend: "FakeBackend", digest: str | None, is_lost: bool
) -> None:
    assert backend.row is not None
    effects = {
        name: outcome["effect"] for name, outcome in shapes.pending_details(backend.row, digest)["outcomes"].items()
    }
    assert effects["delete"]["image_lost"] is is_lost
    assert effects["delete"]["lost_tags"] == ["style"]
    assert effects["merge"]["added_tags"] == ["style"]
    assert not effects["merge"]["image_lost"]
    assert effects["ignore"] == {
        "replaced": [],
        "added": [],
        "added_tags": [],
        "image": "",
        "lost": [],
        "lost_tags": [],
        "image_lost": False,
    }
