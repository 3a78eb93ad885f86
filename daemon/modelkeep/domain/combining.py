"""What all source records of one content say together. Pure, and the same in whatever order they came.

The owner's own words beat a copy of an answer, a later answer beats an earlier one, else the longer; texts are never
mixed, lists unite. Where two of the owner's own words differ, one is taken, and he is asked about the other.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from modelkeep.domain.knowledge import LIST_FIELDS, SINGLE_FIELDS, Meaning, SourceRecord, Standing
from modelkeep.domain.values import NAME_CHARACTERS_MAX, TAG_CHARACTERS_MAX, TAGS_MAX


def combine(records: Iterable[SourceRecord]) -> Meaning:
    """Return what records of one content say together."""
    ordered = sorted(records, key=lambda record: (record.kind, record.key, record.digest))
    values: dict[str, Any] = {}
    for name in SINGLE_FIELDS:
        saying = [record for record in ordered if _says(record, name)]
        if saying:
            values[name] = getattr(_winner(saying, name).meaning, name)
    for name in LIST_FIELDS:
        values[name] = _united(name, (getattr(record.meaning, name) for record in ordered))
    return Meaning(**values)


_EMPTY = Meaning()
_NAMES = ("title", "base_model")

ITEMS_MAX = TAGS_MAX
"""So many items of each list go into a model."""


def _says(record: SourceRecord, name: str) -> bool:
    value = getattr(record.meaning, name)
    if name in _NAMES and len(value) > NAME_CHARACTERS_MAX:
        return False
    if record.standing is Standing.HEADER and _repeats_the_file(record, name):
        return False  # a trainer wrote it, for every file that it made; by now they may have other names
    return value != getattr(_EMPTY, name) and not (isinstance(value, str) and not value.strip())


def _winner(saying: Sequence[SourceRecord], name: str) -> SourceRecord:
    owned = [record for record in saying if name in record.owned]
    if owned:
        # By kind and key: which of two is shown until the owner decides does not depend on who came first.
        return owned[0]
    return max(
        saying,
        key=lambda record: (
            not _repeats_the_file(record, name),
            _voice(record),
            record.updated_at,
            len(_words(record, name)),
            record.kind,
            record.key,
        ),
    )


def _repeats_the_file(record: SourceRecord, name: str) -> bool:
    """Return whether a title is no more than the name of the model's file: nobody gave it."""
    return name == "title" and bool(record.stem) and record.meaning.title.strip() == record.stem


_VOICES = (Standing.GUESS, Standing.HEADER, Standing.ANSWER)


def _voice(record: SourceRecord) -> int:
    return _VOICES.index(record.standing)


def _words(record: SourceRecord, name: str) -> str:
    value = getattr(record.meaning, name)
    return str(getattr(value, "value", value)).strip()


def _united(name: str, lists: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return what is in any list, as far as a model may have it; the records keep all of theirs."""
    united: list[Any] = []
    for item in chain.from_iterable(lists):
        is_too_long = name == "tags" and len(item) > TAG_CHARACTERS_MAX
        if len(united) < ITEMS_MAX and not is_too_long and item not in united:
            united.append(item)
    return tuple(united)
