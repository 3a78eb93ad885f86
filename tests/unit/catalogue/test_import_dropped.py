"""Rows of a source whose result the owner dropped: left alone and told, and taken again when he asks for it."""

from collections.abc import Sequence
from pathlib import Path

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.acts import ActKind, ActOrder
from modelkeep.domain.legacy import StagedRow, TakenRow, Taking
from modelkeep.domain.values import Strategy

from .conftest import NOW, A, B, dump, legacy, migrate, order, print_of, take, the_row


async def take_again(catalogue: Catalogue, *rows: StagedRow) -> list[TakenRow]:
    return await take(catalogue, *rows, again=True)


def waiting() -> StagedRow:
    return legacy("a", name="Named", tags=["x"], on_disk=print_of(1))


def facts(taken: Sequence[TakenRow]) -> list[tuple[Taking, bool]]:
    return [(row.taking, row.is_dropped) for row in taken]


async def test_a_row_that_was_dropped_is_told_and_taken_again_when_that_is_asked_for(catalogue: Catalogue) -> None:
    await take(catalogue, waiting())
    await catalogue.drop_pending((await the_row(catalogue, "/m/a.pt")).id)
    assert facts(await take(catalogue, waiting())) == [(Taking.UNCHANGED, True)]
    assert facts(await take_again(catalogue, waiting())) == [(Taking.PENDING, False)]
    row = await the_row(catalogue, "/m/a.pt")
    assert (row.name, [tag.name for tag in row.tags]) == ("Named", ["x"])
    assert facts(await take(catalogue, waiting())) == [(Taking.UNCHANGED, False)]


async def test_what_was_not_dropped_is_left_alone_though_dropped_rows_are_taken_again(
    catalogue: Catalogue, file: Path
) -> None:
    rows = [waiting(), legacy("b", name="Migrated", on_disk=print_of(2)), legacy("c", claim=A, name="Claimed")]
    await take(catalogue, *rows)
    await migrate(catalogue, order(await the_row(catalogue, "/m/b.pt"), B))
    before = dump(file)
    assert facts(await take_again(catalogue, *rows)) == 3 * [(Taking.UNCHANGED, False)]
    assert dump(file) == before


async def test_a_row_that_the_owner_decided_to_delete_can_be_taken_again(catalogue: Catalogue) -> None:
    await take(catalogue, waiting(), legacy("b", name="Other", claim=A))
    row = await the_row(catalogue, "/m/a.pt")
    await migrate(catalogue, order(row, A, strategy=Strategy.DELETE))
    assert facts(await take(catalogue, waiting())) == [(Taking.UNCHANGED, True)]
    assert facts(await take_again(catalogue, waiting())) == [(Taking.PENDING, False)]


async def test_rows_of_a_model_that_was_purged_can_be_taken_again(catalogue: Catalogue) -> None:
    rows = [waiting(), legacy("c", claim=A, name="Claimed"), legacy("d", name="Still waiting")]
    await take(catalogue, *rows)
    await migrate(catalogue, order(await the_row(catalogue, "/m/a.pt"), B))
    await catalogue.set_missing(["/m/a.pt"], "it is gone", NOW)
    for sha256 in (A, B):
        await catalogue.act(ActOrder(f"purge {sha256}", ActKind.PURGED, sha256), [], NOW, lambda _: None)
    assert facts(await take(catalogue, *rows)) == [(Taking.UNCHANGED, True)] * 2 + [(Taking.UNCHANGED, False)]
    taken = await take_again(catalogue, *rows)
    assert [row.taking for row in taken] == [Taking.PENDING, Taking.MODEL, Taking.UNCHANGED]
