"""Segments: a new one in time, the oldest removed, and none with an unfinished migration."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.errors import JournalError
from modelkeep.journal.reader import check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]


def first_seqs(folder: Path) -> list[int]:
    return sorted(int(file.stem.removeprefix("migration-")) for file in folder.glob("migration-*"))


def test_segment_that_has_reached_its_size_is_followed_by_one_named_after_the_next_record(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal(segment_bytes=1000)
    for _ in range(50):
        writer.write("file.detected", path="/m/a.pt")
    names = first_seqs(folder)
    assert len(names) > 3
    for file in sorted(folder.iterdir()):
        *full, last = file.read_bytes().splitlines(keepends=True)
        assert b'"seq":%d,' % int(file.stem.removeprefix("migration-")) in (full or [last])[0]
        assert sum(map(len, full)) < 1000
    assert check(folder) == []
    assert [record["seq"] for record in read(folder)] == list(range(1, 51))


def test_many_records_at_once_are_split_over_segments(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=1000, keep_segments=1000)
    writer.write_many([("file.detected", {"path": "/m/a.pt"})] * 500)
    assert len(first_seqs(folder)) > 40
    assert max(file.stat().st_size for file in folder.iterdir()) < 1200
    assert [record["seq"] for record in read(folder)] == list(range(1, 501))


def test_only_the_newest_segments_are_kept(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=300, keep_segments=3)
    for _ in range(40):
        writer.write("file.detected", path="/m/a.pt")
    assert writer.segments == len(first_seqs(folder)) == 3
    assert [record["seq"] for record in read(folder)] == list(range(first_seqs(folder)[0], 41))
    assert check(folder) == []
    assert writer.size_bytes == sum(file.stat().st_size for file in folder.glob("migration-*"))


@pytest.mark.parametrize("keep_segments", [-1, 0, 1])
def test_newest_segment_is_never_removed(folder: Path, open_journal: OpenJournal, keep_segments: int) -> None:
    writer = open_journal(segment_bytes=1, keep_segments=keep_segments)
    for seq in range(1, 6):
        writer.write("file.detected", path="/m/a.pt")
        assert first_seqs(folder) == [seq]


@pytest.mark.parametrize("reopened", [False, True])
def test_segment_of_an_unfinished_migration_and_all_after_it_stay_until_it_is_finished(
    folder: Path, open_journal: OpenJournal, reopened: bool
) -> None:
    writer = open_journal(segment_bytes=300, keep_segments=2)
    for _ in range(7):
        writer.write("file.detected", path="/m/a.pt")
    planned_seq = writer.write("migration.planned", migration="m1", path="/m/a.pt")
    holding = max(seq for seq in first_seqs(folder) if seq <= planned_seq)
    if reopened:
        writer.close()
        writer = open_journal(segment_bytes=300, keep_segments=2)
    for _ in range(30):
        writer.write("file.detected", path="/m/a.pt")
    assert first_seqs(folder)[0] == holding
    assert len(first_seqs(folder)) > 5
    assert check(folder) == []
    assert writer.unfinished["m1"]["seq"] == planned_seq
    writer.write("migration.finished", migration="m1")
    for _ in range(5):
        writer.write("file.detected", path="/m/a.pt")
    assert len(first_seqs(folder)) == 2


def test_plan_in_the_last_record_before_the_rotation_is_kept(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=1, keep_segments=1)
    writer.write("file.detected", path="/m/a.pt")
    writer.write("migration.planned", migration="m1")
    writer.write("file.detected", path="/m/a.pt")
    assert first_seqs(folder) == [2, 3]


def test_rotation_leaves_no_descriptor_open(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=1)
    writer.write("file.detected", path="/m/a.pt")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        writer.write("file.detected", path="/m/a.pt")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert writer.segments == 11


def test_segment_that_cannot_be_made_is_an_error_and_costs_no_number(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=1)
    writer.write("file.detected", path="/m/a.pt")
    in_the_way = folder / "migration-000000000002.jsonl"
    in_the_way.mkdir()
    with pytest.raises(JournalError, match="Is a directory"):
        writer.write("file.detected", path="/m/b.pt")
    in_the_way.rmdir()
    assert writer.write("file.detected", path="/m/c.pt") == 2
    assert [record["path"] for record in read(folder)] == ["/m/a.pt", "/m/c.pt"]


def test_segment_that_cannot_be_removed_stops_nothing_and_is_removed_later(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal(segment_bytes=1, keep_segments=1)
    writer.write("file.detected", path="/m/a.pt")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    # Root, which tests may run as, is refused nothing that a plain file system could refuse.
    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    writer.write("file.detected", path="/m/b.pt")
    assert first_seqs(folder) == [1, 2]
    monkeypatch.undo()
    writer.write("file.detected", path="/m/c.pt")
    assert first_seqs(folder) == [3]
