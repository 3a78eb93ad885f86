"""Rows that were prepared become what they become one by one: in all tables, and in what is told of them."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import NOT_UTF8

from modelkeep.catalogue.bare_sqlite import storable_path
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.prepared import TAKEN_BEFORE, Taken, prepare, prepare_news
from modelkeep.catalogue.sqlite_files import attached
from modelkeep.catalogue.store.import_survey import SCHEMA, survey
from modelkeep.catalogue.store.importing import import_rows
from modelkeep.catalogue.store.pending import detect, drop_pending, get_pending_imports
from modelkeep.catalogue.tables import metadata, pending_import
from modelkeep.domain.detection import Found
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow, TakenRows, Taking

from .conftest import NOW, ROOTS, in_order, rows_of

SOURCE = f"/old {NOT_UTF8}"
CLAIMS = ["", "", "a" * 64, "b" * 64, "c" * 64, "d" * 64]
X = LegacyTag("x")
PATHS = [f"/m/{name}" for name in ("a.pt", "b.pt", "loras/c.pt", NOT_UTF8, "模型 \U0010ff7f.pt", "d.pt", "e.pt")]
METAS: list[dict[str, Any]] = [{}, {"description": 'says "tags": [] and so on', "x": [1.5, None]}, {"名": "\x7f"}]

rows = st.builds(
    LegacyRow,
    key=st.sampled_from([str(number) for number in range(9)]),
    digest=st.sampled_from(["1", "2"]),
    path=st.sampled_from(PATHS),
    original_path=st.sampled_from(["/m/a.pt", "/old \udcff"]),
    is_mapped=st.booleans(),
    remarks=st.sampled_from([(), (), ("is odd \udcff",)]),
    name=st.sampled_from(["", "", "A name", "another"]),
    type=st.sampled_from(["", "loras"]),
    base=st.sampled_from(["", "SDXL"]),
    created_at=st.integers(0, 3),
    meta=st.sampled_from(METAS),
    size_bytes=st.sampled_from([0, 7]),
    claim=st.sampled_from(CLAIMS),
    tags=st.lists(
        st.builds(LegacyTag, st.sampled_from(["x", "y", f"z{NOT_UTF8[3]}"]), st.sampled_from(["", "#fff"])),
        max_size=3,
    ).map(tuple),
    image=st.sampled_from(["", "", "", "/images/x.png"]),
)
sources = st.lists(rows, max_size=9, unique_by=(lambda row: row.key, lambda row: row.path)).map(tuple)
on_disk = st.dictionaries(
    st.sampled_from(PATHS), st.builds(Fingerprint, *(st.sampled_from([1, 2**64 - 1, 2**63]),) * 2, *(st.just(7),) * 4)
)


@contextmanager
def beside(engine: sa.Engine, file: Path | None) -> Iterator[sa.Connection]:
    """Have the tables of a file beside the catalogue's, in a transaction that leaves nothing."""
    with attached(engine, file, SCHEMA), engine.connect() as connection:
        try:
            yield connection
        finally:
            connection.rollback()


