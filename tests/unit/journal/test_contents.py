"""What is written down of finished segments: which of them a question passes over, and when it does not count."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelkeep.journal import contents, reader, trace
from modelkeep.journal.contents import Indexed, contents_of, write_next_index
from modelkeep.journal.query import Query
from modelkeep.journal.reader import read
from modelkeep.journal.segments import Segment, blocks, lines_forward, list_segments
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

HASHES = [f"{number:02x}" * 32 for number in range(10, 16)]


@pytest.fixture
def journal(folder: Path, open_journal: OpenJournal) -> Path:
    """A journal with a segment for each of six models, and one that is being written."""
    writer = open_journal(segment_bytes=1, keep_segments=100)
    for number, sha256 in enumerate(HASHES):
        event = "hash.failed" if number == 3 else "hash.finished"
        writer.write(event, path=f"/m/model_{number}.pt", sha256=sha256, pending_id=number + 1)
    writer.write("file.moved", path="/m/new.pt", old_path="/m/model_2.pt")
    writer.close()
    while write_next_index(folder):
        pass
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first numbers of the segments that are read."""
    numbers: list[int] = []

    def noting(segment: Segment, *, newest_first: bool = False) -> Iterator[bytes]:
        numbers.append(segment.first_seq)
        return blocks(segment, newest_first=newest_first)

    for module in (reader, trace):
        monkeypatch.setattr(module, "blocks", noting)
    return numbers


@pytest.mark.parametrize(
    ("query", "found", "opens"),
    [
        (Query(model="model_4"), [5], {5, 7}),
        (Query(model=HASHES[1][:8]), [2], {2, 7}),
        (Query(model="/m/new.pt"), [3, 7], {3, 7}),  # by its name of before
        (Query(event="*.failed"), [4], {4, 7}),
        (Query(failed=True, limit=1), [4], {4, 7}),
        (Query(event="root.*"), [], {7}),
        (Query(since_ms=4_000_000_000_000), [], {7}),
        (Query(model="nothing"), [], {7}),
    ],
)
def test_only_segments_that_may_hold_what_is_wanted_are_read(
    journal: Path, opened: list[int], query: Query, found: list[int], opens: set[int]
) -> None:
    assert [record["seq"] for record in read(journal, query)] == found
    assert set(opened) == opens


def test_index_of_a_segment_that_has_changed_does_not_count(journal: Path) -> None:
    first, second, *_ = list_segments(journal)
    first.path.write_bytes(second.path.read_bytes())
    assert contents_of(first) is None
    assert [record["seq"] for record in read(journal, Query(model="model_1"))] == [2, 2]


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"null\nx", b'{"format":1}\n'])
def test_damaged_index_does_not_count_and_is_made_anew(journal: Path, damage: bytes) -> None:
    first = list_segments(journal)[0]
    index = first.path.with_suffix(".index")
    whole = index.read_bytes()
    index.write_bytes(damage or whole[:-1])
    assert contents_of(first) is None
    assert write_next_index(journal)
    assert index.read_bytes() == whole


def test_index_that_was_found_to_count_is_not_read_again(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[Indexed] = set()
    assert not write_next_index(journal, known)
    read_again: list[Segment] = []
    monkeypatch.setattr(contents, "contents_of", read_again.append)
    assert not write_next_index(journal, known)
    assert read_again == []


def test_index_goes_with_its_segment(journal: Path) -> None:
    first = list_segments(journal)[0]
    first.path.unlink()
    assert not write_next_index(journal)
    assert not first.path.with_suffix(".index").exists()


def test_segment_that_is_being_written_has_no_index(journal: Path) -> None:
    assert len(list(journal.glob("*.index"))) == len(list_segments(journal)) - 1


def test_an_index_is_the_same_however_many_keys_are_taken_together(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal(segment_bytes=2_000, keep_segments=100)
    for number in range(20):
        writer.write("hash.finished", path=f"/m/model_{number % 7}.pt", sha256=HASHES[number % 6], pending_id=number)
    writer.close()
    segment = list_segments(folder)[0]
    assert write_next_index(folder)
    together = contents_of(segment)
    segment.path.with_suffix(".index").unlink()

    monkeypatch.setattr(contents, "_RECENT_MAX", 1)
    monkeypatch.setattr(contents, "blocks", lines_forward)
    assert write_next_index(folder)

    assert together is not None
    assert contents_of(segment) == together
