"""An edit changes what it names and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.api.shapes import model_full
from modelkeep.domain.edits import Edit, changed_fields, edited
from modelkeep.domain.metadata import edited_meta
from modelkeep.domain.values import Location, LocationState, Model, Tag
from modelkeep.errors import Conflict, NotFound, OutsideRoots

A = "a" * 64
TAGS = {1: Tag(1, "one"), 2: Tag(2, "two")}
AT = Location("/m/a.pt", A, LocationState.PRESENT)
COPY = Location("/m/copy.pt", A, LocationState.PRESENT)
GONE = Location("/m/gone.pt", A, LocationState.MISSING)
MODEL = Model(A, "/m/a.pt", name="Hero", type="loras", tags=(TAGS[1],))

words = st.one_of(st.none(), st.just(""), st.text(max_size=3), st.integers(), st.booleans())
keys = st.sampled_from(["description", "community_links", "prompts", "positive", "negative", "images", "x", "y"])
values = st.recursive(words, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3))
metas = st.dictionaries(keys, values, max_size=5)


@given(metas)
def test_what_was_shown_and_is_sent_back_changes_nothing(meta: dict[str, Any]) -> None:
    model = MODEL.evolve(meta=meta)
    shown = json.loads(json.dumps(model_full(model, 3)))
    edit = Edit(shown["name"], shown["type"], shown["path"], meta=shown["meta_json"], tags=[1])
    assert edited(model, [AT], edit, TAGS) == model


@given(metas, metas)
def test_an_edit_that_is_done_again_changes_nothing_more(meta: dict[str, Any], changes: dict[str, Any]) -> None:
    once = edited_meta(meta, changes)
    assert edited_meta(once, changes) == once


@given(metas, st.text(min_size=1, max_size=3))
def test_one_key_is_changed_and_the_others_stay(meta: dict[str, Any], text: str) -> None:
    assert edited_meta(meta, {"description": text}) == {**meta, "description": text}


def test_null_removes_a_key_and_an_empty_text_a_text() -> None:
    meta = {"description": "d", "prompts": {"positive": "p", "seed": 7}, "x": [1]}
    changes = {"description": "", "prompts": {"seed": None}, "x": None}
    assert edited_meta(meta, changes) == {"description": "", "prompts": {"positive": "p"}}


def test_only_what_is_named_changes() -> None:
    after = edited(MODEL, [AT, COPY], Edit(name="", path=COPY.path, tags=[2, 2]), TAGS)
    assert (after.name, after.type, after.path, after.tags) == ("", "loras", "/m/copy.pt", (TAGS[2],))
    assert changed_fields(MODEL, after) == ["name", "path", "tags"]
    assert edited(MODEL, [AT], Edit(tags=[]), {}).tags == ()


def test_a_tag_that_is_gone_is_told() -> None:
    with pytest.raises(NotFound, match="no tag 3"):
        edited(MODEL, [AT], Edit(tags=[1, 3]), TAGS)


def test_the_main_path_is_where_the_file_is() -> None:
    elsewhere = MODEL.evolve(path="/of/another/machine.pt")
    assert edited(elsewhere, [AT], Edit(path=elsewhere.path), {}) == elsewhere
    for stale in (GONE.path, "/m/before it was moved.pt"):
        whole = Edit(name="New", path=stale, inside_roots=True, is_whole=True)
        assert edited(MODEL, [AT, GONE], whole, {}) == MODEL.evolve(name="New")
    with pytest.raises(OutsideRoots):
        edited(MODEL, [AT], Edit(path="/etc/passwd", is_whole=True), {})
    for path, inside, error in (
        (GONE.path, True, Conflict),
        ("/m/never.pt", True, Conflict),
        ("/etc/passwd", False, OutsideRoots),
        ("", False, OutsideRoots),
    ):
        with pytest.raises(error):
            edited(MODEL, [AT, GONE], Edit(path=path, inside_roots=inside), {})
