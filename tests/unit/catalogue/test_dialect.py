"""One module knows which database the catalogue is in, and the ids of the queue come from the database."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import modelkeep
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.dialect import insert_missing, upsert
from modelkeep.catalogue.tables import images, metadata, model_tags
from modelkeep.domain.detection import Found

from .conftest import NOW, ROOTS, queue

PACKAGE = Path(modelkeep.__file__).parent
ITS_OWN = (
    *("catalogue/dialect.py", "catalogue/columns.py", "catalogue/bare_sqlite.py", "catalogue/sqlite_files.py"),
    "catalogue/revisions/",
)
FOREIGN_FILES = ("importers/", "doctor/", "dev/demo_legacy.py")
"""They read, or write, databases that are no catalogue in use."""

SQL_OF_SQLITE = re.compile(r"\bPRAGMA\b|\bsqlite_\w|\bBEGIN\b")


def traces(path: Path) -> Iterator[str]:
    """Yield what betrays that a module knows its database."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if is_sqlite(name.name))
            case ast.ImportFrom(module=str(module)) if is_sqlite(module):
                yield module
            case ast.keyword(arg=str(name)) if name.startswith("sqlite_"):
                yield name
            case ast.Constant(value=str(text)) if SQL_OF_SQLITE.search(text):
                yield text


def is_sqlite(module: str) -> bool:
    return module == "sqlite3" or module.startswith("sqlalchemy.dialects")


def test_only_its_own_modules_know_which_database_it_is() -> None:
    modules = {str(path.relative_to(PACKAGE)): path for path in PACKAGE.rglob("*.py")}
    found = {name: [*traces(path)] for name, path in modules.items() if not name.startswith(ITS_OWN + FOREIGN_FILES)}
    assert {name: told for name, told in found.items() if told} == {}


def test_that_module_is_found_out() -> None:
    assert "sqlite3" in set(traces(PACKAGE / "catalogue" / "dialect.py"))


def test_another_database_gives_the_ids_of_64_bits() -> None:
    for name in ("tags", "pending_import"):
        table = sa.schema.CreateTable(metadata.tables[name]).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
        assert "id BIGSERIAL" in str(table)


def test_an_upsert_writes_all_columns_but_the_key() -> None:
    assert "ON CONFLICT (sha256, seq) DO UPDATE SET width = excluded.width" in str(upsert(images))
    assert str(insert_missing(model_tags)).endswith("ON CONFLICT DO NOTHING")


async def test_ids_are_given_in_the_order_of_the_files_and_never_twice(catalogue: Catalogue) -> None:
    first = await queue(catalogue, *(f"/m/{number}.ckpt" for number in range(1200)))
    assert [row.id for row in first] == list(range(1, 1201))
    await catalogue.drop_pending(1200)
    again = await catalogue.detect([Found("/m/z", 1), Found("/m/a", 1), Found("/m/z", 2)], ROOTS, NOW)
    assert [(row.path, row.id, is_new) for row, is_new in again] == [
        ("/m/z", 1201, True),
        ("/m/a", 1202, True),
        ("/m/z", 1201, False),
    ]
    assert [row for row, _ in again] == [await catalogue.pending(row.id) for row, _ in again]
