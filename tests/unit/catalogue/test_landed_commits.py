"""Whether a commit that failed has landed, asked of the catalogue itself."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.acts import ActKind, ActOrder
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.values import RenderedImage

A = "a" * 64
NOW = 1_735_689_600_000
STAGED = {"high": "h.webp", "medium": "m.webp", "low": "l.webp"}


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    """A catalogue that knows one model."""
    made = Catalogue.open(tmp_path / "kept" / "modelkeep.db")
    row = LegacyRow(key="1", digest="1", path="/m/a.pt", original_path="", claim=A, name="Hero")
    await made.import_rows("hikaze-v1", "/old", [StagedRow(row)], NOW, lambda _: None)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "kept"
    made.mkdir()
    return made


async def upload(catalogue: Catalogue, migration: str) -> None:
    image = RenderedImage(STAGED, 1, 1, "d" * 64)
    await catalogue.act(ActOrder(migration, ActKind.IMAGE_UPLOADED, A, image=image), (), NOW, lambda _: None)


async def found_at_a_start(folder: Path, copy: Path) -> set[str]:
    """Return the migrations that whoever opens these files anew finds committed."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*-shm"))
    anew = Catalogue.open(copy / "modelkeep.db")
    try:
        return set(await anew.committed_migrations())
    finally:
        anew.close()


async def test_a_commit_that_landed_is_told_from_one_that_did_not(catalogue: Catalogue) -> None:
    await upload(catalogue, "landed")
    asked = ["landed", *(f"other {number}" for number in range(1200))]
    assert await catalogue.landed_migrations(asked) == {"landed"}
    assert set(await catalogue.committed_migrations()) == {"landed"}


async def test_what_did_not_land_is_not_found_by_a_later_start_either(
    catalogue: Catalogue, folder: Path, tmp_path: Path
) -> None:
    """The frames of a commit whose fsync failed lie in SQLite's log, where only a start would see them."""
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin, ignore=shutil.ignore_patterns("*-shm"))
    committed = Catalogue.open(twin / "modelkeep.db")
    try:
        assert (twin / "modelkeep.db-wal").read_bytes() == (folder / "modelkeep.db-wal").read_bytes()
        await upload(committed, "failed")
        frames = (twin / "modelkeep.db-wal").read_bytes()
    finally:
        committed.close()
    (folder / "modelkeep.db-wal").write_bytes(frames)
    assert await catalogue.committed_migrations() == {}
    assert await found_at_a_start(folder, tmp_path / "before") == {"failed"}
    assert await catalogue.landed_migrations(["failed"]) == set()
    assert await found_at_a_start(folder, tmp_path / "after") == set()


async def test_an_import_drops_finished_ids_unless_it_fails_or_is_a_dry_run(catalogue: Catalogue) -> None:
    await upload(catalogue, "finished")

    def refuse(_: object) -> None:
        raise RuntimeError("the journal cannot be written")

    with pytest.raises(RuntimeError):
        await catalogue.import_rows("hikaze-v1", "/old", [], NOW, refuse, finished=["finished"])
    await catalogue.import_rows("hikaze-v1", "/old", [], NOW, lambda _: None, finished=["finished"], dry_run=True)
    assert set(await catalogue.committed_migrations()) == {"finished"}
    await catalogue.import_rows("hikaze-v1", "/old", [], NOW, lambda _: None, finished=["finished"])
    assert await catalogue.committed_migrations() == {}
