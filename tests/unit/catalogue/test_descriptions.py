"""What is said of a file goes all the way: from a legacy row through the queue to the model and to the screen."""

from dataclasses import fields

from modelkeep.api import answers, queue_answers, shapes
from modelkeep.api.sides import comparable
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.tables import models, pending_import
from modelkeep.domain.description import FURTHER_TEXTS, TEXTS
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.values import Model, PendingImport

from .conftest import NOW, A, migrate, order, the_model

SAID = {text: f"the {text}" for text in TEXTS}
META = {"description": "d"}


async def say(catalogue: Catalogue, name: str, said: dict[str, str]) -> PendingImport:
    path = f"/m/{name}.pt"
    staged = StagedRow(LegacyRow(name, "d", path, path, created_at=5, meta=META, **said))  # type: ignore[arg-type]
    await catalogue.import_rows("hikaze", "/old.db", [staged], NOW, lambda _: None)
    row = await catalogue.pending_by_path(path)
    assert row is not None
    return row


def test_every_field_is_a_column_of_both_tables() -> None:
    for kind, table in ((Model, models), (PendingImport, pending_import)):
        names = {"meta_json" if field.name == "meta" else field.name for field in fields(kind)} - {"tags"}
        assert names == set(table.columns.keys())


async def test_a_row_and_the_model_that_it_becomes_say_the_same(catalogue: Catalogue) -> None:
    row = await say(catalogue, "a", SAID)
    assert row.description == {**SAID, "created_at": 5, "meta": META}
    await migrate(catalogue, order(row, A))
    assert (await the_model(catalogue, A)).description == row.description


async def test_the_interface_and_the_command_line_tell_all_of_it(catalogue: Catalogue) -> None:
    row = await say(catalogue, "a", SAID)
    queued = shapes.queue_row(row)
    assert queue_answers.QueueRow.model_validate(queued).model_dump().items() >= SAID.items()
    await migrate(catalogue, order(row, A))
    details = await catalogue.model(A)
    assert details is not None
    shape = shapes.model_details(details)
    assert answers.DetailedModel.model_validate(shape).model_dump().items() >= {
        (text, SAID[text]) for text in FURTHER_TEXTS
    }
    assert comparable({**shape, **shape["model"]}).items() >= SAID.items()
    assert comparable(queued).items() >= SAID.items()


async def test_what_differs_is_for_the_owner_to_decide(catalogue: Catalogue) -> None:
    await migrate(catalogue, order(await say(catalogue, "a", SAID), A))
    other = await say(catalogue, "b", {text: f"another {text}" for text in TEXTS})
    (result,) = await migrate(catalogue, order(other, A))
    assert result.decision is not None
    assert result.decision.lost_keys == ("name", "type", *FURTHER_TEXTS)
