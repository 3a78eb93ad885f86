"""Every row of the product's table of strategies, and what `auto` may call lossless."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import metadata
from modelkeep.domain.naming import is_name_from_path, is_type_from_path
from modelkeep.domain.planning import Decision, decide, next_seq
from modelkeep.domain.values import Action, ImageRow, Model, PendingImport, Strategy, Tag

SHA = "ab" * 32
PATH = "/m/loras/new.safetensors"
OLD_PATH = "/m/checkpoints/old.safetensors"

PENDING = PendingImport(
    id=7,
    path=PATH,
    name="Theirs",
    type="style",
    base="SDXL",
    size_bytes=5,
    created_at=111,
    meta={"description": "theirs", "prompts": {"positive": "dog", "negative": ""}},
    source="hikaze-v1",
    image="7.png",
)
MODEL = Model(
    sha256=SHA,
    path=OLD_PATH,
    name="Mine",
    type="character",
    base="SD 1.5",
    size_bytes=9,
    created_at=222,
    last_used_at=333,
    meta={"description": "mine", "prompts": {"positive": "", "negative": "blurry"}, "rating": 5},
)


def image(seq: int, digest: str) -> ImageRow:
    return ImageRow(SHA, seq, 64, 64, digest)


def plan(
    strategy: Strategy,
    *,
    pending: PendingImport = PENDING,
    existing: Model | None = MODEL,
    paths: tuple[str, ...] = (OLD_PATH,),
    images: tuple[ImageRow, ...] = (),
    digest: str | None = "p1",
) -> Decision:
    return decide(pending, SHA, 9, existing, paths, images, digest, strategy)


class TestNoSuchModel:
    @pytest.mark.parametrize("strategy", Strategy)
    def test_the_row_becomes_the_model_whatever_the_strategy(self, strategy: Strategy) -> None:
        assert plan(strategy, existing=None, paths=()) == Decision(
            Action.CREATED,
            model=Model(
                sha256=SHA,
                path=PATH,
                name="Theirs",
                type="style",
                base="SDXL",
                size_bytes=9,
                created_at=111,
                meta=PENDING.meta,
            ),
            image_seq=0,
            moves_tags=True,
            removes_pending=True,
        )

    def test_without_a_image_there_is_no_sequence(self) -> None:
        assert plan(Strategy.AUTO, existing=None, paths=(), digest=None).image_seq is None

    def test_a_row_without_a_name_gets_that_of_its_file(self) -> None:
        model = plan(Strategy.AUTO, existing=None, paths=(), pending=PENDING.evolve(name="")).model
        assert model is not None
        assert model.name == "new.safetensors"


class TestNoStrategyGiven:
    def test_both_sides_stay_as_they_are(self) -> None:
        decision = plan(Strategy.ASK)
        assert (decision.action, decision.model, decision.image_seq) == (Action.CONFLICTED, None, None)
        assert not decision.moves_tags
        assert not decision.removes_pending

    def test_the_owner_is_told_what_a_merge_would_lose(self) -> None:
        assert plan(Strategy.ASK).lost_keys == ("name", "description", "type", "base")

    def test_it_is_a_conflict_even_when_nothing_differs(self) -> None:
        decision = plan(Strategy.ASK, pending=PENDING.evolve(name="Mine", type="", base="", meta={}))
        assert decision == Decision(Action.CONFLICTED)


class TestOverride:
    def test_every_pending_value_replaces_and_nothing_else_changes(self) -> None:
        decision = plan(Strategy.OVERRIDE)
        assert (decision.action, decision.image_seq) == (Action.OVERRIDDEN, 0)
        assert decision.moves_tags
        assert decision.removes_pending
        assert decision.model == MODEL.evolve(
            name="Theirs",
            type="style",
            base="SDXL",
            created_at=111,
            meta={"description": "theirs", "prompts": {"positive": "dog", "negative": "blurry"}, "rating": 5},
        )

    def test_what_the_row_does_not_know_is_kept(self) -> None:
        pending = PENDING.evolve(name="", type="", base="", created_at=0, meta={"description": "", "prompts": {}})
        assert plan(Strategy.OVERRIDE, pending=pending).model == MODEL

    def test_its_image_replaces_sequence_zero_though_others_follow(self) -> None:
        assert plan(Strategy.OVERRIDE, images=(image(0, "a"), image(1, "b"))).image_seq == 0

    @pytest.mark.parametrize("seq", [0, 3])
    def test_the_same_image_is_not_stored_twice(self, seq: int) -> None:
        assert plan(Strategy.OVERRIDE, images=(image(seq, "p1"),)).image_seq is None

    def test_without_a_image_the_images_stay(self) -> None:
        assert plan(Strategy.OVERRIDE, images=(image(0, "a"),), digest=None).image_seq is None


class TestMerge:
    def test_only_empty_places_are_filled(self) -> None:
        decision = plan(Strategy.MERGE)
        assert decision.action is Action.MERGED
        assert decision.moves_tags
        assert decision.removes_pending
        assert decision.model == MODEL.evolve(
            meta={"description": "mine", "prompts": {"positive": "dog", "negative": "blurry"}, "rating": 5}
        )

    def test_every_empty_column_is_filled(self) -> None:
        bare = Model(SHA, path=OLD_PATH)
        assert plan(Strategy.MERGE, existing=bare).model == Model(
            SHA,
            path=OLD_PATH,
            name="Theirs",
            type="style",
            base="SDXL",
            size_bytes=5,
            created_at=111,
            meta=PENDING.meta,
        )

    def test_a_name_that_only_repeats_the_path_is_not_replaced_when_merging_is_asked_for(self) -> None:
        model = plan(Strategy.MERGE, existing=MODEL.evolve(name="old", type="checkpoints")).model
        assert model is not None
        assert (model.name, model.type) == ("old", "checkpoints")

    @pytest.mark.parametrize(
        ("held", "expected"),
        [
            ((), 0),
            ((image(0, "a"),), 1),
            ((image(0, "a"), image(3, "b")), 4),
            ((image(0, "a"), image(1, "p1")), None),
        ],
    )
    def test_the_image_takes_the_next_free_sequence_once(
        self, held: tuple[ImageRow, ...], expected: int | None
    ) -> None:
        assert plan(Strategy.MERGE, images=held).image_seq == expected

    def test_without_a_image_nothing_is_stored(self) -> None:
        assert plan(Strategy.MERGE, digest=None).image_seq is None


class TestDeleteAndIgnore:
    def test_delete_removes_the_row_and_touches_nothing(self) -> None:
        assert plan(Strategy.DELETE) == Decision(Action.DELETED, removes_pending=True)

    def test_ignore_leaves_both_sides(self) -> None:
        assert plan(Strategy.IGNORE) == Decision(Action.IGNORED)


class TestAuto:
    @pytest.mark.parametrize(
        "changes",
        [
            {"name": ""},
            {"name": "Mine", "type": "character", "base": "SD 1.5", "meta": MODEL.meta},
            {"meta": {}},
            {"meta": {"description": "", "prompts": {"positive": "dog"}, "new": {"deep": 1}}},
            {"meta": {"description": "mine"}},
            {"name": "new"},
            {"name": "new.safetensors"},
            {"type": "loras"},
            {"size_bytes": 12345, "created_at": 1},
        ],
    )
    def test_it_merges_where_nothing_is_lost(self, changes: dict[str, Any]) -> None:
        agreeing = PENDING.evolve(name="", type="", base="", meta={})
        decision = plan(Strategy.AUTO, pending=agreeing.evolve(**changes))
        assert (decision.action, decision.lost_keys) == (Action.MERGED, ())
        assert decision.removes_pending

    @pytest.mark.parametrize(
        ("changes", "lost"),
        [
            ({"name": "Theirs"}, ("name",)),
            ({"type": "style"}, ("type",)),
            ({"base": "SDXL"}, ("base",)),
            ({"meta": {"description": "theirs"}}, ("description",)),
            ({"meta": {"prompts": {"negative": "other"}}}, ("prompts.negative",)),
            ({"meta": {"rating": 0}}, ("rating",)),
            ({"meta": {"prompts": "flat"}}, ("prompts",)),
        ],
    )
    def test_it_parks_what_would_lose_something_and_names_it(
        self, changes: dict[str, Any], lost: tuple[str, ...]
    ) -> None:
        decision = plan(Strategy.AUTO, pending=PENDING.evolve(name="", type="", base="", meta={}).evolve(**changes))
        assert decision == Decision(Action.CONFLICTED, lost_keys=lost)

    def test_a_chosen_name_and_type_take_the_place_of_those_that_only_repeat_the_path(self) -> None:
        existing = MODEL.evolve(name="old.safetensors", type="checkpoints", base="", meta={})
        model = plan(Strategy.AUTO, existing=existing).model
        assert model is not None
        assert (model.name, model.type) == ("Theirs", "style")

    def test_a_chosen_name_is_not_lost_when_the_held_one_only_repeats_the_path_of_the_row(self) -> None:
        """What only the name of a file says does not win over what somebody said."""
        existing = MODEL.evolve(name="new", type="loras", base="", meta={})
        decision = plan(Strategy.AUTO, existing=existing)
        if decision.action is Action.MERGED:
            assert decision.model is not None
            assert (decision.model.name, decision.model.type) == ("Theirs", "style")
        else:
            assert decision.lost_keys == ("name", "type")

    @given(
        names=st.tuples(*2 * [st.sampled_from(["", "new", "old", "new.safetensors", "Chosen", "Other"])]),
        types=st.tuples(*2 * [st.sampled_from(["", "loras", "checkpoints", "style", "character"])]),
        bases=st.tuples(*2 * [st.sampled_from(["", "SDXL", "SD 1.5"])]),
        has_path=st.booleans(),
    )
    def test_what_it_merges_is_in_the_model_or_told_by_a_path(
        self, names: tuple[str, str], types: tuple[str, str], bases: tuple[str, str], has_path: bool
    ) -> None:
        pending = PENDING.evolve(name=names[0], type=types[0], base=bases[0])
        existing = MODEL.evolve(name=names[1], type=types[1], base=bases[1], meta={})
        paths = (OLD_PATH, PATH) if has_path else (OLD_PATH,)
        decision = plan(Strategy.AUTO, pending=pending, existing=existing, paths=paths)
        if decision.action is not Action.MERGED:
            assert decision.lost_keys
            return
        model = decision.model
        assert model is not None
        every_path = [PATH, OLD_PATH]
        assert {name for name in names if name and not is_name_from_path(name, every_path)} <= {model.name}
        assert {kind for kind in types if kind and not is_type_from_path(kind, every_path)} <= {model.type}
        assert {base for base in bases if base} <= {model.base}
        assert bool(model.name) == any(names)
        assert list(metadata.differences(model.meta, pending.meta)) == []


class TestACopyThatNobodyDescribed:
    BARE = PendingImport(id=8, path=PATH, name="new.safetensors", type="loras", size_bytes=9)

    @pytest.mark.parametrize("strategy", Strategy)
    def test_it_goes_into_the_model_whatever_the_strategy(self, strategy: Strategy) -> None:
        decision = plan(strategy, pending=self.BARE, digest=None)
        assert decision.action is Action.MERGED
        assert decision.removes_pending
        assert decision.image_seq is None
        assert decision.model in (None, MODEL)

    @pytest.mark.parametrize(
        "changes",
        [{"meta": {"description": "x"}}, {"tags": (Tag(1, "a"),)}, {"image": "8.png"}, {"source": "hikaze-v1"}],
    )
    def test_one_that_somebody_described_does_not_count_as_such(self, changes: dict[str, Any]) -> None:
        assert not self.BARE.evolve(**changes).knows_nothing


@given(st.lists(st.integers(0, 50), unique=True))
def test_the_next_sequence_is_free_and_after_all_others(held: list[int]) -> None:
    assert all(next_seq([image(seq, str(seq)) for seq in held]) > seq for seq in held)
