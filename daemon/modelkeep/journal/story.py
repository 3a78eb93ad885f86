"""The story of one model: every record that is connected to it, through renames and new keys.

Records are connected when they share a content (`sha256`), a pending row (`pending_id`), a migration or a path, where
`path` and `old_path` of a `file.moved` are one file's. A path that held two contents one after the other connects
both: the owner who asks what became of a file wants to read of its replacement.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from modelkeep.journal.needles import Spelled, spellings

_KEYS = (
    ("sha256", "sha256"),
    ("pending_id", "pending_id"),
    ("migration", "migration"),
    ("path", "path"),
    ("path", "old_path"),
)
"""What connects two records: the kind of a key, and the field that holds it."""

_HASH_BEGINNING = re.compile(r"[0-9a-f]{6,64}")

Key = tuple[str, str | int]


class Story:
    """Collects the keys of one story, record by record.

    Args:
        text: a SHA-256 or its beginning (6 digits or more), a path, or a part of a file's or a model's name.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._part_of_name = text.lower()
        self._hash_beginning = self._part_of_name if _HASH_BEGINNING.fullmatch(self._part_of_name) else ""
        self._keys: set[Key] = set()
        self._fresh: set[Key] = set()

    def takes(self, record: Mapping[str, object]) -> bool:
        """Return whether a record belongs to the story; what it is connected to then belongs to it too."""
        keys = _keys_of(record)
        if not keys or (keys.isdisjoint(self._keys) and not self._is_named_in(record)):
            return False
        self._fresh |= keys - self._keys
        self._keys |= keys
        return True

    def fresh_keys(self) -> set[Spelled]:
        """Return the keys that have come since the last call, in every way in which a line may spell them."""
        fresh, self._fresh = self._fresh, set()
        return {
            spelled
            for kind, value in fresh
            for key_kind, field in _KEYS
            if key_kind == kind
            for spelled in spellings(field, value)
        }

    def _is_named_in(self, record: Mapping[str, object]) -> bool:
        sha256, paths = _text(record, "sha256"), [_text(record, "path"), _text(record, "old_path")]
        if self._hash_beginning and sha256.startswith(self._hash_beginning):
            return True
        names = [PurePosixPath(path).name for path in paths] + [_text(record, "name")]
        return self._text in paths or any(self._part_of_name in name.lower() for name in names)


def _keys_of(record: Mapping[str, object]) -> frozenset[Key]:
    # An empty text or a zero is no key: it would connect everything that has none.
    values = ((kind, record.get(field)) for kind, field in _KEYS)
    return frozenset((kind, value) for kind, value in values if isinstance(value, str | int) and value)


def _text(record: Mapping[str, object], field: str) -> str:
    value = record.get(field)
    return value if isinstance(value, str) else ""
