"""An error that nobody foresaw about one file holds up no other, and is told of that file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import followed

from modelkeep.base.persistence import do_for_all
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.detection import Moved
from modelkeep.domain.events import FileClosed
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import PendingImport, PendingState, Priority, Record
from modelkeep.errors import CatalogueError
from modelkeep.watch.context import Context
from modelkeep.watch.intake import Intake

NOW = 1_735_689_600_000


@given(st.lists(st.booleans(), max_size=20))
async def test_it_is_done_for_all_but_those_to_blame(are_good: list[bool]) -> None:
    done: set[int] = set()
    given_up: list[int] = []

    async def step(some: Sequence[tuple[int, bool]]) -> None:
        if not all(is_good for _, is_good in some):
            raise OverflowError("too large")
        done.update(number for number, _ in some)

    async def give_up(item: tuple[int, bool], error: Exception) -> None:
        given_up.append(item[0])

    await do_for_all(step, list(enumerate(are_good)), give_up)
    assert done == {number for number, is_good in enumerate(are_good) if is_good}
    assert given_up == [number for number, is_good in enumerate(are_good) if not is_good]


async def test_what_passes_by_itself_is_nobodys_fault() -> None:
    async def step(some: Sequence[int]) -> None:
        raise CatalogueError("locked")

    async def give_up(item: int, error: Exception) -> None:
        raise AssertionError("nobody is to blame")

    with pytest.raises(CatalogueError):
        await do_for_all(step, [1, 2], give_up)


class Line:
    """Takes up rows, and does nothing more."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def enqueue(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        self.paths += [row.path for row, _ in rows]

    def renamed(self, moved: Moved) -> None:
        raise AssertionError("nothing is renamed")

    def exchanged(self, moves: Sequence[Moved]) -> None:
        raise AssertionError("nothing changes places")

    def gone(self, path: str) -> None:
        raise AssertionError("nothing is gone")

    def looked_at(self, paths: Sequence[str]) -> None: ...

    def doubted(self, paths: Sequence[str]) -> None:
        assert not paths, "nothing is doubted"


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """A catalogue that fails on a file, in a way that nobody foresaw."""
    opened = Catalogue.open(tmp_path / "modelkeep.db")
    twins_of = opened.twins_of

    async def fail_on_bad(fingerprints: Any) -> Any:
        if any(fingerprint.size_bytes == 3 for fingerprint in fingerprints):
            raise OverflowError("too large")
        return await twins_of(fingerprints)

    monkeypatch.setattr(opened, "twins_of", fail_on_bad)
    yield opened
    opened.close()


@pytest.mark.parametrize("is_scan", [True, False], ids=["scan", "events"])
async def test_a_file_that_cannot_be_taken_in_is_parked(tmp_path: Path, catalogue: Catalogue, is_scan: bool) -> None:
    root, line, told = tmp_path / "models", Line(), list[Record]()
    root.mkdir()
    paths = [root / f"{number}.pt" for number in range(5)]
    for path in paths:
        path.write_bytes(b"bad" if path.name == "2.pt" else b"good")
    context = Context(catalogue, line, told.extend, DiskLooks(followed(root)), (".pt",), lambda: NOW)
    intake = Intake(context, lambda _: None)
    if is_scan:
        await intake.scans.scan(str(root), Priority.SWEEP)
    else:
        await intake.apply([FileClosed(str(path)) for path in paths])
    rows = {Path(row.path).name: row for row in await catalogue.pending_imports()}
    assert sorted(Path(path).name for path in line.paths) == ["0.pt", "1.pt", "3.pt", "4.pt"]
    assert {name for name, row in rows.items() if row.state is PendingState.FAILED} == {"2.pt"}
    assert "too large" in rows["2.pt"].last_error
    assert [Path(str(fields["path"])).name for event, fields in told if event == "hash.failed"] == ["2.pt"]
