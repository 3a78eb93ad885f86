"""Looking through the library: words, tags, types and orders, a page at a time, answered by an index."""

import sqlite3
from pathlib import Path

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.dialect import reading_engine
from modelkeep.catalogue.store.browsing import browse, count_by_type
from modelkeep.domain.browsing import Order, TypeCount, Wanted

from .conftest import NOT_UTF8, A, B, C, D, legacy, rows_of, take, transaction


@pytest.fixture
async def library(catalogue: Catalogue) -> Catalogue:
    """Four models, in another order than that of anything."""
    await take(
        catalogue,
        legacy("d", claim=D, name="delta 100%", type="vae", size_bytes=1, created_at=20, meta={"description": 7}),
        legacy("b", claim=B, name="Beta_x", type="lora", size_bytes=2, created_at=40, tags=["anime", "Blue sky"]),
        legacy(
            "a",
            claim=A,
            name="alpha",
            type="lora",
            size_bytes=4,
            created_at=10,
            meta={"description": 'A "quoted" red\nhouse'},
            tags=["anime", "x"],
            image="p2",
        ),
        legacy("c", NOT_UTF8, claim=C, name="Gamma", size_bytes=3, created_at=30, meta={"note": "red"}),
    )
    return catalogue


async def names(catalogue: Catalogue, wanted: Wanted = Wanted(), *page: object) -> list[str]:  # noqa: B008 - frozen
    return [model.name for model, _ in await catalogue.browse(wanted, *page)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.NAME, ["alpha", "Beta_x", "delta 100%", "Gamma"]),
        (Order.NEWEST, ["Beta_x", "Gamma", "delta 100%", "alpha"]),
        (Order.OLDEST, ["alpha", "delta 100%", "Gamma", "Beta_x"]),
        (Order.LARGEST, ["alpha", "Gamma", "Beta_x", "delta 100%"]),
        (Order.SMALLEST, ["delta 100%", "Beta_x", "Gamma", "alpha"]),
    ],
)
async def test_every_order_has_all_models_and_its_pages_join(
    library: Catalogue, order: Order, expected: list[str]
) -> None:
    assert await names(library, Wanted(), order) == expected
    assert [*await names(library, Wanted(), order, 3), *await names(library, Wanted(), order, 3, 3)] == expected


async def test_models_that_are_alike_follow_by_their_hash(catalogue: Catalogue) -> None:
    await take(catalogue, *(legacy(str(n), f"/m/{n}.pt", claim=f"{n:064x}", name="same") for n in (3, 1, 2)))
    for order in Order:
        assert [model.sha256[-1] for model, _ in await catalogue.browse(Wanted(), order)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALPHA", ["alpha"]),
        ("red", ["alpha"]),
        ("house quoted", ["alpha"]),
        ("house beta", []),
        ("7", ["delta 100%"]),
        ("anim", ["alpha", "Beta_x"]),
        ("anime beta", ["Beta_x"]),
        ("sky", ["Beta_x"]),
        ("%", ["delta 100%"]),
        ("a_x", ["Beta_x"]),
        (NOT_UTF8.rsplit("/", 1)[-1].split()[0], ["Gamma"]),
        ("模型", ["Gamma"]),
        ("  ", ["alpha", "Beta_x", "delta 100%", "Gamma"]),
        ("'; DROP TABLE models; --", []),
        ('"}', []),
    ],
)
async def test_every_word_is_looked_for_in_name_path_description_and_tags(
    library: Catalogue, text: str, expected: list[str]
) -> None:
    assert await names(library, Wanted(text)) == expected
    assert sum(count.models for count in await library.count_by_type(Wanted(text))) == len(expected)


async def test_many_words_are_looked_for_too(library: Catalogue) -> None:
    assert await names(library, Wanted(" ".join(["alpha"] * 400))) == ["alpha"]


async def test_all_tags_and_the_type_count_together(library: Catalogue) -> None:
    assert await names(library, Wanted(tags=("anime",))) == ["alpha", "Beta_x"]
    assert await names(library, Wanted(tags=("anime", "x"))) == ["alpha"]
    assert await names(library, Wanted(tags=("anim",))) == []
    assert await names(library, Wanted("sky", ("anime",), "lora")) == ["Beta_x"]
    assert await names(library, Wanted("sky", ("anime",), "vae")) == []
    assert await names(library, Wanted(type="")) == ["Gamma"]


async def test_types_are_counted_under_the_other_conditions(library: Catalogue) -> None:
    assert await library.count_by_type(Wanted()) == [TypeCount("", 1), TypeCount("lora", 2), TypeCount("vae", 1)]
    assert await library.count_by_type(Wanted("e", tags=("anime",))) == [TypeCount("lora", 2)]


async def test_models_come_with_tags_and_number_of_images(library: Catalogue) -> None:
    ((model, images),) = await library.browse(Wanted("alpha"))
    assert ([tag.name for tag in model.tags], images) == (["anime", "x"], 1)


@pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 40), reason="needs SQLite 3.40: it takes expressions from indexes"
)
@pytest.mark.parametrize("order", Order)
def test_the_texts_are_taken_from_the_index(file: Path, order: Order) -> None:
    """Where they are made of the table's rows instead, 50,000 models take a multiple of the time."""
    asked: list[str] = []
    with transaction(reading_engine(file)) as connection:
        connection.connection.set_trace_callback(asked.append)
        browse(connection, Wanted("red", type="lora"), order)
        count_by_type(connection, Wanted("red"))
    queries = [query for query in asked if "LIKE" in query]
    assert len(queries) == 2
    for query in queries:
        assert not [step for step in rows_of(file, f"EXPLAIN {query}") if "json_extract" in str(step[5])]
