"""Many threads and many listeners: one order for all, and nobody waits for an fsync."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.journal.listeners import Listeners
from modelkeep.journal.reader import check, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]
Record = dict[str, object]


def run_in_threads(*functions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_records_of_many_threads_have_every_number_once_and_reach_listeners_in_order(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal(segment_bytes=5000, keep_segments=1000)
    heard: list[object] = []
    returned: list[int] = []
    writer.subscribe(lambda record: heard.append(record["seq"]))

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
    assert heard == list(range(1, 801))
    assert len(set(returned)) == 400
    assert check(folder) == []


def test_listener_hears_what_the_file_says(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    heard: list[Record] = []
    writer.subscribe(heard.append)
    writer.write("file.moved", path="/m/b.pt", old_path="/m/a.pt", migration="m1")
    writer.write_many([("file.missing", {"path": "/m/b.pt"}), ("file.returned", {"path": "/m/b.pt"})])
    assert heard == list(read(folder))
    assert [list(record) for record in heard] == [list(record) for record in read(folder)]


def test_listener_hears_nothing_before_it_subscribed_and_after_it_unsubscribed(open_journal: OpenJournal) -> None:
    writer = open_journal()
    heard: list[object] = []
    writer.write("file.detected", path="/m/a.pt")
    unsubscribe = writer.subscribe(lambda record: heard.append(record["seq"]))
    also_heard: list[object] = []
    writer.subscribe(lambda record: also_heard.append(record["seq"]))
    writer.write("file.detected", path="/m/b.pt")
    unsubscribe()
    unsubscribe()
    writer.write("file.detected", path="/m/c.pt")
    assert heard == [2]
    assert also_heard == [2, 3]


def test_listener_that_raises_breaks_neither_the_journal_nor_other_listeners(
    folder: Path, open_journal: OpenJournal, caplog: pytest.LogCaptureFixture
) -> None:
    writer = open_journal()
    heard: list[object] = []

    def fail(_record: Record) -> None:
        raise RuntimeError("the listener broke")

    writer.subscribe(fail)
    writer.subscribe(lambda record: heard.append(record["seq"]))
    assert writer.write("file.detected", path="/m/a.pt") == 1
    assert writer.write("file.detected", path="/m/b.pt") == 2
    assert heard == [1, 2]
    assert len(list(read(folder))) == 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_listener_may_write_to_the_journal(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    heard: list[object] = []

    def answer(record: Record) -> None:
        heard.append(record["event"])
        if record["event"] == "watch.overflowed":
            writer.write("rescan.finished")

    writer.subscribe(answer)
    writer.write("watch.overflowed")
    assert heard == ["watch.overflowed", "rescan.finished"]
    assert [record["event"] for record in read(folder)] == heard


def test_record_queued_while_a_delivery_ends_does_not_wait_for_the_next_one() -> None:
    listeners = Listeners()
    heard: list[object] = []
    listeners.subscribe(lambda record: heard.append(record["seq"]))

    class InterruptedLock:
        """Another thread comes at the worst moment: all is delivered, the lock not yet released."""

        def __init__(self) -> None:
            self._lock = threading.Lock()
            self.acquire = self._lock.acquire
            self._others = [2]

        def release(self) -> None:
            if self._others:
                listeners.queue([{"seq": self._others.pop(), "event": "file.detected"}])
                listeners.deliver()
            self._lock.release()

    listeners._delivering = InterruptedLock()  # type: ignore[assignment]
    listeners.queue([{"seq": 1, "event": "file.detected"}])
    listeners.deliver()
    assert heard == [1, 2]


def test_others_write_while_one_thread_waits_for_the_disk(
    folder: Path, open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt")
    syncing, released = threading.Event(), threading.Event()

    def slow_disk(_descriptor: int) -> None:
        syncing.set()
        assert released.wait(30)

    monkeypatch.setattr(os, "fdatasync", slow_disk)
    thread = threading.Thread(target=writer.sync)
    thread.start()
    assert syncing.wait(30)
    assert writer.write("file.detected", path="/m/b.pt") == 2
    released.set()
    thread.join()
    monkeypatch.undo()
    assert len(list(read(folder))) == 2
