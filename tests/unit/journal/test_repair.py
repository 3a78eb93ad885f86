"""Opening: a torn last record is cut off and told of, damage in the middle is left alone and reported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.errors import JournalError
from modelkeep.journal.reader import Damage, check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

FIRST_SEGMENT = "migration-000000000001.jsonl"


def fill(folder: Path, records: int, **options: int) -> bytes:
    writer = JournalWriter.open(folder, **options)
    for number in range(records):
        writer.write("file.detected", path=f"/m/水 {number}.pt", pending_id=number)
    writer.close()
    return (folder / FIRST_SEGMENT).read_bytes()


def test_segment_cut_at_every_byte_keeps_the_whole_records_and_goes_on_without_a_gap(folder: Path) -> None:
    whole = fill(folder, 4)
    segment = folder / FIRST_SEGMENT
    for length in range(1, len(whole) + 1):
        segment.write_bytes(whole[:length])
        kept = whole[:length].count(b"\n")
        torn_bytes = length - (whole.rfind(b"\n", 0, length) + 1)
        writer = JournalWriter.open(folder)
        assert writer.damages == []
        writer.write("daemon.started")
        writer.close()
        records = list(read(folder))
        repaired = records[kept:-1]
        assert [record["path"] for record in records[:kept]] == [f"/m/水 {number}.pt" for number in range(kept)]
        assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
        assert check(folder) == []
        if not torn_bytes:
            assert repaired == []
            continue
        (told,) = repaired
        assert told["event"] == "journal.repaired"
        assert (told["segment"], told["offset"], told["bytes_cut"]) == (
            FIRST_SEGMENT,
            length - torn_bytes,
            torn_bytes,
        )


def test_every_flipped_bit_is_told_of_and_no_record_reads_differently(folder: Path) -> None:
    whole = fill(folder, 3)
    written = list(read(folder))
    segment = folder / FIRST_SEGMENT
    for bit in range(0, len(whole) * 8, 3):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        segment.write_bytes(flipped)
        assert check(folder) != []
        assert all(record in written for record in read(folder))
        writer = JournalWriter.open(folder)
        told = [record for record in read(folder) if record["event"] == "journal.repaired"]
        assert writer.damages or told
        writer.close()


def test_damaged_record_in_the_middle_is_left_reported_and_skipped(folder: Path, open_journal: OpenJournal) -> None:
    whole = fill(folder, 5)
    lines = whole.splitlines(keepends=True)
    damaged = whole.replace(b'"pending_id":2', b'"pending_id":7')
    (folder / FIRST_SEGMENT).write_bytes(damaged)
    writer = open_journal()
    offset = len(lines[0]) + len(lines[1])
    assert writer.damages == [Damage(FIRST_SEGMENT, offset, "its checksum does not fit")] == check(folder)
    assert writer.write("daemon.started") == 6
    assert [record["seq"] for record in read(folder)] == [1, 2, 4, 5, 6]
    assert (folder / FIRST_SEGMENT).read_bytes().startswith(damaged)


def test_torn_record_in_an_older_segment_is_damage_and_not_cut(folder: Path, open_journal: OpenJournal) -> None:
    fill(folder, 6, segment_bytes=250)
    older = folder / FIRST_SEGMENT
    torn = older.read_bytes()[:-5]
    older.write_bytes(torn)
    writer = open_journal()
    (damage,) = writer.damages
    assert damage.segment == FIRST_SEGMENT
    assert older.read_bytes() == torn
    assert writer.seq == 6


def test_tail_of_zeros_after_a_power_cut_is_cut_off(folder: Path, open_journal: OpenJournal) -> None:
    whole = fill(folder, 2)
    (folder / FIRST_SEGMENT).write_bytes(whole + bytes(200_000))
    writer = open_journal()
    assert writer.damages == []
    repaired = list(read(folder))[-1]
    assert (repaired["seq"], repaired["bytes_cut"]) == (3, 200_000)


def test_empty_newest_segment_keeps_its_number(folder: Path, open_journal: OpenJournal) -> None:
    whole = fill(folder, 3)
    # Its older neighbour has lost its last record: the number must not go below the name.
    (folder / FIRST_SEGMENT).write_bytes(whole[:-10])
    (folder / "migration-000000000004.jsonl").touch()
    writer = open_journal()
    assert writer.write("daemon.started") == 4
    assert (folder / "migration-000000000004.jsonl").stat().st_size > 0


def test_segments_with_any_number_of_digits_are_read_in_numeric_order(
    folder: Path, open_journal: OpenJournal
) -> None:
    fill(folder, 30, segment_bytes=250)
    for file in list(folder.iterdir()):
        file.rename(folder / f"migration-{int(file.stem.split('-')[1])}.jsonl")
    writer = open_journal(segment_bytes=250)
    assert writer.write("daemon.started") == 31
    assert [record["seq"] for record in read(folder)] == list(range(1, 32))
    assert check(folder) == []


def test_other_files_in_the_folder_are_left_alone(folder: Path, open_journal: OpenJournal) -> None:
    folder.mkdir()
    for name in ("migration-.jsonl", "migration-1.jsonl.bak", "notes.txt", "migration-x.jsonl"):
        (folder / name).write_text("mine")
    (folder / "migration-9.jsonl").mkdir()
    assert open_journal().write("daemon.started") == 1
    assert (folder / "notes.txt").read_text() == "mine"


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(JournalError, match=r"journal in .*/journal cannot be written: File exists; move the file"):
        JournalWriter.open(tmp_path / "journal")
    with pytest.raises(JournalError, match="Not a directory"):
        JournalWriter.open(tmp_path / "journal" / "below")


def test_unfinished_migrations_are_those_planned_and_not_brought_to_an_end(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal()
    for migration in ("open", "finished", "failed", "back", "forward", "again", 'od"d', "conflicted"):
        writer.write("migration.planned", path="/m/a.pt", plan={"migration": "nested"}, migration=migration)
        writer.write("migration.committed", migration=migration)
    writer.write("migration.finished", migration="finished", action="created")
    writer.write("migration.failed", migration="failed", error="no space")
    writer.write("migration.failed", path="/m/other.pt", error="it belongs to no plan")
    writer.write("recovery.rolled_back", migration="back")
    writer.write("migration.conflicted", migration="conflicted")
    writer.write("recovery.rolled_forward", migration="open")
    writer.write("recovery.rolled_forward", migration="forward")
    writer.write("migration.finished", migration="forward", action="created")
    writer.write("migration.failed", migration="again", error="busy")
    writer.write("migration.planned", migration="again", attempt=2)
    while_writing = writer.unfinished
    assert list(while_writing) == ["open", 'od"d', "again"]
    assert while_writing["open"]["plan"] == {"migration": "nested"}
    assert while_writing["again"]["attempt"] == 2
    writer.close()
    assert open_journal().unfinished == while_writing


def test_damaged_end_of_a_migration_leaves_it_unfinished(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write("migration.planned", migration="m1")
    writer.write("migration.finished", migration="m1")
    writer.write("daemon.stopped")
    writer.close()
    segment = folder / FIRST_SEGMENT
    segment.write_bytes(segment.read_bytes().replace(b"migration.finished", b"migration.finishes"))
    assert list(open_journal().unfinished) == ["m1"]
