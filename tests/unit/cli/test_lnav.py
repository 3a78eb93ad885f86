"""The format with which lnav reads the journal: it fits real records, and lnav takes it where it is installed."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.programs import needs

from modelkeep.journal.query import is_failing
from modelkeep.journal.writer import JournalWriter

FORMAT = Path(__file__).parents[3] / "config" / "lnav" / "modelkeep_journal.json"
SHA = "ab" * 32
RECORDS: list[tuple[str, dict[str, object]]] = [
    ("daemon.started", {"version": "0.1.0", "pid": 7, "reason": "modelkeep run"}),
    ("file.detected", {"path": "/m/a.pt", "pending_id": 1, "cause": "scan"}),
    ("file.moved", {"path": "/m/b.pt", "old_path": "/m/a.pt", "cause": "renamed"}),
    ("hash.failed", {"path": "/m/b.pt", "pending_id": 1, "error": "it changed", "retry_at": 1}),
    ("hash.finished", {"path": "/m/b.pt", "sha256": SHA, "bytes": 5, "seconds": 0.1, "pending_id": 1}),
    ("migration.planned", {"migration": "m1", "path": "/m/b.pt", "sha256": SHA, "action": "created"}),
    ("migration.conflicted", {"migration": "m2", "path": "/m/b.pt", "sha256": SHA, "action": "conflicted"}),
    ("root.unreachable", {"root": "/m", "cause": "it is not there"}),
]


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    writer = JournalWriter.open(tmp_path / "journal")
    writer.write_many(RECORDS)
    writer.close()
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    return path


def the_format() -> dict[str, Any]:
    (made,) = (value for key, value in json.loads(FORMAT.read_text()).items() if not key.startswith("$"))
    assert isinstance(made, dict)
    return made


def test_the_format_knows_the_files_and_the_fields_of_real_records(segment: Path) -> None:
    made = the_format()
    assert re.fullmatch(made["file-pattern"], segment.name)
    first = json.loads(segment.read_text().splitlines()[0])
    assert {made["timestamp-field"], made["level-field"]} <= set(first)
    shown = {part["field"] for part in made["line-format"] if isinstance(part, dict)} - {"__timestamp__"}
    assert shown <= set(made["value"])
    written = {key for line in segment.read_text().splitlines() for key in json.loads(line)}
    assert shown <= written
    assert set(made["value"]) <= written | {"strategy"}


def test_whatever_went_wrong_has_a_level_of_its_own() -> None:
    levels = the_format()["level"]
    for event, _ in RECORDS:
        level = next((name for name, pattern in levels.items() if re.search(pattern, event)), "info")
        assert (level in ("error", "warning")) == is_failing(event), event


@needs("lnav")
def test_lnav_takes_the_format_and_finds_levels_and_fields(segment: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    subprocess.run(["lnav", "-i", str(FORMAT)], env=environment, check=True, capture_output=True, timeout=60)
    query = ";SELECT log_level, event FROM modelkeep_journal WHERE log_level > 'info' ORDER BY log_line"
    done = subprocess.run(
        ["lnav", "-n", "-c", query, "-c", ":write-csv-to -", str(segment)],
        env=environment,
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "log_level,event",
        "error,hash.failed",
        "warning,migration.conflicted",
        "warning,root.unreachable",
    ]
