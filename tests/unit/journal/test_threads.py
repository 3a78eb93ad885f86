"""Many threads: one order for all, and nobody waits for an fsync."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.journal.reader import check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]


def run_in_threads(*functions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_records_of_many_threads_have_every_number_once(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal(segment_bytes=5000, keep_segments=1000)
    returned: list[int] = []

    def write_singly() -> None:
        returned.extend(writer.write("file.detected", path="/m/a.pt") for _ in range(200))

    def write_many() -> None:
        for _ in range(20):
            writer.write_many([("file.settled", {"path": "/m/a.pt"})] * 10)

    def sync() -> None:
        for _ in range(20):
            writer.sync()

    run_in_threads(write_singly, write_many, write_singly, write_many, sync)
    assert [record["seq"] for record in read(folder)] == list(range(1, 801))
    assert len(set(returned)) == 400
    assert check(folder) == []


def test_others_write_while_one_thread_waits_for_the_disk(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    syncing, released = threading.Event(), threading.Event()

    def slow_disk(_descriptor: int) -> None:
        syncing.set()
        assert released.wait(60)

    monkeypatch.setattr(os, "fdatasync", slow_disk)
    thread = threading.Thread(target=writer.sync)
    thread.start()
    assert syncing.wait(60)
    assert writer.write("file.detected", path="/m/b.pt") == 2
    released.set()
    thread.join()
    monkeypatch.undo()
    assert len(list(read(folder))) == 2
