"""What records say comes into a model, in any order the same, and the owner's word stays."""

from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.applying import Applied, apply, as_row, said_otherwise, take_back
from modelkeep.domain.combining import combine
from modelkeep.domain.knowledge import Meaning, Origin, SourceRecord, Text, TextFormat, Weight
from modelkeep.domain.values import Model, Tag

PATHS = ["/m/loras/hero.safetensors"]
MODEL = Model("a" * 64, PATHS[0], name="hero.safetensors")
SAID = Meaning(
    title="Hero",
    version="v2",
    description=Text("<p>bold</p>", TextFormat.HTML),
    notes="use with care",
    base_model="SDXL",
    negative_prompt="blurry",
    weight=Weight(0.8),
    favourite=True,
    tags=("style", "ink"),
    trigger_words=("hero", "cape"),
    origins=(Origin("civitai", "1", "2"),),
)

words = st.sampled_from(["", "one", "two", "three"])
lists = st.lists(st.sampled_from(["x", "y", "z"]), max_size=3, unique=True).map(tuple)
meanings = st.builds(
    Meaning,
    title=words,
    notes=words,
    description=st.builds(Text, words, st.sampled_from(TextFormat)),
    base_model=words,
    tags=lists,
    trigger_words=lists,
)


def record(said: Meaning, kind: str) -> SourceRecord:
    return SourceRecord(kind, f"/m/{kind}", "1", meaning=said)


def test_everything_comes_to_its_place() -> None:
    applied = apply(MODEL, PATHS, Meaning(), SAID)
    assert (applied.model.name, applied.model.base, applied.new_tags) == ("Hero", "SDXL", ("style", "ink"))
    assert applied.model.meta == {
        "version": "v2",
        "description": "<p>bold</p>",
        "description_format": "html",
        "notes": "use with care",
        "prompts": {"negative": "blurry", "positive": "hero, cape"},
        "weight": {"strength": 0.8, "minimum": None, "maximum": None},
        "favourite": True,
        "trigger_words": ["hero", "cape"],
        "origins": [{"kind": "civitai", "model_id": "1", "version_id": "2", "url": ""}],
    }


def test_a_title_that_only_repeats_the_file_replaces_no_name() -> None:
    assert apply(MODEL, PATHS, Meaning(), Meaning(title="hero")).model.name == "hero.safetensors"
    assert apply(MODEL.evolve(name=""), PATHS, Meaning(), Meaning(title="hero")).model.name == "hero"


def test_to_apply_the_same_again_changes_nothing() -> None:
    first = apply(MODEL, PATHS, Meaning(), SAID)
    carried = first.model.evolve(tags=(Tag(1, "style"), Tag(2, "ink")))
    assert apply(carried, PATHS, first.base, SAID) == Applied(carried, (), first.base)


def test_what_the_owner_said_stays_and_what_the_records_gave_follows_them() -> None:
    first = apply(MODEL, PATHS, Meaning(), SAID)
    meta = {**first.model.meta, "notes": "mine", "trigger_words": ["cape", "own"]}
    owned = first.model.evolve(name="My Hero", meta=meta)
    now = Meaning(
        title="Hero 2", notes="other", description=Text("plain"), trigger_words=("hero", "new"), base_model="Pony"
    )
    after = apply(owned, PATHS, first.base, now).model
    assert (after.name, after.base, after.meta["notes"]) == ("My Hero", "Pony", "mine")
    assert (after.meta["description"], after.meta["description_format"]) == ("plain", "plain")
    assert after.meta["trigger_words"] == ["cape", "own", "new"]


def test_what_the_owner_emptied_does_not_come_back() -> None:
    first = apply(MODEL, PATHS, Meaning(), SAID)
    emptied = first.model.evolve(meta={"prompts": {"positive": ""}})
    after = apply(emptied, PATHS, first.base, Meaning(notes="another", tags=("style",), trigger_words=("hero",)))
    assert (after.model, after.new_tags) == (emptied, ())


def test_nothing_is_taken_away_by_a_record_that_says_it_no_more() -> None:
    first = apply(MODEL, PATHS, Meaning(), SAID)
    assert apply(first.model, PATHS, first.base, Meaning()) == Applied(first.model, (), first.base)


def test_a_description_that_was_there_before_any_record_stays() -> None:
    described = MODEL.evolve(meta={"description": "old"})
    after = apply(described, PATHS, Meaning(), SAID).model
    assert after.meta["description"] == "old"
    assert "description_format" not in after.meta
    assert said_otherwise(after, PATHS, "description", {"value": "<p>bold</p>", "format": "html"})
    assert not said_otherwise(after, PATHS, "description", {"value": " old ", "format": "plain"})
    assert not said_otherwise(MODEL, PATHS, "title", "Hero")


def test_a_row_says_one_field_in_its_place() -> None:
    assert as_row("title", "Hero") == {"name": "Hero"}
    assert as_row("base_model", "SDXL") == {"base": "SDXL"}
    assert as_row("negative_prompt", "bad") == {"meta": {"prompts": {"negative": "bad"}}}
    text = {"value": "x", "format": "markdown"}
    assert as_row("description", text) == {"meta": {"description": "x", "description_format": "markdown"}}


@given(st.lists(meanings, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_in_which_records_come_makes_no_difference(said: list[Meaning], random: object) -> None:
    records = [SourceRecord(f"tool{number}", f"/{number}", "d", meaning=each) for number, each in enumerate(said)]
    at_once = apply(MODEL, PATHS, Meaning(), combine(records))
    order = list(records)
    random.shuffle(order)  # type: ignore[attr-defined]
    model, base, tags = MODEL, Meaning(), set[str]()
    for number in range(1, len(order) + 1):
        applied = apply(model, PATHS, base, combine(order[:number]))
        model, base, tags = applied.model, applied.base, tags | set(applied.new_tags)
    assert model == at_once.model
    assert tags == set(at_once.new_tags)


@given(meanings, meanings)
def test_what_a_record_gave_that_is_about_another_file_is_as_if_it_had_never_come(
    one: Meaning, other: Meaning
) -> None:
    both = apply(MODEL, PATHS, Meaning(), combine([record(one, "a"), record(other, "b")]))
    left = combine([record(other, "b")])
    freed = take_back(both.model, both.base, one, left)
    assert apply(freed.model, PATHS, freed.base, left).model == apply(MODEL, PATHS, Meaning(), left).model


def test_what_the_owner_changed_stays_when_a_record_is_taken_back() -> None:
    given_ = apply(MODEL.evolve(tags=(Tag(1, "ink"), Tag(2, "mine"))), PATHS, Meaning(), SAID)
    changed = given_.model.evolve(name="Mine", meta={**given_.model.meta, "notes": "my own"})
    freed = take_back(changed, given_.base, SAID, Meaning()).model
    assert (freed.name, freed.base, freed.meta) == ("Mine", "", {"notes": "my own"})
    assert [tag.name for tag in freed.tags] == ["mine"]
