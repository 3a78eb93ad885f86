"""Following: records as they are written, over rotation, torn lines and lines that are taken back."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelkeep.journal.reader import Query, follow, read
from modelkeep.journal.records import encode, record_of
from modelkeep.journal.segments import Segment, list_segments
from modelkeep.journal.tail import Tail
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

SEGMENT = "migration-000000000001.jsonl"
TS = "2026-11-20T05:00:00.000000Z"


def line_of(seq: int, path: str = "/m/a.pt") -> bytes:
    return encode(record_of(seq, TS, "file.detected", {"path": path}))


@pytest.fixture
def tail(folder: Path) -> Iterator[Tail]:
    folder.mkdir()
    tail = Tail(folder, after=0)
    yield tail
    tail.close()


def test_lines_are_read_once_and_a_torn_one_waits_for_its_newline(folder: Path, tail: Tail) -> None:
    segment = folder / SEGMENT
    lines = [line_of(seq, "/m/水.pt") for seq in (1, 2, 3)]
    assert list(tail.new_lines()) == []
    segment.write_bytes(lines[0] + lines[1][:20])
    assert list(tail.new_lines()) == [lines[0]]
    assert list(tail.new_lines()) == []
    with segment.open("ab") as file:
        file.write(lines[1][20:-1])
        file.flush()
        assert list(tail.new_lines()) == []
        file.write(lines[1][-1:] + lines[2])
    assert list(tail.new_lines()) == lines[1:]


def test_line_that_is_taken_back_and_written_anew_is_read_anew(folder: Path, tail: Tail) -> None:
    segment = folder / SEGMENT
    segment.write_bytes(line_of(1) + line_of(2))
    assert list(tail.new_lines()) == [line_of(1), line_of(2)]
    segment.write_bytes(line_of(1))
    assert list(tail.new_lines()) == []
    segment.write_bytes(line_of(1) + line_of(2, "/m/b.pt"))
    assert list(tail.new_lines()) == [line_of(2, "/m/b.pt")]


def test_torn_tail_that_is_cut_off_at_the_next_start_is_never_read(
    folder: Path, tail: Tail, open_journal: OpenJournal
) -> None:
    (folder / SEGMENT).write_bytes(line_of(1) + line_of(2)[:-3])
    assert list(tail.new_lines()) == [line_of(1)]
    open_journal().write("daemon.started")
    (repaired, started) = tail.new_lines()
    assert b"journal.repaired" in repaired
    assert b"daemon.started" in started


def test_segment_removed_by_rotation_is_read_to_its_end(folder: Path, tail: Tail, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=200, keep_segments=1)
    writer.write("file.detected", path="/m/a.pt")
    assert len(list(tail.new_lines())) == 1
    for _ in range(9):
        writer.write("file.detected", path="/m/a.pt")
    assert not (folder / SEGMENT).exists()
    seqs = [int(line.split(b",")[0].removeprefix(b'{"seq":')) for line in tail.new_lines()]
    assert seqs == [2, 9, 10]


def test_line_written_just_before_the_rotation_is_not_missed(
    folder: Path, tail: Tail, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal(segment_bytes=200)
    writer.write("file.detected", path="/m/a.pt")
    assert len(list(tail.new_lines())) == 1
    paths = ["/m/c.pt", "/m/b.pt"]

    def list_after_others_wrote(path: Path) -> list[Segment]:
        while paths:
            writer.write("file.detected", path=paths.pop())
        return list_segments(path)

    monkeypatch.setattr("modelkeep.journal.tail.list_segments", list_after_others_wrote)
    lines = list(tail.new_lines())
    assert writer.segments == 2
    assert [b"b.pt" in lines[0], b"c.pt" in lines[1]] == [True, True]


def test_segment_that_was_replaced_by_a_copy_is_followed_on(
    folder: Path, tail: Tail, open_journal: OpenJournal
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    assert len(list(tail.new_lines())) == 1
    writer.write_anew()
    writer.close()
    open_journal().write("daemon.started")
    (started,) = tail.new_lines()
    assert b"daemon.started" in started


def test_many_lines_over_many_blocks_are_read(folder: Path, tail: Tail) -> None:
    lines = [line_of(seq, "/m/" + "x" * 5000) for seq in range(1, 200)]
    (folder / SEGMENT).write_bytes(b"".join(lines))
    assert list(tail.new_lines()) == lines


@pytest.mark.parametrize("already", [0, 1, 120])
def test_every_record_is_followed_once_across_rotation(folder: Path, open_journal: OpenJournal, already: int) -> None:
    writer = open_journal(segment_bytes=1000, keep_segments=1000)
    writer.write_many([("file.detected", {"path": "/m/a.pt"})] * already)
    done = threading.Event()

    def write() -> None:
        for _ in range(150):
            writer.write("file.detected", path="/m/a.pt")
            writer.write_many([("file.settled", {"path": "/m/a.pt"})] * 3)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    followed = [record["seq"] for record in follow(folder, Query(), 0.001, done.is_set)]
    thread.join()
    assert followed == list(range(1, already + 601))
    assert writer.segments > 40


def test_record_written_while_the_older_ones_are_read_is_followed_once(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    records = follow(folder, Query(), 0.001, lambda: True)
    assert next(records)["seq"] == 1
    writer.write("file.detected", path="/m/b.pt")
    assert [record["seq"] for record in records] == [2]


def test_journal_that_is_not_there_yet_is_waited_for(folder: Path) -> None:
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:
            writer = JournalWriter.open(folder)
            writer.write("daemon.started")
            writer.close()
        return looks == 4

    assert [record["event"] for record in follow(folder, Query(), 0.001, stop)] == ["daemon.started"]


def followed_with(folder: Path, query: Query, write: Callable[[], object]) -> list[object]:
    """Return the numbers that are followed when something is written after the first look."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            write()
        return looks == 3

    return [record["seq"] for record in follow(folder, query, 0.001, stop)]


