"""Reading: which records a query wants, in which order, and what is left out."""

from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest

from modelkeep.errors import JournalError
from modelkeep.journal.query import Query
from modelkeep.journal.reader import Damage, check, read
from modelkeep.journal.records import encode, record_of
from modelkeep.journal.segments import Segment, blocks, lines_forward
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

SEGMENT = "migration-000000000001.jsonl"
DAY = "2026-11-20T05:00:0"


def lay_down(folder: Path, records: list[dict[str, object]], segment_records: int = 2) -> None:
    """Write records with times of our own choosing, a few to a segment."""
    folder.mkdir(exist_ok=True)
    for start in range(0, len(records), segment_records):
        lines = [
            encode({"seq": start + index + 1, **record})
            for index, record in enumerate(records[start : start + segment_records])
        ]
        (folder / f"migration-{start + 1:012d}.jsonl").write_bytes(b"".join(lines))


@pytest.fixture
def filled(folder: Path) -> Path:
    events: list[tuple[str, dict[str, object]]] = [
        ("daemon.started", {}),
        ("file.detected", {"path": "/m/a.pt"}),
        ("hash.failed", {"path": "/m/a.pt"}),
        ("migration.conflicted", {"path": "/m/a.pt"}),
        ("claim.refuted", {"path": "/m/a.pt"}),
        ("image.published", {"path": "/m/a.pt", "error": ""}),
        ("import.finished", {"error": "two rows refused"}),
        ("root.unreachable", {"path": "/m"}),
        ("watch.limited", {}),
    ]
    lay_down(
        folder,
        [{"ts": f"{DAY}{number}.000000Z", "event": event, **fields} for number, (event, fields) in enumerate(events)],
    )
    return folder


def numbers(records: Iterator[dict[str, object]]) -> list[object]:
    return [record["seq"] for record in records]


def moment_ms(ts: str) -> int:
    return round(datetime.fromisoformat(ts).timestamp() * 1000)


@pytest.mark.parametrize("event", ["journal.damaged", "journal.records_lost", "journal.repaired"])
def test_whatever_happens_to_the_journal_itself_went_wrong(folder: Path, event: str) -> None:
    lay_down(folder, [{"ts": f"{DAY}1.000000Z", "event": name} for name in ("daemon.started", event)])
    assert [record["event"] for record in read(folder, Query(failed=True))] == [event]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Query(event="daemon.started"), [1]),
        (Query(event="*ed"), [1, 2, 3, 4, 5, 6, 7, 9]),
        (Query(event="MIGRATION.*"), []),
        (Query(event="[fh]*.*ed"), [2, 3]),
        (Query(failed=True), [3, 4, 5, 7, 8, 9]),
        (Query(after=4), [5, 6, 7, 8, 9]),
        (Query(after=9), []),
        (Query(after=100), []),
        (Query(limit=2), [8, 9]),
        (Query(limit=100), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Query(limit=-1), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Query(limit=2, event="*.f*"), [3, 7]),
        (Query(limit=2, after=8), [9]),
        (Query(failed=True, after=3, limit=2, event="*.c*"), [4]),
        (Query(since_ms=moment_ms(f"{DAY}6.000000Z")), [7, 8, 9]),
        (Query(since_ms=moment_ms(f"{DAY}6.001000Z")), [8, 9]),
        (Query(since_ms=-5), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Query(since_ms=10**30), []),
    ],
)
def test_query_wants(filled: Path, seal: Callable[[Path], Path], query: Query, wanted: list[int]) -> None:
    assert numbers(read(seal(filled), query)) == wanted


def test_journal_that_is_not_there_has_no_records_and_no_damage(folder: Path) -> None:
    assert list(read(folder)) == []
    assert list(read(folder, Query(model="a", limit=3))) == []
    assert check(folder) == []


def test_journal_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.write_text("a file")
    with pytest.raises(JournalError, match=rf"{folder} cannot be read: Not a directory"):
        list(read(folder))


def test_records_come_without_their_checksum(filled: Path) -> None:
    assert all("crc" not in record for record in read(filled))


def test_reading_starts_before_the_end_is_written(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=300)
    for _ in range(10):
        writer.write("file.detected", path="/m/a.pt")
    records = read(folder)
    assert next(records)["seq"] == 1
    writer.write("file.detected", path="/m/b.pt")
    assert numbers(records)[-1] in (10, 11)


def test_segment_removed_while_it_is_read_is_no_error(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=1)
    for _ in range(4):
        writer.write("file.detected", path="/m/a.pt")
    records = read(folder)
    assert next(records)["seq"] == 1
    (folder / "migration-000000000002.jsonl").unlink()
    (folder / "migration-000000000003.jsonl").unlink()
    assert numbers(records) == [4]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"one\n",
        b"one",
        b"one\ntwo\n\nthree",
        b"a\rb\r\nc\x0bd\x85e\n" * 3,
        (b"x" * 70_000 + b"\n") * 3 + b"y" * 200_000,
        b"z" * 65_535 + b"\n" + b"w" * 65_536 + b"\n",
    ],
)
def test_lines_from_the_back_are_those_from_the_front_reversed(tmp_path: Path, content: bytes) -> None:
    segment = Segment(1, tmp_path / SEGMENT)
    segment.path.write_bytes(content)
    lines = list(lines_forward(segment))
    assert b"".join(lines) == content
    backward = [line for block in blocks(segment, newest_first=True) for line in reversed(BytesIO(block).readlines())]
    assert backward == lines[::-1]


def test_sound_journal_has_no_damage(filled: Path) -> None:
    assert check(filled) == []


def test_missing_segment_is_a_gap(filled: Path) -> None:
    (filled / "migration-000000000003.jsonl").unlink()
    (filled / "migration-000000000005.jsonl").unlink()
    assert check(filled) == [Damage("migration-000000000007.jsonl", 0, "records 3 to 6 are missing before it")]


def test_removed_oldest_segments_are_no_gap(filled: Path) -> None:
    (filled / SEGMENT).unlink()
    assert check(filled) == []


def test_missing_and_repeated_lines_are_told_with_their_place(filled: Path) -> None:
    first = filled / SEGMENT
    one, two = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(two)
    assert check(filled) == [Damage(SEGMENT, 0, "record 1 is missing before it")]
    first.write_bytes(one + two + one + two)
    assert check(filled) == [Damage(SEGMENT, len(one + two), "number 1 comes after number 2")]


def test_damage_accounts_for_the_gap_that_it_leaves_and_for_no_other(filled: Path) -> None:
    newest = filled / "migration-000000000009.jsonl"
    lines = [encode(record_of(seq, DAY, "sweep.finished", {})) for seq in (9, 10, 11, 13)]
    newest.write_bytes(lines[0] + b"x" * 40 + b"\n" + lines[2] + lines[3])
    offset = len(lines[0]) + 41
    assert check(filled) == [
        Damage(newest.name, len(lines[0]), "its checksum does not fit"),
        Damage(newest.name, offset + len(lines[2]), "record 12 is missing before it"),
    ]


def test_torn_tail_is_told(filled: Path) -> None:
    newest = filled / "migration-000000000009.jsonl"
    newest.write_bytes(newest.read_bytes() + b'{"seq":10')
    (damage,) = check(filled)
    assert damage.reason == "it is cut off"
