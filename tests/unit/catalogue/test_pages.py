"""Pages of lists and what a search finds are those of plain queries that read all, whatever the library holds."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelkeep.catalogue.bare_sqlite import storable_path
from modelkeep.catalogue.store import browsing, models, paging
from modelkeep.catalogue.store.browsing import browsed_hashes, count_by_type
from modelkeep.catalogue.store.contents import keep_contents
from modelkeep.catalogue.store.finding import find_models
from modelkeep.catalogue.store.models import list_hashes, upsert_models
from modelkeep.catalogue.store.tags import create_tag, tag_model
from modelkeep.domain.browsing import Order, Wanted
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.values import JsonObject, Model

TEXTS = st.one_of(
    st.sampled_from(["hero", "Hero", "HERO cat", "cat", "inf", "e+9", "Ähre", "ähre", "caf\udce9", "模型", "0c", ""]),
    st.text("abAB%_/\\*?[\"'\n äÄßé\udce9模1", max_size=4),
)
SOUGHT = st.one_of(
    TEXTS, st.text("0123456789abcdef", min_size=6, max_size=9), st.sampled_from(["true", "1.0e+99", "/"])
)
VALUES = st.one_of(TEXTS, st.integers(-2, 12), st.sampled_from([None, True, 1e99, 0.5, float("inf")]))
METAS = st.dictionaries(
    st.sampled_from(["description", "title", "notes", "trigger_words", "other"]),
    st.one_of(VALUES, st.lists(VALUES, max_size=2), st.dictionaries(TEXTS, VALUES, max_size=1)),
    max_size=3,
)
TYPES = st.sampled_from(["", "lora", "Lora", "vae"])
TAGS = ("x", "X", "hero", "100%", "Ähre")
NUMBERS = st.one_of(st.integers(0, 2), st.integers(0, 1 << 62))


@dataclass(frozen=True)
class Known:
    """A model, its tags, and what its header says."""

    name: str
    folder: str
    type: str
    date: int
    size: int
    meta: JsonObject
    tags: frozenset[str]
    header: JsonObject


LIBRARIES = st.lists(
    st.builds(
        Known, TEXTS, TEXTS, TYPES, NUMBERS, NUMBERS, METAS, st.frozensets(st.sampled_from(TAGS), max_size=2), METAS
    ),
    max_size=9,
)
PAGES = st.tuples(st.integers(0, 4), st.integers(0, 11))
REACHES = st.sampled_from([0, 1, 3, 1_000])


@contextmanager
def library_of(engine: sa.Engine, known: Sequence[Known], reach: int = paging.REACH) -> Iterator[sa.Connection]:
    """Have a library for a while, of which so many models are looked through first."""
    hashes = [sha256(str(number).encode()).hexdigest() for number in range(len(known))]
    with engine.connect() as connection, connection.begin() as transaction, pytest.MonkeyPatch.context() as patched:
        for module in (browsing, models, paging):
            patched.setattr(module, "REACH", reach)
        upsert_models(
            connection,
            [
                Model(
                    sha256=hash_,
                    path=f"/m/{each.folder}/{number}.pt",
                    name=each.name,
                    type=each.type,
                    created_at=each.date,
                    size_bytes=each.size,
                    meta=each.meta,
                )
                for number, (hash_, each) in enumerate(zip(hashes, known, strict=True))
            ],
        )
        ids = {name: create_tag(connection, name).id for name in TAGS}
        for hash_, each in zip(hashes, known, strict=True):
            for name in each.tags:
                tag_model(connection, hash_, ids[name])
        keep_contents(
            connection,
            [
                ContentRow(hash_, "gguf", each.header, tensors=sha256(hash_.encode()).hexdigest())
                for hash_, each in zip(hashes, known, strict=True)
            ],
        )
        yield connection
        transaction.rollback()


def plainly(connection: sa.Connection, condition: str, order: str, parameters: Sequence[object] = ()) -> list[str]:
    """Return the hashes of the models that a condition of SQL chooses, in an order of SQL; all are read."""
    query = f"SELECT sha256 FROM models NOT INDEXED WHERE {condition} ORDER BY {order}, sha256"
    return [row[0] for row in connection.exec_driver_sql(query, tuple(parameters))]


def cut(hashes: list[str], page: tuple[int, int]) -> list[str]:
    limit, offset = page
    return hashes[offset : offset + limit if limit else None]


def pattern(text: str) -> str:
    """Return what LIKE looks for, with `!` as its escape."""
    return "%" + "".join(f"!{letter}" if letter in "!%_" else letter for letter in storable_path(text)) + "%"


MEMBER = "CASE WHEN json_valid(meta_json) THEN coalesce(json_extract(meta_json, '$.{}'), '') ELSE '' END"
DESCRIBED = f"name || char(10) || path || char(10) || {MEMBER.format('description')}"
CARRIES = "sha256 IN (SELECT model_hash FROM model_tags JOIN tags ON tags.id = tag_id WHERE tags.name {})"
LIKE = "LIKE ? ESCAPE '!'"
CALLED = f"(name {LIKE} OR path {LIKE})"
READ = ("title", "notes", "trigger_words", "description")
ORDERS = {
    Order.NAME: "name COLLATE NOCASE",
    Order.NEWEST: "created_at DESC",
    Order.OLDEST: "created_at",
    Order.LARGEST: "size_bytes DESC",
    Order.SMALLEST: "size_bytes",
}


def wanted_plainly(wanted: Wanted) -> tuple[str, list[object]]:
    conditions, parameters = ["true"], list[object]()
    for word in wanted.words:
        conditions.append(f"({DESCRIBED} {LIKE} OR {CARRIES.format(LIKE)})")
        parameters += [pattern(word)] * 2
    for tag in wanted.tags:
        conditions.append(CARRIES.format("= ?"))
        parameters.append(tag)
    if wanted.type is not None:
        conditions.append("type = ?")
        parameters.append(wanted.type)
    return " AND ".join(conditions), parameters


@given(
    known=LIBRARIES,
    wanted=st.builds(
        Wanted,
        st.lists(SOUGHT, max_size=2).map(" ".join),
        st.lists(st.sampled_from(TAGS), max_size=2).map(tuple),
        st.none() | TYPES,
    ),
    page=PAGES,
    reach=REACHES,
)
@settings(deadline=None)
def test_every_page_of_the_library_in_every_order(
    engine: sa.Engine, known: list[Known], wanted: Wanted, page: tuple[int, int], reach: int
) -> None:
    with library_of(engine, known, reach) as connection:
        condition, parameters = wanted_plainly(wanted)
        for order, by in ORDERS.items():
            expected = plainly(connection, condition, by, parameters)
            assert browsed_hashes(connection, wanted, order, *page) == cut(expected, page)
            assert browsed_hashes(connection, Wanted(), order, *page) == cut(plainly(connection, "true", by), page)
        assert sum(count.models for count in count_by_type(connection, wanted)) == len(expected)


@given(
    known=LIBRARIES,
    text=SOUGHT,
    tag=st.sampled_from(["", *TAGS]),
    type_=st.none() | TYPES,
    page=PAGES,
    reach=REACHES,
)
@settings(deadline=None)
def test_every_page_of_the_list_by_name(
    engine: sa.Engine, known: list[Known], text: str, tag: str, type_: str | None, page: tuple[int, int], reach: int
) -> None:
    condition, parameters = wanted_plainly(Wanted(tags=(tag,) if tag else (), type=type_))
    with library_of(engine, known, reach) as connection:
        limit, offset = page
        for q in ("", text):
            some = plainly(connection, f"{CALLED} AND {condition}", "name", [pattern(q), pattern(q), *parameters])
            assert list_hashes(connection, type=type_, q=q, tag=tag, limit=limit, offset=offset) == cut(some, page)
        assert list_hashes(connection, limit=limit, offset=offset) == cut(plainly(connection, "true", "name"), page)


@given(known=LIBRARIES, text=SOUGHT)
@example(known=[Known("n", "f", "", 0, 0, {"notes": float("inf")}, frozenset(), {})], text="inf")
@example(known=[Known("n", "f", "", 0, 0, {"title": 1e99}, frozenset(), {})], text="e+9")
@example(known=[Known("n", "f", "", 0, 0, {"title": ["hero"]}, frozenset(), {})], text='["HERO')
@example(known=[Known("n", "f", "", 0, 0, {"notes": "caf\udce9"}, frozenset(), {})], text="caf\udce9")
@settings(deadline=None)
def test_whatever_is_found(engine: sa.Engine, known: list[Known], text: str) -> None:
    digits = text.lower().removeprefix("0x")
    like = pattern(text)
    ways: list[tuple[str, list[object]]] = [
        ("path IN (SELECT path FROM locations WHERE path = ?)", [storable_path(text)]),
        ("name = ?", [storable_path(text)]),
        (CALLED, [like, like]),
        (
            " OR ".join(
                f"{MEMBER.format(key)} LIKE ? ESCAPE '!'"
                for key in ("title", "notes", "trigger_words", "description")
            ),
            [like] * 4,
        ),
        ("sha256 IN (SELECT sha256 FROM contents WHERE header_json " + LIKE + ")", [header_pattern(text)]),
    ]
    if len(digits) >= 6 and set(digits) <= set("0123456789abcdef"):
        tensors = " OR sha256 IN (SELECT sha256 FROM contents WHERE tensors LIKE ?)" if len(digits) >= 8 else ""
        ways.insert(0, (f"sha256 LIKE ?{tensors}", [digits + "%"] * (2 if tensors else 1)))
    with library_of(engine, known) as connection:
        answers = (plainly(connection, condition, "name", parameters) for condition, parameters in ways)
        assert [model.sha256 for model in find_models(connection, text)] == next(filter(None, answers), [])


def header_pattern(text: str) -> str:
    return pattern(json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace").decode())


def test_a_page_is_found_however_many_models_are_alike(engine: sa.Engine) -> None:
    alike = [Known("same", "", "lora", 7, 7, {}, frozenset(), {})] * 9
    with library_of(engine, alike, 3) as connection:
        expected = plainly(connection, "true", "sha256")
        for order in Order:
            for wanted in (Wanted(), Wanted("same"), Wanted(type="lora")):
                assert [
                    each for start in range(0, 12, 2) for each in browsed_hashes(connection, wanted, order, 2, start)
                ] == expected
