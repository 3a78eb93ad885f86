"""Imports of real sources into a real data folder, whose disk does not take everything."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.image_files import jpeg
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until_async

from modelkeep.domain.legacy import ImportOrder
from modelkeep.errors import StorageError
from modelkeep.journal.reader import read
from modelkeep.service.holdings import Holdings, open_holdings
from modelkeep.service.importing import Running, import_stream
from modelkeep.settings.model import Settings


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Holdings]:
    async with open_holdings(Settings(data_dir=tmp_path / "data"), "a test") as holdings:
        yield holdings


@pytest.fixture
def hero(tmp_path: Path) -> Path:
    """A model's file that the source knows with its hash and an image."""
    return put(tmp_path / "models" / "hero.pt", safetensors("hero"))


@pytest.fixture
def source(tmp_path: Path, hero: Path) -> str:
    library = LegacyLibrary()
    library.add(hero, (".jpg", jpeg(1, (48, 32))), name="Hero", hash_hex=sha256_of(hero))
    return str(library.write(tmp_path / "old"))


def refuse(self: Path, *_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))


async def run(kept: Holdings, source: str) -> None:
    async for _ in import_stream(kept, ImportOrder("hikaze", source)):
        pass


async def test_committed_images_that_the_disk_does_not_take_are_told_and_published_later(
    kept: Holdings, source: str, hero: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = sha256_of(hero)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        await run(kept, source)
    (trouble,) = kept.troubles.current()
    assert (trouble.part, "Read-only file system; mount" in trouble.sentence) == ("images", True)
    assert kept.changes.publisher.waits_for(sha256)
    assert not list(kept.directory.images.glob("*.webp"))
    assert len(await kept.catalogue.committed_migrations()) == 1
    kept.changes.publisher.publish()
    assert kept.troubles.current() == []
    assert len(list(kept.directory.images.glob(f"{sha256}_0_*.webp"))) == 3


async def test_an_import_whose_images_cannot_be_staged_says_where_and_why(
    kept: Holdings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = LegacyLibrary()
    library.add(tmp_path / "nowhere.pt", (".jpg", jpeg(2, (48, 32))), name="Nowhere")
    database = str(library.write(tmp_path / "other"))
    with monkeypatch.context() as patch:
        patch.setattr("modelkeep.images.store.write_durably", lambda path, _: refuse(path))
        with pytest.raises(
            StorageError, match=r"the images cannot be written: Read-only .* mount the disk of"
        ) as caught:
            await run(kept, database)
    failed = [record for record in read(kept.directory.journal) if record["event"] == "import.failed"]
    assert [record["error"] for record in failed] == [str(caught.value)]
    assert await kept.catalogue.pending_imports() == []


async def test_an_import_is_at_work_until_it_is_done(kept: Holdings, source: str) -> None:
    running = Running()
    seen = [running.is_any async for _ in import_stream(kept, ImportOrder("hikaze", source), running)]
    assert seen[0]
    await wait_until_async(lambda: not running.is_any, what="the import to be noted as done")
