"""Full disks, short writes and failed syncs: no half line, no lost number, no success that is none.

Real ones where there are real ones: a small tmpfs, the limit of a file's size, /dev/full, and pipes, which cannot be
synced. They are put in the place of the open segment's descriptor.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fakes import limited

from modelkeep.errors import JournalError
from modelkeep.journal.reader import check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

SEGMENT = "migration-000000000001.jsonl"


def write_one_by_one(writer: JournalWriter, records: Iterable[tuple[str, Mapping[str, object]]]) -> None:
    for event, fields in records:
        writer.write(event, **fields)


def descriptor_of(path: Path) -> int:
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_symlink() and os.path.realpath(entry) == str(path.resolve()):
            return int(entry.name)
    raise AssertionError(f"{path} is not open")


@contextmanager
def in_place_of(path: Path, other: int) -> Iterator[None]:
    """Put another descriptor in the place of the one that is open on a path."""
    descriptor = descriptor_of(path)
    kept = os.dup(descriptor)
    os.dup2(other, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


@pytest.fixture
def full_device() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def unsyncable() -> Iterator[int]:
    reading, writing = os.pipe()
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount_point = tmp_path / "small"
    mount_point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "modelkeep-test", str(mount_point)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small file system needs the right to mount: {error}")
    yield mount_point
    subprocess.run(["umount", "--lazy", str(mount_point)], check=True)


def test_full_disk_is_an_error_that_names_the_folder_and_the_reason(
    folder: Path, open_journal: OpenJournal, full_device: int
) -> None:
    writer = open_journal()
    with (
        in_place_of(folder / SEGMENT, full_device),
        pytest.raises(
            JournalError, match=rf"{folder} cannot be written: No space left on device; make room on .* {folder}$"
        ),
    ):
        writer.write("file.detected", path="/m/a.pt")
    assert writer.seq == 0
    assert writer.write("file.detected", path="/m/b.pt") == 1
    assert [record["path"] for record in read(folder)] == ["/m/b.pt"]


def test_small_disk_that_fills_up_keeps_whole_records_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    folder = small_disk / "journal"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(20_000))
    writer = JournalWriter.open(folder, segment_bytes=8000)
    records = [("file.detected", {"path": "/m/a.pt", "note": "x" * 100})] * 10_000
    with pytest.raises(JournalError, match="No space left"):
        write_one_by_one(writer, records)
    written = writer.seq
    assert 0 < written < len(records)
    assert check(folder) == []
    ballast.unlink()
    assert writer.write("file.detected", path="/m/b.pt") == written + 1
    writer.close()
    assert [record["seq"] for record in read(folder)] == list(range(1, written + 2))
    assert check(folder) == []


def test_line_that_fits_only_in_part_is_taken_back(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    before = (folder / SEGMENT).read_bytes()
    with limited(resource.RLIMIT_FSIZE, len(before) + 30), pytest.raises(JournalError, match="File too large"):
        writer.write("file.detected", path="/m/b.pt")
    assert (folder / SEGMENT).read_bytes() == before
    assert writer.write("file.detected", path="/m/c.pt") == 2
    assert check(folder) == []


def test_many_records_that_fit_only_in_part_are_taken_back_together(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    plans = [("migration.planned", {"migration": f"m{number}"}) for number in range(100)]
    with limited(resource.RLIMIT_FSIZE, 2000), pytest.raises(JournalError):
        writer.write_many(plans)
    assert (writer.seq, writer.unfinished) == (0, {})
    assert (folder / SEGMENT).stat().st_size == 0
    assert writer.write_many(plans) == 100
    assert len(writer.unfinished) == 100


def test_short_write_is_completed_when_the_rest_fits(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Network file systems may take a part and then the rest; no local one can be made to.
    writer = open_journal()
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:7]))
    writer.write("file.detected", path="/m/a.pt")
    monkeypatch.undo()
    writer.write("file.detected", path="/m/b.pt")
    assert [record["path"] for record in read(folder)] == ["/m/a.pt", "/m/b.pt"]


def test_journal_that_cannot_take_back_a_part_writes_nothing_behind_it(
    folder: Path, open_journal: OpenJournal, full_device: int
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    # /dev/full has no size that could be cut.
    with in_place_of(folder / SEGMENT, full_device), pytest.raises(JournalError):
        writer.write("file.detected", path="/m/b.pt")
    with pytest.raises(JournalError, match="start the daemon again"):
        writer.write("file.detected", path="/m/c.pt")
    assert [record["path"] for record in read(folder)] == ["/m/a.pt"]


def test_failed_sync_is_never_tried_again(folder: Path, open_journal: OpenJournal, unsyncable: int) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    with in_place_of(folder / SEGMENT, unsyncable), pytest.raises(JournalError, match=str(folder)) as first:
        writer.sync()
    # The descriptor could be synced again, and that success would be a lie.
    calls: list[Callable[[], object]] = [
        writer.sync,
        lambda: writer.write("file.detected", path="/m/b.pt"),
        lambda: writer.write_many([("file.detected", {"path": "/m/b.pt"})]),
        writer.close,
    ]
    for call in calls:
        with pytest.raises(JournalError) as again:
            call()
        assert str(again.value) == str(first.value)
    assert [record["path"] for record in read(folder)] == ["/m/a.pt"]


def test_failed_sync_before_a_rotation_stops_the_journal(
    folder: Path, open_journal: OpenJournal, unsyncable: int
) -> None:
    writer = open_journal(segment_bytes=1)
    writer.write("file.detected", path="/m/a.pt")
    with in_place_of(folder / SEGMENT, unsyncable), pytest.raises(JournalError):
        writer.write("file.detected", path="/m/b.pt")
    with pytest.raises(JournalError, match="start the daemon again"):
        writer.write("file.detected", path="/m/c.pt")
    assert [file.name for file in folder.iterdir()] == [SEGMENT]


def test_close_closes_even_when_the_last_sync_fails(folder: Path, open_journal: OpenJournal, unsyncable: int) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    descriptor = descriptor_of(folder / SEGMENT)
    os.dup2(unsyncable, descriptor)
    with pytest.raises(JournalError):
        writer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


class Syncs:
    """What has been synced, and what the folder held at that moment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.seen: list[tuple[str, dict[str, int]]] = []
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._spy_on(getattr(os, name)))

    def _spy_on(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def spying(descriptor: int) -> None:
            target = Path(f"/proc/self/fd/{descriptor}").readlink()
            sizes = {file.name: file.stat().st_size for file in self._folder.glob("*")}
            self.seen.append((target.name, sizes))
            real(descriptor)

        return spying


def test_new_journal_syncs_every_folder_that_it_made_and_its_first_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "journal"
    syncs = Syncs(folder, monkeypatch)
    writer = JournalWriter.open(folder)
    assert [name for name, _ in syncs.seen] == [tmp_path.name, "data", "journal"]
    assert syncs.seen[-1] == ("journal", {SEGMENT: 0})
    writer.write("file.detected", path="/m/a.pt")
    writer.sync()
    assert [name for name, _ in syncs.seen[3:]] == [SEGMENT]
    writer.close()
    assert [name for name, _ in syncs.seen[4:]] == [SEGMENT]


def test_journal_that_was_there_syncs_its_name_and_that_of_its_newest_segment_before_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    (folder / SEGMENT).touch()
    syncs = Syncs(folder, monkeypatch)
    JournalWriter.open(folder)
    assert [name for name, _ in syncs.seen] == [folder.parent.name, "journal"]


def test_rotation_syncs_the_old_segment_and_the_new_name_before_the_next_record(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal(segment_bytes=1)
    writer.write("file.detected", path="/m/a.pt")
    size_bytes = writer.size_bytes
    syncs = Syncs(folder, monkeypatch)
    writer.write("file.detected", path="/m/b.pt")
    new = "migration-000000000002.jsonl"
    assert syncs.seen == [(SEGMENT, {SEGMENT: size_bytes}), ("journal", {SEGMENT: size_bytes, new: 0})]


def test_repair_is_on_the_disk_before_the_journal_is_open(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    writer.close()
    with (folder / SEGMENT).open("ab") as file:
        file.write(b'{"seq":2,')
    syncs = Syncs(folder, monkeypatch)
    open_journal()
    assert syncs.seen[-1] == (SEGMENT, {SEGMENT: (folder / SEGMENT).stat().st_size})


def test_full_disk_while_repairing_is_told_and_the_next_opening_succeeds(folder: Path) -> None:
    JournalWriter.open(folder).close()
    (folder / SEGMENT).write_bytes(b'{"se')
    with limited(resource.RLIMIT_FSIZE, 2), pytest.raises(JournalError, match="File too large"):
        JournalWriter.open(folder)
    with pytest.raises(AssertionError, match="not open"):
        descriptor_of(folder / SEGMENT)
    writer = JournalWriter.open(folder)
    assert writer.write("daemon.started") == writer.seq
    writer.close()
    assert check(folder) == []
