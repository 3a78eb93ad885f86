"""A real catalogue for each test, and short ways to put something into it."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import location_at

from modelkeep.catalogue.bare_sqlite import restored_path, storable_path
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.dialect import writing_engine
from modelkeep.catalogue.prepared import prepare_news
from modelkeep.domain.claims import Judgement, Reading
from modelkeep.domain.detection import Found
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow, TakenRow, TakenRows, Taking
from modelkeep.domain.migration import MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Location, LocationState, Model, PendingImport, RenderedImage, Strategy

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
NOW = 1_735_689_600_000
ROOTS = [Root("/m")]
NOT_UTF8 = "/m/caf\udce9/\udcff\udc80 模型.safetensors"
"""A path whose bytes are no UTF-8."""

Dump = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def file(tmp_path: Path, fresh_file: Path) -> Path:
    return Path(shutil.copy(fresh_file, tmp_path / "modelkeep.db"))


@pytest.fixture
def catalogue(file: Path) -> Iterator[Catalogue]:
    opened = Catalogue(file)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def engine(fresh_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A catalogue to which nothing is ever committed."""
    path = tmp_path_factory.mktemp("engine") / "modelkeep.db"
    path.write_bytes(fresh_file.read_bytes())
    made = writing_engine(path)
    yield made
    made.dispose()


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Begin a transaction of an engine that nobody else needs; its connections are closed in the end."""
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def dump(file: Path) -> Dump:
    """Return every row of every table, as another program sees them."""
    with closing(sqlite3.connect(file)) as connection:
        connection.text_factory = bytes
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        return {
            name.decode(): sorted(connection.execute(f'SELECT * FROM "{name.decode()}"').fetchall(), key=repr)
            for (name,) in names
        }


def rows_of(file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query, values).fetchall()


def execute(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# The queue and migrations


async def queue(catalogue: Catalogue, *paths: str, size_bytes: int = 10) -> list[PendingImport]:
    """Queue files as detection does."""
    detected = await catalogue.detect([Found(path, size_bytes) for path in paths], ROOTS, NOW)
    return [row for row, _ in detected]


def print_of(number: int) -> Fingerprint:
    return Fingerprint(device=1, inode=1000 + number, size_bytes=10, mtime_ns=5_000_000_000 + number)


def dated(path: Path, seconds: int) -> Fingerprint:
    path.write_bytes(b"x")
    os.utime(path, ns=(0, seconds * 10**9))
    return Fingerprint.from_stat(path.stat())


def rendered(digest: str) -> RenderedImage:
    staged = {quality: f"{digest}_{quality}.webp" for quality in ("high", "medium", "low")}
    return RenderedImage(staged, 64, 48, digest)


def order(
    row: PendingImport,
    sha256: str,
    strategy: Strategy = Strategy.AUTO,
    *,
    image: str = "",
    refused: str = "",
    fingerprint: Fingerprint | None = None,
) -> MigrationOrder:
    return MigrationOrder(
        migration=f"migration-{row.id}",
        pending_id=row.id,
        path=row.path,
        sha256=sha256,
        fingerprint=fingerprint or print_of(row.id),
        strategy=strategy,
        image=rendered(image) if image else None,
        image_refused=refused,
    )


async def migrate(
    catalogue: Catalogue,
    *orders: MigrationOrder,
    finished: Sequence[str] = (),
    before_commit: Callable[[Sequence[MigrationResult]], None] = lambda _: None,
) -> list[MigrationResult]:
    return await catalogue.migrate(orders, finished, NOW + 1, before_commit)


async def hashed(catalogue: Catalogue, path: str, sha256: str) -> Location:
    """Bring a file into the catalogue as a stranger that was found and hashed; returns its location."""
    (row,) = await queue(catalogue, path)
    (result,) = await migrate(catalogue, order(row, sha256))
    assert result.outcome is Outcome.DONE
    place = await location_at(catalogue, path)
    assert place is not None
    return place


async def the_model(catalogue: Catalogue, sha256: str) -> Model:
    details = await catalogue.model(sha256)
    assert details is not None
    return details.model


async def the_row(catalogue: Catalogue, path: str) -> PendingImport:
    row = await catalogue.pending_by_path(path)
    assert row is not None
    return row


async def paths_of(catalogue: Catalogue, sha256: str) -> dict[str, LocationState]:
    details = await catalogue.model(sha256)
    return {place.path: place.state for place in details.locations} if details else {}


def takings(taken: Sequence[TakenRow]) -> list[Taking]:
    return [row.taking for row in taken]


# Claims


async def read(
    catalogue: Catalogue,
    path: str,
    claim: str,
    found: str,
    fingerprint: Fingerprint | None = None,
    *,
    image: str = "",
    before_commit: Callable[[PendingImport], None] = lambda _: None,
) -> Judgement:
    """Hold what a claimed file was read to be against the claim."""
    reading = Reading(path, found, fingerprint or print_of(1), claim)
    source = await catalogue.image_to_follow(reading)
    return await catalogue.judge_claims(reading, source, image, ROOTS, NOW + 3, before_commit)


# Legacy rows


def legacy(
    key: str,
    path: str = "",
    *,
    digest: str = "",
    tags: Sequence[str | LegacyTag] = (),
    on_disk: Fingerprint | None = None,
    copied: str = "",
    image: str = "",
    **values: Any,
) -> StagedRow:
    """Return a legacy row. `image` is the digest of a rendered one, `copied` the name of a staged copy."""
    row = LegacyRow(
        key=key,
        digest=digest or f"digest of {key}",
        path=path or f"/m/{key}.pt",
        original_path=path,
        tags=tuple(LegacyTag(tag) if isinstance(tag, str) else tag for tag in tags),
        image="/images/x.png" if image or copied else "",
        **values,
    )
    return StagedRow(row, rendered(image) if image else None, copied, on_disk)


async def take(
    catalogue: Catalogue,
    *rows: StagedRow,
    kind: str = "hikaze-v1",
    source: str = "/old/hikaze.sqlite3",
    dry_run: bool = False,
    again: bool = False,
    before_commit: Callable[[TakenRows], None] = lambda _: None,
) -> list[TakenRow]:
    """Take rows as an import does: what need not be taken one by one is taken at once; returns all in their order."""
    numbered = {number: replace(staged, number=number) for number, staged in enumerate(rows, start=1)}
    before = _taken_before(catalogue.database.path, kind, source)
    with TemporaryDirectory() as made:
        prepared = Path(made, "rows")
        prepare_news(prepared, kind, source, [staged.row for staged in rows], catalogue=catalogue.database.path)
        survey = await catalogue.survey(kind, source, prepared, again=again)
        singly = [replace(numbered[number], row=row) for number, row in survey.rows.items()]
        on_disk = {number: numbered[number].on_disk for number, _ in survey.plain}
        taken = await catalogue.import_rows(
            *(kind, source, singly, NOW, before_commit),
            dry_run=dry_run,
            again=again,
            prepared=prepared,
            on_disk={number: found for number, found in on_disk.items() if found is not None},
        )
        told = in_order([staged.row for staged in rows], taken, before)
    assert sum(row.is_dropped for row in told) == taken.dropped + sum(row.is_dropped for row in taken.rows)
    return told


def in_order(rows: Sequence[LegacyRow], taken: TakenRows, before: Mapping[str, tuple[str, int]]) -> list[TakenRow]:
    """Return what was done with each row; `before` says what the rows that are unchanged had become."""
    done = {row.row.key: row for row in taken.rows}
    plain = {key: (sha256, pending_id) for _, key, sha256, pending_id in taken.plain}
    assert len(done) + len(plain) + taken.unchanged == len(rows)
    assert taken.models == sum(1 for *_, pending_id in taken.plain if not pending_id)
    told = []
    for row in rows:
        if row.key in plain:
            sha256, pending_id = plain[row.key]
            taking = Taking.PENDING if pending_id else Taking.MODEL
            told.append(TakenRow(row, taking, sha256, pending_id))
        else:
            told.append(done.get(row.key) or TakenRow(row, Taking.UNCHANGED, *before.get(row.key, ("", 0))))
    return told


def _taken_before(file: Path, kind: str, source: str) -> dict[str, tuple[str, int]]:
    query = "SELECT row_key, sha256, pending_id FROM imported_rows WHERE kind = ? AND source = ?"
    found = rows_of(file, query, kind, storable_path(source))
    return {restored_path(key): (sha256, pending_id) for key, sha256, pending_id in found}
