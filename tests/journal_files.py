"""The journal's files, read and checked without the program's own reader."""

import json
import re
import zlib
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_SEAL = re.compile(rb'"crc":"([0-9a-f]{8})"\}\Z')


def read_journal(folder: Path) -> list[Record]:
    """Read the journal's segments, and check every line: its checksum, and its number one more than the last."""
    records: list[Record] = []
    for segment in sorted(folder.glob("migration-*.jsonl"), key=lambda path: int(path.stem.split("-")[1])):
        lines = segment.read_bytes().split(b"\n")
        for line in lines[:-1]:  # what follows the last newline is being written at this moment
            seal = _SEAL.search(line)
            assert seal, f"{segment.name}: no checksum in {line!r}"
            assert int(seal[1], 16) == zlib.crc32(line[: seal.start()]), f"{segment.name}: wrong checksum in {line!r}"
            record = json.loads(line)
            expected = records[-1]["seq"] + 1 if records else record["seq"]
            assert record["seq"] == expected, f"{segment.name}: {record['seq']} stands where {expected} should"
            records.append(record)
    return records
