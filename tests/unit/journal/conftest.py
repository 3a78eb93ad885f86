"""A journal folder for each test, and writers that are closed after it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from modelkeep.errors import JournalError
from modelkeep.journal.contents import write_next_index
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def open_journal(folder: Path) -> Iterator[OpenJournal]:
    with ExitStack() as stack:

        def open_it(**options: int) -> JournalWriter:
            writer = JournalWriter.open(folder, **options)
            stack.callback(_close, writer)
            return writer

        yield open_it


@pytest.fixture(params=[False, True], ids=["read", "indexed"])
def seal(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Return a journal's folder as it is, or with an index for every segment that nobody writes any more."""

    def sealed(folder: Path) -> Path:
        while request.param and write_next_index(folder):
            pass
        return folder

    return sealed


def _close(writer: JournalWriter) -> None:
    with suppress(JournalError):  # the test may have broken it
        writer.close()
