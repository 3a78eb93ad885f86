"""A journal that is gone, or whose end is: the next opening tells, and gives no number out twice."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.journal.mark import Mark, mark_path, read_mark
from modelkeep.journal.reader import check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]


def fill(folder: Path, records: int, segment_bytes: int = 10**9) -> None:
    writer = JournalWriter.open(folder, segment_bytes=segment_bytes)
    for number in range(records):
        writer.write("file.detected", path=f"/m/{number}.pt")
    writer.close()


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("migration-*.jsonl"))


def test_a_journal_that_was_deleted_is_told_and_its_numbers_are_not_given_out_again(
    folder: Path, open_journal: OpenJournal
) -> None:
    fill(folder, 3)
    shutil.rmtree(folder)
    writer = open_journal()
    (damage,) = writer.damages
    assert "up to record 3 and is gone; its history is lost, but nothing else" in damage.reason
    assert writer.write("daemon.started") == 4
    assert [record["seq"] for record in read(folder)] == [4]
    assert check(folder) == []


@pytest.mark.parametrize("emptied", [True, False], ids=["emptied", "deleted"])
def test_a_newest_segment_that_is_gone_is_told(folder: Path, open_journal: OpenJournal, emptied: bool) -> None:
    fill(folder, 5, segment_bytes=150)
    newest = segments(folder)[-1]
    lost = newest.read_bytes().count(b"\n")
    if emptied:
        newest.write_bytes(b"")
    else:
        newest.unlink()
    writer = open_journal()
    (damage,) = writer.damages
    assert f"ends earlier than it did: records {6 - lost} to 5 are gone" in damage.reason
    assert (damage.segment, writer.write("daemon.started")) == (newest.name, 6)
    assert "missing before it" in check(folder)[0].reason


def test_it_is_told_once_and_a_journal_that_goes_on_is_whole(folder: Path, open_journal: OpenJournal) -> None:
    fill(folder, 3)
    shutil.rmtree(folder)
    fill(folder, 1)
    assert open_journal().damages == []
    assert read_mark(folder) == Mark(4, 4)


def test_what_is_not_on_the_disk_yet_is_not_known(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write("daemon.started")
    assert read_mark(folder) == Mark()
    writer.sync()
    writer.write("daemon.stopped")
    assert read_mark(folder) == Mark(1, 1)


def test_a_segment_that_nothing_was_written_to_yet_is_no_loss(folder: Path, open_journal: OpenJournal) -> None:
    fill(folder, 5, segment_bytes=150)
    newest = segments(folder)[-1]
    following = newest.with_name(f"migration-{6:012d}.jsonl")
    following.write_bytes(b"")
    assert open_journal().damages == []


@pytest.mark.parametrize("content", [b"", b"\0" * 42, b"x y", b"1", b"\xff 3"])
def test_a_mark_that_says_nothing_is_as_none(folder: Path, open_journal: OpenJournal, content: bytes) -> None:
    fill(folder, 2)
    shutil.rmtree(folder)
    mark_path(folder).write_bytes(content)
    writer = open_journal()
    assert (writer.damages, writer.write("daemon.started")) == ([], 1)


def test_a_mark_that_cannot_be_written_keeps_nobody_from_writing(folder: Path, open_journal: OpenJournal) -> None:
    mark_path(folder).mkdir(parents=True)
    writer = open_journal()
    writer.write("daemon.started")
    writer.sync()
    assert len(list(read(folder))) == 1
