r"""The lines of the journal, byte for byte.

A line is one JSON object in UTF-8 with no space between its tokens, ended by one newline (0x0A):

    {"seq":12,"ts":"2026-11-20T05:00:00.123456Z","event":"file.moved",<fields>,"crc":"0a1b2c3d"}\n

- `seq`: whole number from 1 on, one more than in the record before, across segments.
- `ts`: UTC, always these 27 characters. The clock may jump; the order of records is that of `seq`.
- `event`: `noun.verb_past`, words of lower-case ASCII letters, digits and underscores, joined by dots.
- fields: `migration` first when there is one, then the others in the order in which they were given.
- `crc`: CRC-32 (the one of zlib, gzip and PNG) over every byte of the line before the key `"crc"`, so from the
  opening brace up to and including the comma before `"crc"`; eight lower-case hexadecimal digits.

So the last 18 bytes of every line are `"crc":"` + eight digits + `"}` + newline, and the CRC covers all bytes before
them. Text is written as it is, only `"`, `\` and control characters are escaped. A line that holds a code point which
UTF-8 cannot (a surrogate escape of a file name that is no UTF-8, PEP 383) is written in ASCII with `\uXXXX`
throughout. A number that JSON does not know is written as the text `NaN`, `Infinity` or `-Infinity`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from modelkeep.domain.json_text import COMPACT, json_text
from modelkeep.errors import JournalError

RESERVED = frozenset({"seq", "ts", "event", "crc"})
"""Keys that the journal itself writes; no field may have their name."""

SEAL_BYTES = len(b'"crc":"00000000"}\n')
"""Length of what ends every line and is not covered by its CRC."""

_AS_JSON_HAS_IT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

_HEAD = re.compile(rb'\{"seq":([1-9][0-9]*),"ts":"[^"\\]*","event":"([a-z0-9_.]+)",(?:"migration":"([^"\\]*)",)?')
_EVENT = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


class Damaged(JournalError):
    """A line of the journal is not what was written; the text is the reason alone."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong at one place of the journal.

    `segment` is the base name of the file, `offset` the byte in it at which the damaged line begins.
    """

    segment: str
    offset: int
    reason: str


class Head(NamedTuple):
    """What a line says at its beginning; `migration` is empty where the record belongs to none."""

    seq: int
    event: str
    migration: str


def timestamp(now: datetime) -> str:
    """Return a moment (in UTC) as records spell it."""
    return now.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def timestamp_ns(now_ns: int) -> str:
    """Return a moment, in nanoseconds since 1970, as records spell it; most of it is that of the record before."""
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // 1000:06d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def record_of(seq: int, ts: str, event: str, fields: Mapping[str, object]) -> dict[str, object]:
    """Return a record with its keys in the order of the format.

    Raises:
        ValueError: a field has a name that the journal keeps for itself, or the event is not spelled
            `noun.verb_past`: a programming error.
    """
    if not RESERVED.isdisjoint(fields):
        reserved = RESERVED.intersection(fields)
        raise ValueError(f"{event}: the journal keeps the names {', '.join(sorted(reserved))} for itself")
    if not _is_event(event):
        raise ValueError(f"{event!r} is no name of an event; they are spelled noun.verb_past")
    first = {"migration": fields["migration"]} if "migration" in fields else {}
    return {"seq": seq, "ts": ts, "event": event, **first, **fields}


@lru_cache(maxsize=256)
def _is_event(event: object) -> bool:
    return isinstance(event, str) and _EVENT.fullmatch(event) is not None


def encode(record: Mapping[str, object]) -> bytes:
    """Return the line of a record as `record_of` gives it.

    Raises:
        TypeError: a field holds something that JSON has no form for: a programming error.
    """
    body = _json(record)[:-1] + b","
    return b'%b"crc":"%08x"}\n' % (body, crc32(body))


def _json(record: Mapping[str, object]) -> bytes:
    try:
        text = orjson.dumps(record, option=_AS_JSON_HAS_IT)
    except TypeError:  # a surrogate, a number of more than 64 bits, or what JSON has no form for
        return _any_json(record)
    return text if b"null" not in text else _any_json(record)  # a NaN would have become one


def _any_json(record: Mapping[str, object]) -> bytes:
    # What an old database holds must not keep a migration from being journalled.
    return json_text(record, spell=_spell_out, separators=COMPACT).encode()


def decode(line: bytes) -> dict[str, object]:
    """Return the record of a whole line, without its `crc`.

    Raises:
        Damaged: the line is cut off, its checksum does not fit, or it is no record.
    """
    if not is_sound(line):
        raise Damaged(why_unsound(line))
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise Damaged("it is no JSON") from None
    if not isinstance(record, dict):
        raise Damaged("it is no JSON object")
    record.pop("crc", None)
    _require_identity(record)
    return record


def is_sound(line: bytes) -> bool:
    """Return whether a line ends as lines do and its checksum fits, without parsing it."""
    return line[-SEAL_BYTES:] == b'"crc":"%08x"}\n' % crc32(line[:-SEAL_BYTES])


def why_unsound(line: bytes) -> str:
    """Return why `is_sound` says no."""
    return "its checksum does not fit" if line.endswith(b"\n") else "it is cut off"


def read_head(line: bytes) -> Head | None:
    """Return what a sound line says at its beginning, or None when it is no record."""
    match = _HEAD.match(line)
    if match is not None:
        seq, event, migration = match.groups(b"")
        if migration or b'"migration":' not in line:
            return Head(int(seq), event.decode(), migration.decode(errors="replace"))
    try:
        return _head_of(decode(line))
    except Damaged:
        return None


def _head_of(record: dict[str, Any]) -> Head:
    migration = record.get("migration")
    return Head(record["seq"], record["event"], migration if isinstance(migration, str) else "")


def _require_identity(record: dict[str, object]) -> None:
    seq, event = record.get("seq"), record.get("event")
    if type(seq) is not int or seq < 1:
        raise Damaged("it has no sequence number")
    if not isinstance(record.get("ts"), str):
        raise Damaged("it has no time")
    if not isinstance(event, str) or not event:
        raise Damaged("it has no event")


def _spell_out(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
