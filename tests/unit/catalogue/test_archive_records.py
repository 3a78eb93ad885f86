"""What other tools said comes out of an archive as it went in, whatever is known of the models by then."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.archives import known_to
from tests.libraries import sha256_of

from modelkeep.base.set_aside import SetAside
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store import archive_records, archive_taking
from modelkeep.catalogue.store import archived as store_archived
from modelkeep.domain.archive import MODELS, PENDING, SOURCES, Archive, ArchivedModel, Members
from modelkeep.domain.archive_taking import TakenModel
from modelkeep.domain.edits import Edit
from modelkeep.domain.knowledge import Meaning
from modelkeep.domain.naming import PathMap
from modelkeep.errors import SourceError
from modelkeep.importers.archive_file import Reread

from .conftest import NOW, A, B, hashed, the_model
from .test_adoption import HERO, SIDECAR, adopt, attach, claim, edit, record

OTHER = "/other/hero.safetensors"


@pytest.fixture
def other(tmp_path: Path, fresh_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """The catalogue of another machine, which takes everything in one by one."""
    for module, name in (
        (archive_records, "RECORDS_AT_ONCE"),
        (archive_taking, "MODELS_AT_ONCE"),
        (archive_taking, "ROWS_AT_ONCE"),
        (archive_taking, "CONTENTS_AT_ONCE"),
    ):
        monkeypatch.setattr(module, name, 1)
    opened = Catalogue(Path(shutil.copy(fresh_file, tmp_path / "other.db")))
    yield opened
    opened.close()


async def archived(catalogue: Catalogue) -> Archive:
    """Have a catalogue know of a sidecar that was about one model, and is about the next one now; and an orphan."""
    await hashed(catalogue, HERO, A)
    await adopt(catalogue, record(claims=[claim(A)]))
    await hashed(catalogue, HERO, B)
    await attach(catalogue, HERO)
    await adopt(catalogue, record(Meaning(title="Second"), digest="2" * 64, claims=[claim(B)]))
    await adopt(catalogue, record(Meaning(title="Lost"), key="/m/lost.json", models=(), digest="3" * 64))
    await edit(catalogue, B, Edit(meta={"notes": "said of the second"}))
    return await known_to(catalogue)


async def take(catalogue: Catalogue, archive: Archive) -> tuple[int, int]:
    """Take an archive in; returns how many models were new or changed by it, and how many records."""
    told = SetAside[TakenModel](catalogue.database.path.parent)
    taken = await catalogue.take_archive(archive, PathMap(()), {}, {}, {}, {}, (), NOW, lambda _: None, told)
    return len(taken.models), taken.records


def said(archive: Archive) -> list[object]:
    """Return what an archive says of models and sources, without whether their files are there."""
    models = [replace(model, locations=()) for model in archive.models]
    return [models, list(archive.sources)]


async def test_records_of_one_place_come_back_apart_each_with_its_content(
    catalogue: Catalogue, other: Catalogue
) -> None:
    archive = await archived(catalogue)
    assert [(each.record.key, each.gone) for each in archive.sources][:2] == [(SIDECAR, True), (SIDECAR, False)]
    assert await take(other, archive) == (2, 3)
    assert said(await known_to(other)) == said(archive)
    assert await take(other, archive) == (0, 0)
    assert said(await known_to(other)) == said(archive)


async def test_an_archive_that_cannot_be_read_to_its_end_any_more_leaves_nothing(
    catalogue: Catalogue, other: Catalogue
) -> None:
    archive = await archived(catalogue)

    def cut() -> Iterator[ArchivedModel]:
        yield next(iter(archive.models))
        raise SourceError("it was cut meanwhile")

    with pytest.raises(SourceError, match="cut"):
        await take(other, replace(archive, models=Reread(cut, 2)))
    assert said(await known_to(other)) == [[], []]
    assert not await other.tags()


async def test_an_archive_is_of_one_moment_whatever_is_written_while_it_is_read(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await archived(catalogue)
    monkeypatch.setattr(store_archived, "AT_ONCE", 1)
    loop, read = asyncio.get_running_loop(), dict[str, list[object]]()

    def keep(members: Members) -> None:
        for name, values in members.items():
            read[name] = [next(iter(values))] if name == MODELS else []
            asyncio.run_coroutine_threadsafe(
                hashed(catalogue, f"/m/{name}.pt", sha256_of(name.encode())), loop
            ).result()
            read[name] += values

    before = await catalogue.archived(keep)

    assert read[MODELS] == list(expected.models)
    assert [read[SOURCES], read[PENDING]] == [list(expected.sources), list(expected.pending)]
    assert before == await catalogue.archived_images()
    assert len((await known_to(catalogue)).models) == len(expected.models) + 5


@pytest.mark.parametrize("before", [True, False], ids=["the models first", "the archive first"])
async def test_it_ends_the_same_before_the_models_are_there_and_after(
    catalogue: Catalogue, other: Catalogue, before: bool
) -> None:
    archive = await archived(catalogue)
    for is_import in (not before, before):
        if is_import:
            await take(other, archive)
        else:
            await hashed(other, "/other/old.safetensors", A)
            await hashed(other, OTHER, B)
            await attach(other, "/other/old.safetensors", OTHER)
    first, second = await the_model(other, A), await the_model(other, B)
    assert (first.name, first.meta["notes"], first.path) == ("Hero", "mine", "/other/old.safetensors")
    assert (second.name, second.meta["notes"], second.path) == ("Second", "said of the second", OTHER)
    titles = [[kept.record.meaning.title for kept in (await other.sources(each)).records] for each in (A, B)]
    assert titles == [["Hero"], ["Second"]]
