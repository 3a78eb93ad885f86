"""What a start need not read again: the segments that nobody writes any more."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkeep.journal import survey as survey_module
from modelkeep.journal.records import encode
from modelkeep.journal.sealed import FILE_NAME
from modelkeep.journal.segments import Segment, lines_forward, segment_at
from modelkeep.journal.survey import Survey, take_survey
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the segments that are read."""
    names: list[str] = []

    def noting(segment: Segment) -> Iterator[bytes]:
        names.append(segment.name)
        return lines_forward(segment)

    monkeypatch.setattr(survey_module, "lines_forward", noting)
    return names


@pytest.fixture
def filled(folder: Path, open_journal: OpenJournal) -> Path:
    """A journal of several segments, with a migration that is open since the first."""
    writer = open_journal(segment_bytes=1000, keep_segments=1000)
    writer.write("migration.planned", migration="open", path="/m/caf\udce9.pt")
    for number in range(60):
        writer.write("migration.planned", migration=f"m{number}")
        if number:
            writer.write("migration.finished", migration=f"m{number - 1}")
    writer.close()
    return folder


def told(survey: Survey) -> tuple[object, ...]:
    sizes = {segment.name: size for segment, size in survey.sizes.items()}
    return (sizes, survey.next_seq, survey.damages, list(survey.unfinished.records().items()), survey.torn_tail)


def read_whole(folder: Path) -> tuple[object, ...]:
    """Survey a journal of which nothing is known yet."""
    (folder / FILE_NAME).unlink(missing_ok=True)
    return told(take_survey(folder))


def test_what_is_sealed_is_read_once_and_tells_the_same_again(filled: Path, reads: list[str]) -> None:
    first = read_whole(filled)
    segments = sorted(path.name for path in filled.glob("migration-*"))
    assert reads == segments
    assert len(segments) > 5
    reads.clear()
    assert told(take_survey(filled)) == first
    assert reads == segments[-1:]
    assert list(take_survey(filled).unfinished.records()) == ["open", "m59"]


def test_a_segment_that_was_changed_is_read_again_and_its_damage_is_told(filled: Path, reads: list[str]) -> None:
    read_whole(filled)
    reads.clear()
    segment = sorted(filled.glob("migration-*"))[1]
    status = segment.stat()
    content = bytearray(segment.read_bytes())
    content[40] ^= 1
    segment.write_bytes(content)
    os.utime(segment, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if by somebody who hides it
    (damage,) = take_survey(filled).damages
    assert damage.segment == segment.name
    assert reads[0] == segment.name
    reads.clear()
    assert take_survey(filled).damages == [damage], "it is told again at every start"
    assert len(reads) == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "segments": {"a": 3}}', b"\xff"]
)
def test_a_summary_that_makes_no_sense_is_made_anew(filled: Path, content: bytes) -> None:
    first = read_whole(filled)
    (filled / FILE_NAME).write_bytes(content)
    assert told(take_survey(filled)) == first
    assert (filled / FILE_NAME).read_bytes() != content


def test_a_folder_that_cannot_be_written_is_read_nevertheless(filled: Path) -> None:
    first = read_whole(filled)
    (filled / FILE_NAME).unlink()
    (filled / FILE_NAME).mkdir()
    assert told(take_survey(filled)) == first


EVENTS = ("migration.planned", "migration.finished", "migration.failed", "file.detected")


@given(st.lists(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from("abc")), max_size=5), max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_survey_of_summaries_is_that_of_the_records(
    tmp_path_factory: pytest.TempPathFactory, segments: list[list[tuple[str, str]]]
) -> None:
    folder, seq = tmp_path_factory.mktemp("journal"), 1
    for records in segments:
        lines = [
            encode({"seq": seq + number, "ts": "2026-01-01T00:00:00.000000Z", "event": event, "migration": migration})
            for number, (event, migration) in enumerate(records)
        ]
        segment_at(folder, seq).path.write_bytes(b"".join(lines))
        seq += len(lines)
    first = read_whole(folder)
    assert told(take_survey(folder)) == first
