"""Rows that were prepared become what they become one by one: in all tables, and in what is told of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import NOT_UTF8

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.dialect import attached, writing_engine
from modelkeep.catalogue.prepared import prepare
from modelkeep.catalogue.store.import_prepared import SCHEMA
from modelkeep.catalogue.store.importing import import_rows
from modelkeep.catalogue.store.pending import detect, drop_pending, get_pending_imports
from modelkeep.catalogue.tables import metadata
from modelkeep.domain.detection import Found
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow, TakenRow
from modelkeep.domain.values import Fingerprint

from .conftest import NOW, ROOTS

SOURCE = f"/old {NOT_UTF8}"
CLAIMS = ["", "", "a" * 64, "b" * 64, "c" * 64, "d" * 64]
PATHS = [f"/m/{name}" for name in ("a.pt", "b.pt", "loras/c.pt", NOT_UTF8, "模型 \U0010ff7f.pt", "d.pt", "e.pt")]
METAS: list[dict[str, Any]] = [{}, {"description": 'says "tags": [] and so on', "x": [1.5, None]}, {"名": "\x7f"}]

rows = st.builds(
    LegacyRow,
    key=st.sampled_from([str(number) for number in range(9)]),
    digest=st.sampled_from(["1", "2"]),
    path=st.sampled_from(PATHS),
    original_path=st.just("/old"),
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


@pytest.fixture(scope="module")
def engine(fresh_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A catalogue to which nothing is ever committed."""
    path = tmp_path_factory.mktemp("prepared") / "modelkeep.db"
    path.write_bytes(fresh_file.read_bytes())
    engine = writing_engine(path)
    yield engine
    engine.dispose()


@dataclass
class Runs:
    """What two sources hold, and what is on the disk and in the queue before."""

    first: Sequence[LegacyRow]
    second: Sequence[LegacyRow]
    found: Mapping[str, Fingerprint]
    detected: set[str]
    again: bool

    def outcome(self, connection: sa.Connection, *, is_prepared: bool) -> object:
        """Take both sources, and return what is told and all that the tables hold."""
        detect(connection, [Found(path, 7) for path in sorted(self.detected)], ROOTS, NOW)
        told = [self._take(connection, self.first, is_prepared=False)]
        for row in get_pending_imports(connection)[:1]:
            drop_pending(connection, row.id)
        told.append(self._take(connection, self.second, is_prepared=is_prepared))
        held = {table.name: connection.execute(sa.select(table)).all() for table in metadata.sorted_tables}
        return told, {name: sorted(map(tuple, rows), key=repr) for name, rows in held.items()}

    def _take(self, connection: sa.Connection, source: Sequence[LegacyRow], *, is_prepared: bool) -> list[TakenRow]:
        staged = [
            StagedRow(row, on_disk=self.found.get(row.path), prepared=0 if row.image else number)
            for number, row in enumerate(source, start=1)
        ]
        told: list[TakenRow] = []
        taken = import_rows(
            connection, "hikaze", SOURCE, staged, NOW, told.extend, again=self.again, is_prepared=is_prepared
        )
        assert told == taken
        return taken


@given(
    runs=st.builds(Runs, sources, sources, on_disk, st.sets(st.sampled_from(PATHS), max_size=3), again=st.booleans())
)
def test_prepared_rows_become_what_they_become_one_by_one(engine: sa.Engine, runs: Runs) -> None:
    outcomes = []
    with TemporaryDirectory() as made:
        path = Path(made, "prepared")
        is_made = prepare(path, "hikaze", runs.second)
        for is_prepared in (False, is_made):
            with attached(engine, path if is_prepared else None, SCHEMA), engine.connect() as connection:
                outcomes.append(runs.outcome(connection, is_prepared=is_prepared))
                connection.rollback()
    assert outcomes[0] == outcomes[1]


async def test_what_was_taken_before_is_not_prepared_again(tmp_path: Path) -> None:
    row = LegacyRow(key="1", digest="1", path="/m/a.pt", original_path="/old")
    assert not prepare(tmp_path / "none", "hikaze", [row], known={"1"})
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_rehearsal_or_a_failure_leaves_nothing_and_the_file_is_let_go(
    catalogue: Catalogue, tmp_path: Path, fails: bool
) -> None:
    source = [LegacyRow(key=str(n), digest="1", path=f"/m/{n}.pt", original_path="/old") for n in (1, 2)]
    path = tmp_path / "prepared"
    assert prepare(path, "hikaze", source)
    staged = [StagedRow(row, prepared=number) for number, row in enumerate(source, start=1)]

    def fail(_: object) -> None:
        raise ValueError("no")

    for _ in range(2):
        if fails:
            with pytest.raises(ValueError, match="no"):
                await catalogue.import_rows("hikaze", "/old", staged, NOW, fail, prepared=path)
        else:
            await catalogue.import_rows("hikaze", "/old", staged, NOW, fail, dry_run=True, prepared=path)
        assert await catalogue.pending_imports() == []
    await catalogue.import_rows("hikaze", "/old", staged, NOW, lambda _: None, prepared=path)
    assert [row.path for row in await catalogue.pending_imports()] == ["/m/1.pt", "/m/2.pt"]
