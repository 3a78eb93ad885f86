"""A long journal ends anywhere in its last 65,536 bytes: what is read of it is what was written, and no more."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.crash.trials import Trial, assert_all_well, some

from modelkeep.journal.writer import JournalWriter

LAST_BYTES = 65_536
CUTS = 100
CUTS_PER_ROUND = LAST_BYTES // 1000 + 1
"""With 1,000 rounds the soak tries every byte."""

PLAN = {"action": "create", "strategy": "auto", "images": [{"staged": "x" * 40, "final": "y" * 70}]}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a journal in which every third migration is still open."""
    folder = tmp_path_factory.mktemp("whole")
    writer = JournalWriter.open(folder)
    for number in range(400):
        about = {"migration": f"m{number}", "path": f"/models/水 {number}.safetensors", "pending_id": number}
        writer.write("migration.planned", **about, **PLAN)
        if number % 3:
            writer.write("migration.finished", **about)
    writer.close()
    (segment,) = folder.iterdir()
    assert segment.stat().st_size > LAST_BYTES
    return segment.read_bytes()


def cut_trials(folder: Path, whole: bytes) -> list[Trial]:
    folder.mkdir()
    return [
        Trial(f"cut after {size_bytes} of {len(whole)} bytes", _cut(folder, whole, size_bytes))
        for size_bytes in range(len(whole) - LAST_BYTES, len(whole))
    ]


def _cut(folder: Path, whole: bytes, size_bytes: int) -> Callable[[], list[str]]:
    return lambda: list(_faults(folder, whole[:size_bytes]))


def _faults(folder: Path, left: bytes) -> Iterator[str]:
    lines = left.split(b"\n")
    records = [json.loads(line) for line in lines[:-1]]
    ended = {record["migration"] for record in records if record["event"] == "migration.finished"}
    (folder / "migration-000000000001.jsonl").write_bytes(left)
    writer = JournalWriter.open(folder)
    try:
        still_open = [record["migration"] for record in records if record["migration"] not in ended]
        if list(writer.unfinished) != still_open:
            yield f"these migrations count as open: {list(writer.unfinished)}"
        if writer.seq != len(records) + bool(lines[-1]):
            yield f"it goes on after record {writer.seq}, and has {len(records)}"
        yield from (f"damaged: {damage}" for damage in writer.damages)
    finally:
        writer.close()
    told = json.loads((folder / "migration-000000000001.jsonl").read_bytes().splitlines()[-1])
    if lines[-1] and (told["event"], told["bytes_cut"]) != ("journal.repaired", len(lines[-1])):
        yield "nobody is told that the last record was torn"


def test_a_long_journal_that_is_cut_anywhere_keeps_its_whole_records(fast_folder: Path, whole: bytes) -> None:
    assert_all_well(some(cut_trials(fast_folder / "cut", whole), CUTS))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_long_journal_that_is_cut_at_each_of_its_last_bytes(
    fast_folder: Path, whole: bytes, rounds: int, seed: int
) -> None:
    assert_all_well(some(cut_trials(fast_folder / "cut often", whole), CUTS_PER_ROUND * rounds, seed))
