"""What the crash tests share: a nursery of lives, and scenes for them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.crash.disturbances import film_with_fixed_names
from tests.crash.film import Film
from tests.crash.films import PROGRAMMES, Filmed
from tests.crash.living import Nursery, Scene, nursery
from tests.crash.scenes import false_claim, first_import, import_again, short_journal
from tests.crash.system_calls import require_strace


@pytest.fixture(scope="session")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is room for one: a kill loses nothing there either, and fsync takes no time."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path_factory.mktemp("crash")
        return
    folder = Path(tempfile.mkdtemp(prefix="modelkeep-crash-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def lives() -> Iterator[Nursery]:
    """Lives jobs."""
    with nursery() as opened:
        yield opened


@pytest.fixture(scope="session")
def first(fast_folder: Path, lives: Nursery) -> Scene:
    """A first import, from nothing."""
    return first_import(fast_folder / "first", lives)


@pytest.fixture(scope="session")
def filmed(first: Scene) -> Filmed:
    """Makes films of the first import and of its parts."""
    return cache(lambda name: PROGRAMMES[name].make(first))


@pytest.fixture(scope="session")
def fixed_film(first: Scene) -> Film:
    """A film of a life whose calls can be found again in another."""
    require_strace()
    return film_with_fixed_names(first)


@pytest.fixture(scope="session")
def again(fast_folder: Path, lives: Nursery) -> Scene:
    """A second import from a source that says something else of a row that waits, with another image."""
    return import_again(fast_folder / "again", lives)


@pytest.fixture(scope="session")
def lying(fast_folder: Path, lives: Nursery) -> Scene:
    """An import in which a file is not what the source says it is."""
    return false_claim(fast_folder / "lying", lives)


@pytest.fixture(scope="session")
def short(fast_folder: Path, lives: Nursery) -> Scene:
    """A first import with a journal of which only two segments are kept."""
    return short_journal(fast_folder / "short", lives)
