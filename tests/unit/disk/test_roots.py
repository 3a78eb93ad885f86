"""What everybody knows of the roots: which are there, which are the same, and what is asked for."""

import asyncio
from pathlib import Path

import pytest
from tests.fakes import followed

from modelkeep.disk.roots import Roots
from modelkeep.domain.hashing import FileInRoot
from modelkeep.domain.naming import Root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


async def is_check_asked(roots: Roots) -> bool:
    try:
        await asyncio.wait_for(roots.check_asked(), 0.01)
    except TimeoutError:
        return False
    return True


async def test_a_root_that_nobody_follows_is_not_there_and_not_looked_at(folder: Path) -> None:
    root = Root(str(folder))
    roots = Roots([root])
    roots.doubt(root.path)
    assert not roots.is_reachable(root)
    assert not roots.is_same(root)
    assert not roots.take_doubt(root.path)
    assert not await is_check_asked(roots)


def test_another_folder_in_the_place_of_a_root_makes_it_doubtful_until_it_is_looked_at(folder: Path) -> None:
    root, roots = Root(str(folder)), followed(folder)
    assert roots.is_same(root)
    assert not roots.take_doubt(root.path)
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    assert not roots.is_same(root)
    assert roots.is_reachable(root)
    assert [roots.take_doubt(root.path), roots.take_doubt(root.path)] == [True, False]


async def test_a_doubt_about_a_path_is_one_about_its_innermost_root(folder: Path) -> None:
    inner = folder / "loras"
    inner.mkdir()
    roots = followed(folder, inner)
    roots.doubt(str(inner / "a.pt"))
    assert [roots.take_doubt(str(path)) for path in (folder, inner)] == [False, True]
    assert await is_check_asked(roots)
    assert not await is_check_asked(roots)
    roots.doubt("/in/no/root.pt")
    assert not await is_check_asked(roots)


async def test_many_asks_for_a_rescan_make_one_and_only_for_a_configured_root(folder: Path) -> None:
    roots = followed(folder)
    for path in (str(folder), "/unknown", str(folder)):
        roots.ask_rescan(path)
    assert await roots.next_rescan() == str(folder)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(roots.next_rescan(), 0.01)


def test_what_is_known_of_a_root_stays_when_others_come_and_go(folder: Path) -> None:
    roots = followed(folder)
    typed, other = Root(str(folder), "checkpoints"), Root(str(folder.parent))
    roots.configure([other, typed])
    assert roots.configured == (other, typed)
    assert roots.is_same(typed)
    assert not roots.is_reachable(other)
    roots.configure([other])
    roots.lose(typed.path)
    assert not roots.is_same(typed)
    assert roots.of(str(folder / "a.pt")) == other


def test_a_file_is_named_by_its_innermost_root_and_its_path_below_it() -> None:
    roots = Roots([Root("/m"), Root("/m/loras"), Root("/n/")])
    named = {
        "/m/a.pt": FileInRoot("/m", "a.pt"),
        "/m/loras/x/a.pt": FileInRoot("/m/loras", "x/a.pt"),
        "/n/a.pt": FileInRoot("/n/", "a.pt"),
        "/m": FileInRoot("", "/m"),
        "/elsewhere/a.pt": FileInRoot("", "/elsewhere/a.pt"),
    }
    assert {path: roots.name(path) for path in named} == named
    assert [file.path for file in named.values()] == list(named)
    assert Roots([Root("/")]).name("/a.pt").path == "/a.pt"