def take_with_care(file: Path) -> None:
    """Have all rows of a file taken one by one."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE rows SET is_careful = 1")


@dataclass
class Runs:
    """What two sources hold, and what is on the disk and in the queue before."""

    first: Sequence[LegacyRow]
    second: Sequence[LegacyRow]
    found: Mapping[str, Fingerprint]
    detected: set[str]
    again: bool

    def outcome(self, engine: sa.Engine, folder: Path, *, singly: bool) -> object:
        """Take both sources, and return what is told and all that the tables hold."""
        file = folder / f"{singly}"
        prepare(file, "hikaze", self.second, frozenset() if singly else self._taken(engine))
        if singly:
            take_with_care(file)
        with beside(engine, file) as connection:
            self._take_first(connection)
            return _held(connection, self._take_second(connection, file), self.second)

    def _taken(self, engine: sa.Engine) -> Taken:
        """Return what the process that reads the second source finds of the first."""
        with beside(engine, None) as connection:
            self._take_first(connection)
            asked = connection.exec_driver_sql(TAKEN_BEFORE, ("hikaze", storable_path(SOURCE)))
            return {(key, digest, path) for key, digest, path in asked}

    def _take_first(self, connection: sa.Connection) -> None:
        detect(connection, [Found(path, 7) for path in sorted(self.detected)], ROOTS, NOW)
        rows = [StagedRow(row, on_disk=self.found.get(row.path)) for row in self.first]
        import_rows(connection, "hikaze", SOURCE, rows, NOW, lambda _: None)
        for row in get_pending_imports(connection)[:1]:
            drop_pending(connection, row.id)

    def _take_second(self, connection: sa.Connection, file: Path) -> TakenRows:
        known = survey(connection, "hikaze", SOURCE, file, again=self.again)
        assert len(known.rows) + len(known.plain) + len(known.unchanged) == len(self.second)
        rows = [StagedRow(row, on_disk=self.found.get(row.path), number=n) for n, row in known.rows.items()]
        on_disk = {number: self.found[path] for number, path in known.plain if path in self.found}
        told: list[TakenRows] = []
        about = connection, "hikaze", SOURCE, rows, NOW, told.append
        taken = import_rows(*about, again=self.again, prepared=file, on_disk=on_disk)
        assert told == [taken]
        return taken


def _held(connection: sa.Connection, taken: TakenRows, source: Sequence[LegacyRow]) -> object:
    """Return what is told and held, with paths instead of the ids of the queue: those follow the order of taking."""
    waiting = connection.execute(sa.select(pending_import.c.id, pending_import.c.path))
    paths = {0: "", **{row.id: row.path for row in waiting}}
    ids = {"pending_import": "id", "pending_model_tags": "model_id", "imported_rows": "pending_id"}
    held = {}
    for table in metadata.sorted_tables:
        rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        for row in rows:
            if table.name in ids:
                row[ids[table.name]] = paths[row[ids[table.name]]]
        held[table.name] = sorted(rows, key=repr)
    told = in_order(source, taken, {})
    return [replace(row, pending_id=0) for row in told], [paths.get(row.pending_id) for row in told], held


@given(
    runs=st.builds(Runs, sources, sources, on_disk, st.sets(st.sampled_from(PATHS), max_size=3), again=st.booleans())
)
def test_prepared_rows_become_what_they_become_one_by_one(engine: sa.Engine, runs: Runs) -> None:
    with TemporaryDirectory() as made:
        at_once, singly = (runs.outcome(engine, Path(made), singly=singly) for singly in (False, True))
    assert at_once == singly


@given(source=sources)
def test_a_row_comes_back_from_the_file_as_it_was(engine: sa.Engine, source: Sequence[LegacyRow]) -> None:
    with TemporaryDirectory() as made:
        file = Path(made, "rows")
        prepare(file, "hikaze", source)
        take_with_care(file)
        with beside(engine, file) as connection:
            assert survey(connection, "hikaze", SOURCE, file).rows == dict(enumerate(source, start=1))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_rehearsal_or_a_failure_leaves_nothing_and_the_file_is_let_go(
    catalogue: Catalogue, tmp_path: Path, fails: bool
) -> None:
    source = [LegacyRow(key=str(n), digest="1", path=f"/m/{n}.pt", original_path="/old") for n in (1, 2)]
    path = tmp_path / "prepared"
    prepare(path, "hikaze", source)

    def fail(_: object) -> None:
        raise ValueError("no")

    for _ in range(2):
        if fails:
            with pytest.raises(ValueError, match="no"):
                await catalogue.import_rows("hikaze", "/old", [], NOW, fail, prepared=path)
        else:
            await catalogue.import_rows("hikaze", "/old", [], NOW, fail, dry_run=True, prepared=path)
        assert await catalogue.pending_imports() == []
    await catalogue.import_rows("hikaze", "/old", [], NOW, lambda _: None, prepared=path)
    assert [row.path for row in await catalogue.pending_imports()] == ["/m/1.pt", "/m/2.pt"]


async def test_what_became_known_after_the_question_is_taken_with_care_nevertheless(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    rows = [LegacyRow(key="1", digest="1", path="/m/a.pt", original_path="/m/a.pt", name="Theirs", tags=(X,))]
    prepare(tmp_path / "rows", "hikaze", rows)
    assert list((await catalogue.survey("hikaze", "/old", tmp_path / "rows")).plain) == [(1, "/m/a.pt")]
    await catalogue.detect([Found("/m/a.pt", 7)], ROOTS, NOW)
    taken = await catalogue.import_rows("hikaze", "/old", [], NOW, lambda _: None, prepared=tmp_path / "rows")
    assert [(row.row.key, row.taking) for row in taken.rows] == [("1", Taking.PENDING)]
    assert [(row.path, row.name) for row in await catalogue.pending_imports()] == [("/m/a.pt", "Theirs")]


async def test_what_another_import_took_after_the_question_is_told_once(catalogue: Catalogue, tmp_path: Path) -> None:
    rows = [
        LegacyRow(key=str(n), digest="1", path=f"/m/{n}.pt", original_path="/old", image="/images/x.png")
        for n in (1, 2)
    ]
    prepare(tmp_path / "rows", "hikaze", rows)
    known = (await catalogue.survey("hikaze", "/old", tmp_path / "rows")).rows
    singly = [StagedRow(row, number=number) for number, row in known.items()]
    assert len(singly) == 2
    for expected in ((2, 0), (0, 2)):
        taken = await catalogue.import_rows("hikaze", "/old", singly, NOW, lambda _: None, prepared=tmp_path / "rows")
        assert (len(taken.rows), taken.unchanged) == expected


async def test_what_no_longer_meets_anything_after_the_question_is_told_once(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    await catalogue.detect([Found("/m/a.pt", 7)], ROOTS, NOW)
    row = LegacyRow(key="1", digest="1", path="/m/a.pt", original_path="/m/a.pt", name="Theirs")
    prepare(tmp_path / "rows", "hikaze", [row])
    assert (await catalogue.survey("hikaze", "/old", tmp_path / "rows")).rows == {1: row}
    await catalogue.drop_pending((await catalogue.pending_imports())[0].id)
    staged = StagedRow(row, number=1)
    taken = await catalogue.import_rows("hikaze", "/old", [staged], NOW, lambda _: None, prepared=tmp_path / "rows")
    assert len(taken.rows) + len(taken.plain) == 1
    assert [(row.path, row.name) for row in await catalogue.pending_imports()] == [("/m/a.pt", "Theirs")]


async def test_a_row_that_an_earlier_map_placed_is_looked_for_where_it_is(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    row = LegacyRow(key="1", digest="1", path="/m/a.pt", original_path="/srv/a.pt", is_mapped=True)
    prepare(tmp_path / "first", "hikaze", [row])
    await catalogue.import_rows("hikaze", "/old", [], NOW, lambda _: None, prepared=tmp_path / "first")
    prepare(tmp_path / "again", "hikaze", [replace(row, path="/srv/a.pt", is_mapped=False)])
    assert list((await catalogue.survey("hikaze", "/old", tmp_path / "again")).unchanged) == ["/m/a.pt"]


async def test_of_rows_that_are_taken_only_the_paths_are_handed_over(catalogue: Catalogue, tmp_path: Path) -> None:
    names = ("same", "changed", "dropped", "moved")
    rows = [LegacyRow(key=n, digest="1", path=f"/m/{n}{NOT_UTF8[3]}", original_path="/old") for n in names]
    prepare(tmp_path / "first", "hikaze", rows)
    await catalogue.import_rows("hikaze", SOURCE, [], NOW, lambda _: None, prepared=tmp_path / "first")
    dropped = next(row for row in await catalogue.pending_imports() if "dropped" in row.path)
    await catalogue.drop_pending(dropped.id)
    rows[1] = replace(rows[1], digest="2")
    rows[3] = replace(rows[3], path="/elsewhere", is_mapped=True)
    for source, numbers in ((SOURCE, [2, 3, 4]), ("/other", [1, 2, 3, 4])):
        file = tmp_path / f"again{len(numbers)}"
        prepare_news(file, "hikaze", source, rows, catalogue=catalogue.database.path)
        assert rows_of(file, "SELECT number FROM rows") == [(number,) for number in numbers]
    taken = await catalogue.import_rows("hikaze", SOURCE, [], NOW, lambda _: None, prepared=tmp_path / "again3")
    assert (taken.unchanged, taken.dropped) == (2, 1)
    assert sorted(row.row.key for row in taken.rows) == ["changed", "moved"]
    assert list((await catalogue.survey("hikaze", SOURCE, tmp_path / "again3")).unchanged)[-1] == rows[0].path


def test_a_catalogue_that_cannot_be_asked_now_has_all_rows_handed_over(tmp_path: Path) -> None:
    row = LegacyRow(key="1", digest="1", path="/m/a.pt", original_path="/m/a.pt")
    prepare_news(tmp_path / "rows", "hikaze", "/old", [row], catalogue=tmp_path / "no catalogue")
    assert rows_of(tmp_path / "rows", "SELECT path FROM rows") == [("/m/a.pt",)]
    assert not (tmp_path / "no catalogue").exists()
