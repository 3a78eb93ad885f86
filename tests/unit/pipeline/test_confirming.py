"""A model's file is read for its BLAKE3 in a process of its own: the true digest, or a reason."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from blake3 import blake3
from tests.fakes import NOT_UTF8
from tests.libraries import sha256_of, write_and_date_back

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store.locations import put_location
from modelkeep.catalogue.store.models import upsert_model
from modelkeep.disk.roots import Roots
from modelkeep.disk.statx import see
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Location, LocationState, Model, Record
from modelkeep.errors import Conflict, HashCancelled, HashError, ModelkeepError, NotFound, OutsideRoots
from modelkeep.pipeline.blake3_worker import read_blake3
from modelkeep.pipeline.confirming import Confirming


class Scene:
    """A file that the catalogue knows, and what confirms it."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self.catalogue = catalogue
        self.path = folder / NOT_UTF8
        self.content = os.urandom(3_000_000)
        self.path.write_bytes(self.content)
        self.sha256 = sha256_of(self.content)
        self.records: list[Record] = []
        self.confirming = self.within(folder)

    def within(self, root: Path) -> Confirming:
        return Confirming(self.catalogue, Roots([Root(str(root))]), self.records.extend)

    async def blake3(self) -> str:
        known = await self.catalogue.model(self.sha256)
        assert known is not None
        return known.content.blake3 if known.content else ""


@pytest.fixture
def catalogue(tmp_path: Path, fresh_file: Path) -> Iterator[Catalogue]:
    opened = Catalogue(Path(shutil.copy(fresh_file, tmp_path / "modelkeep.db")))
    yield opened
    opened.close()


@pytest.fixture
async def scene(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(catalogue, tmp_path)

    def know(connection: sa.Connection) -> None:
        upsert_model(connection, Model(made.sha256, str(made.path), size_bytes=len(made.content)))
        place = Location(str(made.path), made.sha256, LocationState.PRESENT, see(str(made.path)).fingerprint)
        put_location(connection, place, 1)

    await catalogue.database.write(know)
    yield made
    made.confirming.stop()


async def test_the_digest_is_that_of_the_library_and_is_kept(scene: Scene) -> None:
    await scene.confirming.confirm(scene.sha256)
    assert await scene.blake3() == blake3(scene.content).hexdigest()
    ((event, fields),) = scene.records
    assert (event, fields["blake3"], fields["bytes"]) == ("hash.finished", await scene.blake3(), len(scene.content))
    await scene.confirming.confirm(scene.sha256)
    assert len(scene.records) == 1


async def test_two_that_ask_at_once_are_answered_by_one_reading(scene: Scene) -> None:
    await asyncio.gather(*(scene.confirming.confirm(scene.sha256) for _ in range(2)))
    assert await scene.blake3() == blake3(scene.content).hexdigest()
    assert len(scene.records) == 1


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda scene: scene.path.write_bytes(b"other"), HashError),
        (lambda scene: write_and_date_back(scene.path, scene.content[::-1]), HashError),
        (lambda scene: scene.path.unlink(), HashError),
        (lambda scene: scene.confirming.stop(), HashCancelled),
        (lambda scene: setattr(scene, "confirming", scene.within(Path("/nowhere"))), OutsideRoots),
        (lambda scene: setattr(scene, "sha256", "0" * 64), NotFound),
    ],
    ids=["another file", "a file that was dated back", "no file", "a stop", "no root", "no model"],
)
async def test_what_cannot_be_read_as_it_was_is_refused(
    scene: Scene, change: object, refused: type[ModelkeepError]
) -> None:
    assert callable(change)
    change(scene)
    with pytest.raises(refused):
        await scene.confirming.confirm(scene.sha256)
    assert not scene.records


def test_a_file_that_ends_before_its_size_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server may tell it of which the kernel remembers an older size."""
    path, told = tmp_path / "a.pt", iter([3, 0])
    path.write_bytes(b"whole")
    monkeypatch.setattr(os, "readv", lambda *_: next(told))
    with pytest.raises(HashError, match="changed while it was read"):
        read_blake3(str(path))


async def test_a_model_without_a_file_is_not_read(scene: Scene) -> None:
    known = await scene.catalogue.locations_at([str(scene.path)])
    assert len(await scene.catalogue.lose_content(list(known.values()))) == 1
    with pytest.raises(Conflict):
        await scene.confirming.confirm(scene.sha256)
