"""What records say together does not depend on who came first; no list is lost, and the owner's words count most."""

from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.combining import ITEMS_MAX, combine
from modelkeep.domain.knowledge import (
    Meaning,
    Origin,
    SourceRecord,
    Standing,
    Text,
    TextFormat,
    Weight,
    meaning_as_json,
    meaning_from_json,
)

texts = st.sampled_from(["", "a", "bb", " a ", "ccc"])
meanings = st.builds(
    Meaning,
    title=texts,
    description=st.builds(Text, texts, st.sampled_from(TextFormat)),
    notes=texts,
    weight=st.builds(Weight, st.sampled_from([None, 0.5, 1.0])),
    favourite=st.sampled_from([None, True, False]),
    tags=st.lists(texts, max_size=3).map(tuple),
    origins=st.lists(st.builds(Origin, st.sampled_from(["civitai", "url"]), texts), max_size=2).map(tuple),
    examples=st.lists(st.fixed_dictionaries({"prompt": texts}), max_size=2).map(tuple),
)
records = st.builds(
    SourceRecord,
    kind=st.sampled_from(["lora-manager", "webui", "header"]),
    key=st.sampled_from(["/a", "/b"]),
    digest=st.sampled_from(["1", "2"]),
    meaning=meanings,
    owned=st.frozensets(st.sampled_from(["title", "notes", "description"])),
    standing=st.sampled_from(Standing),
    updated_at=st.integers(0, 2),
)
some = st.lists(records, max_size=5, unique_by=lambda record: (record.kind, record.key, record.digest))


@given(some, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(given_records: list[SourceRecord], chance: object) -> None:
    shuffled = list(given_records)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert combine(given_records) == combine(shuffled)


@given(some)
def test_no_tag_is_lost_and_words_of_the_owner_are_taken_where_there_are_any(
    given_records: list[SourceRecord],
) -> None:
    combined = combine(given_records)
    assert set(combined.tags) == {tag for record in given_records for tag in record.meaning.tags}
    owned = {record.meaning.notes for record in given_records if "notes" in record.owned}
    said = {notes for notes in owned if notes.strip()}
    assert not said or combined.notes in said


@given(meanings)
def test_a_meaning_comes_back_from_json(meaning: Meaning) -> None:
    assert meaning_from_json(meaning_as_json(meaning)) == meaning


def record(kind: str, **options: object) -> SourceRecord:
    return SourceRecord(kind, f"/{kind}", "d", **options)  # type: ignore[arg-type]


def test_the_owners_words_beat_later_answers_and_answers_beat_the_header() -> None:
    own = record("webui", meaning=Meaning(title="mine"), owned=frozenset({"title"}))
    answer = record("civitai-helper", meaning=Meaning(title="site", author="x"), updated_at=5)
    header = record("header", meaning=Meaning(title="header", author="a longer name"), standing=Standing.HEADER)
    combined = combine([header, answer, own])
    assert (combined.title, combined.author) == ("mine", "x")


def test_of_two_answers_the_later_else_the_longer_is_taken() -> None:
    early = record("a", meaning=Meaning(description=Text("much longer", TextFormat.HTML)), updated_at=1)
    late = record("b", meaning=Meaning(description=Text("short")), updated_at=2)
    assert combine([early, late]).description == Text("short")
    longer = record("b", meaning=Meaning(description=Text("short")), updated_at=1)
    assert combine([early, longer]).description == Text("much longer", TextFormat.HTML)


def test_a_title_that_only_repeats_the_name_of_the_file_gives_way_to_one_that_somebody_gave() -> None:
    derived = SourceRecord("invokeai", "/a", "1", stem="nimbus-Q4_K-long", meaning=Meaning(title="nimbus-Q4_K-long"))
    given = SourceRecord("header", "/b", "2", meaning=Meaning(title="Nimbus"), standing=Standing.HEADER)

    assert combine([derived, given]).title == "Nimbus"
    assert combine([derived]).title == "nimbus-Q4_K-long"


def test_the_name_that_a_trainer_gave_its_file_is_no_title() -> None:
    output = Meaning(title="hero (v1.2)", author="x")
    trained = record("header", stem="hero (v1.2)", meaning=output, standing=Standing.HEADER)
    assert combine([trained]) == Meaning(author="x")


def test_more_than_a_model_may_have_stays_with_the_records() -> None:
    words = tuple(map(str, range(ITEMS_MAX + 5)))
    loud = SourceRecord(
        "a", "/a", "1", meaning=Meaning(title="x" * 5000, tags=("t" * 201, *words), trigger_words=words)
    )
    plain = SourceRecord("b", "/b", "1", meaning=Meaning(title="Fox", tags=("last",)), standing=Standing.HEADER)
    said = combine([loud, plain])
    assert (said.title, said.tags) == ("Fox", words[:ITEMS_MAX])
    assert said.trigger_words == words[:ITEMS_MAX]
    assert combine([loud]).title == ""
