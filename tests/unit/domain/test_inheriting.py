"""What a content takes over from another of the same tensors: gaps and lists, never anything of its own."""

from dataclasses import replace

import pytest

from modelkeep.domain.acts import ActKind, ActOrder, ActPlan
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.inheriting import plan_inheritance
from modelkeep.domain.values import ImageRow, Location, LocationState, Model, Tag
from modelkeep.errors import Conflict

A, B, TENSORS = "a" * 64, "b" * 64, "c" * 64


def details(
    sha256: str, state: LocationState, *seqs: int, name: str = "", tensors: str | None = TENSORS, **said: object
) -> ModelDetails:
    path = f"/m/{sha256[:1]}.safetensors"
    model = Model(sha256, path, name=name or f"{sha256[:1]}.safetensors").evolve(**said)
    images = tuple(ImageRow(sha256, seq, 10, 10, f"{sha256[:1]} {seq}") for seq in seqs)
    return ModelDetails(
        model, images, (Location(path, sha256, state),), content=ContentRow(sha256, "safetensors", tensors=tensors)
    )


OLD = details(
    A, LocationState.MISSING, 0, 2, name="Chosen", meta={"description": "of A"}, tags=(Tag(1, "x"),), last_used_at=5
)
FRESH = details(B, LocationState.PRESENT)


def plan(
    heir: ModelDetails = FRESH,
    origin: ModelDetails = OLD,
    *,
    by_owner: bool = False,
    lost: frozenset[str] = frozenset(),
) -> ActPlan:
    sha256, other = heir.model.sha256, origin.model.sha256
    order = ActOrder("m", ActKind.INHERITED, sha256, origin=other, by_owner=by_owner, lost=lost)
    return plan_inheritance(order, heir, origin)


def test_a_new_header_takes_over_all_that_is_known() -> None:
    made = plan()
    assert made.changes
    assert made.edited is not None
    assert (made.edited.name, made.edited.meta, made.edited.tags) == ("Chosen", OLD.model.meta, OLD.model.tags)
    assert (made.edited.sha256, made.edited.path, made.edited.last_used_at) == (B, FRESH.model.path, 5)
    assert [(image.sha256, image.seq, image.source_digest) for image in made.images] == [(B, 0, "a 0"), (B, 1, "a 2")]
    shown = {file.final: made.links[file.staged] for file in made.files}
    assert shown == {
        image_name(B, new, quality): image_name(A, old, quality)
        for new, old in ((0, 0), (1, 2))
        for quality in QUALITIES
    }
    assert (made.removed, made.moved_down) == ((), 0)


def test_what_the_heir_says_and_shows_stays() -> None:
    heir = details(B, LocationState.PRESENT, 0, meta={"usage": "mine"}, tags=(Tag(2, "y"),))
    same = replace(heir, images=(*heir.images, ImageRow(B, 1, 10, 10, "a 0")))
    made = plan(same)
    assert made.edited is not None
    assert made.edited.meta == {"usage": "mine", "description": "of A"}
    assert [tag.name for tag in made.edited.tags] == ["y", "x"]
    assert [(image.seq, image.source_digest) for image in made.images] == [(0, "b 0"), (1, "a 0"), (2, "a 2")]


def test_an_image_that_has_lost_a_file_is_left_out() -> None:
    assert [image.source_digest for image in plan(lost=frozenset({image_name(A, 0, "low")})).images] == ["a 2"]


@pytest.mark.parametrize("state", [LocationState.PRESENT, LocationState.UNREACHABLE])
def test_nothing_follows_by_itself_while_the_old_file_is_or_may_be_there(state: LocationState) -> None:
    there = details(A, state, meta={"description": "of A"})
    assert not plan(origin=there).changes
    assert plan(origin=there, by_owner=True).changes


def test_nothing_follows_by_itself_to_a_file_that_is_gone_or_a_second_time() -> None:
    assert not plan(details(B, LocationState.MISSING)).changes
    assert OLD.content is not None
    assert not plan(origin=replace(OLD, content=replace(OLD.content, heir=B))).changes


def test_what_both_say_differently_waits_for_the_owner_and_the_heirs_words_stay() -> None:
    heir = details(B, LocationState.PRESENT, name="Other name", meta={"description": "of B"})
    made = plan(heir)
    assert (made.changes, made.differing) == (False, ("name", "description"))
    taken = plan(heir, by_owner=True)
    assert taken.edited is not None
    assert (taken.edited.name, taken.edited.meta) == ("Other name", {"description": "of B"})
    assert taken.edited.tags == OLD.model.tags


@pytest.mark.parametrize("tensors", ["d" * 64, "", None])
def test_a_model_of_other_tensors_or_of_none_takes_nothing(tensors: str | None) -> None:
    with pytest.raises(Conflict):
        plan(details(B, LocationState.PRESENT, tensors=tensors), by_owner=True)


@pytest.mark.parametrize("tensors", ["", None])
def test_two_models_without_tensors_have_nothing_in_common(tensors: str | None) -> None:
    with pytest.raises(Conflict):
        plan(details(B, LocationState.PRESENT, tensors=tensors), details(A, LocationState.MISSING, tensors=tensors))