def test_limit_bounds_what_was_there_and_not_what_follows(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=300)
    events = [("file.detected", {"path": "/m/a.pt"}), ("file.settled", {"path": "/m/a.pt"})] * 5
    writer.write_many(events)
    followed = followed_with(folder, Query(limit=2, event="*.settled"), lambda: writer.write_many(events))
    assert followed == [8, 10, 12, 14, 16, 18, 20]


def test_records_up_to_after_are_not_followed(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=300)
    writer.write_many([("file.detected", {"path": "/m/a.pt"})] * 10)
    more: list[tuple[str, dict[str, object]]] = [("file.detected", {"path": "/m/b.pt"})] * 3
    assert followed_with(folder, Query(after=8), lambda: writer.write_many(more)) == [9, 10, 11, 12, 13]
    assert followed_with(folder, Query(after=15), lambda: writer.write_many(more)) == [16]


def test_story_goes_on_under_a_new_name(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt", pending_id=1)

    def go_on() -> None:
        writer.write("file.detected", path="/m/other.pt", pending_id=2)
        writer.write("file.moved", path="/m/b.pt", old_path="/m/a.pt")
        writer.write("file.moved", path="/m/c.pt", old_path="/m/b.pt")
        writer.write("hash.failed", path="/m/c.pt", error="x")
        writer.write("hash.failed", path="/m/other.pt", error="x")

    assert followed_with(folder, Query(model="a.pt", event="*.failed"), go_on) == [5]


def test_damaged_line_is_skipped(folder: Path) -> None:
    folder.mkdir()
    segment = folder / SEGMENT
    segment.write_bytes(line_of(1))

    def write() -> None:
        segment.write_bytes(line_of(1) + b"damage\n" + line_of(3))

    assert followed_with(folder, Query(), write) == [1, 3]
    assert [record["seq"] for record in read(folder)] == [1, 3]
