"""Writing: numbers without a gap, one call a line, through structlog and past every log level."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkeep.errors import JournalError
from modelkeep.journal.reader import check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from modelkeep.journal.writer import JournalWriter

writer = JournalWriter.open(Path(sys.argv[1]), segment_bytes=20_000, keep_segments=1000)
while True:
    writer.write("file.detected", path="/m/a.pt", cause="created")
    writer.write_many([("file.settled", {"path": "/m/a.pt"})] * 7)
    print(writer.seq, flush=True)
"""


def seqs(folder: Path) -> list[object]:
    return [record["seq"] for record in read(folder)]


def test_records_are_numbered_from_one_and_read_back_as_written(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    assert writer.seq == 0
    assert writer.write("file.detected", path="/m/a.pt", cause="created") == 1
    assert writer.write("hash.finished", path="/m/a.pt", sha256="ab" * 32, bytes=5, seconds=0.25) == 2
    first, second = read(folder)
    assert first.pop("ts") <= second.pop("ts")  # type: ignore[operator]
    assert first == {"seq": 1, "event": "file.detected", "path": "/m/a.pt", "cause": "created"}
    assert list(second) == ["seq", "event", "path", "sha256", "bytes", "seconds"]
    assert writer.seq == 2


def test_numbers_go_on_after_the_journal_is_opened_again(folder: Path, open_journal: OpenJournal) -> None:
    for expected in (1, 2, 3):
        writer = open_journal()
        assert writer.write("daemon.started", pid=1) == expected
        writer.close()
    assert seqs(folder) == [1, 2, 3]
    assert check(folder) == []


def test_each_record_is_one_write_to_an_append_descriptor(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal()
    written: list[tuple[str, bytes]] = []
    real_write = os.write

    def spying_write(descriptor: int, data: bytes) -> int:
        flags = int(Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("flags:")[1].split()[0], 8)
        assert flags & os.O_APPEND
        assert flags & os.O_CLOEXEC
        written.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), bytes(data)))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", spying_write)
    writer.write("file.detected", path="/m/a.pt")
    writer.write("file.settled", path="/m/a.pt")
    monkeypatch.undo()
    segment = folder / "migration-000000000001.jsonl"
    assert [path for path, _ in written] == [str(segment)] * 2
    assert [data for _, data in written] == segment.read_bytes().splitlines(keepends=True)


def test_many_records_are_written_in_few_calls(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal()
    sizes: list[int] = []
    real_write = os.write

    def spying_write(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", spying_write)
    last = writer.write_many(("image.published", {"path": "/m/a.pt", "note": "x" * 1000}) for _ in range(2000))
    monkeypatch.undo()
    assert last == writer.seq == 2000
    assert len(sizes) <= 12
    assert max(sizes) < 300_000
    assert seqs(folder) == list(range(1, 2001))


def test_writing_no_records_changes_nothing(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write("daemon.started")
    assert writer.write_many([]) == 1
    assert seqs(folder) == [1]


def test_no_log_level_and_no_configuration_of_structlog_silences_the_journal(
    folder: Path, open_journal: OpenJournal, capfd: pytest.CaptureFixture[str]
) -> None:
    def drop(_logger: Any, _method: str, _event_dict: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(processors=[drop], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        writer = open_journal()
        writer.write("daemon.started")
        structlog.reset_defaults()
        writer.write("daemon.stopped")
    finally:
        structlog.reset_defaults()
        logging.disable(logging.NOTSET)
    assert [record["event"] for record in read(folder)] == ["daemon.started", "daemon.stopped"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fields", [{"seq": 5}, {"ts": ""}, {"event": "x"}, {"crc": "0"}])
def test_reserved_field_is_refused_and_takes_no_number(
    folder: Path, open_journal: OpenJournal, fields: Mapping[str, object]
) -> None:
    writer = open_journal()
    with pytest.raises(ValueError, match="for itself"):
        writer.write_many([("file.moved", {"path": "/a"}), ("file.moved", fields)])
    assert writer.write("file.moved", path="/b") == writer.seq == 1
    assert seqs(folder) == [1]


def test_records_may_have_fields_named_like_anything_else(folder: Path, open_journal: OpenJournal) -> None:
    fields: dict[str, object] = {"method_name": 1, "logger": 2, "exc_info": 3, "level": 4, "name": 5, "with space": 6}
    open_journal().write("file.moved", **fields)
    (record,) = read(folder)
    assert {key: record[key] for key in fields} == fields


def test_value_without_a_json_form_takes_no_number(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    with pytest.raises(TypeError):
        writer.write("file.moved", path=Path("/a"))
    assert writer.write("file.moved", path="/a") == 1
    assert check(folder) == []


def test_records_before_a_source_of_records_fails_may_stay_and_their_numbers_are_right(
    folder: Path, open_journal: OpenJournal
) -> None:
    def failing_source() -> Iterator[tuple[str, Mapping[str, object]]]:
        for _ in range(3000):
            yield "file.detected", {"path": "/a"}
        raise RuntimeError("the source broke")

    writer = open_journal()
    with pytest.raises(RuntimeError, match="the source broke"):
        writer.write_many(failing_source())
    assert writer.write("daemon.stopped") == writer.seq
    assert seqs(folder) == list(range(1, writer.seq + 1))


def test_source_of_records_may_write_to_the_journal_itself(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()

    def source() -> Iterator[tuple[str, Mapping[str, object]]]:
        writer.write("sweep.finished")
        yield "file.detected", {"path": "/a"}

    assert writer.write_many(source()) == 2
    assert [record["event"] for record in read(folder)] == ["sweep.finished", "file.detected"]


def test_status_counts_every_segment(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=300)
    assert (writer.segments, writer.size_bytes) == (1, 0)
    for _ in range(20):
        writer.write("file.detected", path="/m/a.pt")
    files = list(folder.iterdir())
    assert writer.segments == len(files) > 3
    assert writer.size_bytes == sum(file.stat().st_size for file in files)
    writer.close()
    reopened = open_journal(segment_bytes=300)
    assert (reopened.segments, reopened.size_bytes) == (len(files), sum(file.stat().st_size for file in files))


def test_closed_journal_refuses_records_and_may_be_closed_again(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write("daemon.stopped")
    writer.close()
    writer.close()
    for call in (lambda: writer.write("daemon.started"), lambda: writer.write_many([("a.b", {})]), writer.sync):
        with pytest.raises(JournalError, match="closed"):
            call()
    assert seqs(folder) == [1]


def test_daemon_killed_at_any_moment_leaves_a_journal_that_goes_on(folder: Path) -> None:
    for lines_before_kill in (1, 20, 50, 90):
        process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(folder)], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            told_seq = [int(process.stdout.readline()) for _ in range(lines_before_kill)][-1]
            process.kill()
        JournalWriter.open(folder, segment_bytes=20_000, keep_segments=1000).close()
        written = seqs(folder)
        assert written == list(range(1, len(written) + 1))
        assert len(written) >= told_seq
        assert check(folder) == []


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(st.text(st.characters(), max_size=40), max_size=6), max_size=8))
def test_any_names_in_any_batches_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    names = [f"/m/{name}" for batch in batches for name in batch]
    for batch in batches:
        writer = JournalWriter.open(folder, segment_bytes=400, keep_segments=10_000)
        writer.write_many(("file.detected", {"path": f"/m/{name}"}) for name in batch)
        writer.close()
    spelled = [name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for name in names]
    assert [record["path"] for record in read(folder)] == spelled
    assert check(folder) == []
