"""What is kept of files beside models, as these come, change, go and stay unreadable."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes import followed
from tests.libraries import put
from tests.waiting import wait_until_async

from modelkeep.base.workers import WorkerPool
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.protocol import Changes
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.naming import MODEL_EXTENSIONS
from modelkeep.domain.values import Record
from modelkeep.images.store import ImageStore
from modelkeep.importers.sidecars.looking import look_into
from modelkeep.journal.keeper import JournalKeeper
from modelkeep.journal.writer import JournalWriter
from modelkeep.watch.sidecar_folders import SidecarFolders


def lora_manager(name: str) -> bytes:
    """Return the least that a `.metadata.json` of LoRA Manager holds."""
    return json.dumps({"file_name": name, "model_name": name, "file_path": f"/{name}", "sha256": ""}).encode()


class Scene:
    """A root, and what is kept of the sidecars in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "models"
        self.root.mkdir()
        self.catalogue = Catalogue.open(folder / "modelkeep.db")
        self._writer = JournalWriter.open(folder / "journal")
        self.told: list[Record] = []
        journal = JournalKeeper(lambda: self._writer)
        changes = Changes(self.catalogue, ImageStore(folder / "images", WorkerPool(1)), journal)
        self._adoption = Adoption(self.catalogue, changes, lambda: 1_000)
        self.start()

    def start(self) -> None:
        """Begin anew, as a daemon does that was stopped."""
        self._folders = SidecarFolders(
            self.catalogue, self._adoption, DiskLooks(followed(self.root)), MODEL_EXTENSIONS, None, self.told.extend
        )

    async def look(self) -> list[str]:
        """Look through the root; returns why files were refused, as far as that is news."""
        self.told.clear()
        await self._folders.take_in([], [str(self.root)])
        assert {event for event, _ in self.told} <= {"source.refused"}
        return [str(fields["error"]) for _, fields in self.told]

    async def kept(self) -> list[str]:
        """Return the names of the files of which something is kept, and that are not gone."""
        folders = await self.catalogue.source_folders_below(str(self.root))
        files = await self.catalogue.source_files_in(folders)
        return sorted(file.key.removeprefix(f"{self.root}/") for file in files)

    def close(self) -> None:
        self.catalogue.close()
        self._writer.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


async def test_what_cannot_be_read_is_told_once_and_again_only_when_that_is_news(scene: Scene) -> None:
    put(scene.root / "a.safetensors", b"a model")
    broken = put(scene.root / "a.metadata.json", b'{"file_name": ')
    (said,) = await scene.look()
    assert await scene.look() == []
    scene.start()
    assert await scene.look() == []
    broken.write_bytes(b'{"file_name": "a", ')
    assert await scene.look() == [said]
    broken.write_bytes(b"")
    (other,) = await scene.look()
    assert other != said
    broken.write_bytes(lora_manager("a"))
    assert (await scene.look(), await scene.kept()) == ([], ["a.metadata.json"])
    broken.write_bytes(b"")
    assert await scene.look() == [other], "it was well in between"
    broken.unlink()
    await scene.look()
    broken.write_bytes(b"")
    assert await scene.look() == [other], "it was gone in between"


async def test_a_file_whose_rights_change_is_read_again(scene: Scene) -> None:
    put(scene.root / "a.safetensors", b"a model")
    note = put(scene.root / "a.txt", b"a note")

    def seen() -> tuple[object, object]:
        (file,) = look_into([str(scene.root)], MODEL_EXTENSIONS, lambda _: True).seen.values()
        return file.facts, file.state

    before = seen()

    def has_another_state() -> bool:
        note.chmod(0o600)
        return seen()[1] != before[1]

    await wait_until_async(has_another_state)
    assert seen()[0] == before[0]


@pytest.mark.parametrize("moved", [False, True])
async def test_texts_stay_as_long_as_they_are_there_whatever_becomes_of_their_model(
    scene: Scene, moved: bool
) -> None:
    model = put(scene.root / "loras/fox.safetensors", b"a model")
    prompt = put(scene.root / "loras/fox/evening.txt", b"a fox at evening")
    put(scene.root / "loras/fox.txt", b"a note")
    await scene.look()
    texts = ["loras/fox.txt", "loras/fox/evening.txt"]
    assert await scene.kept() == texts
    model.rename(scene.root / "wolf.safetensors" if moved else model.with_name("wolf.safetensors"))
    await scene.look()
    assert await scene.kept() == texts
    prompt.write_text("another text, of which nobody knows whose it is")
    await scene.look()
    assert await scene.kept() == texts[:1]
    shutil.rmtree(scene.root / "loras")
    await scene.look()
    assert await scene.kept() == []
