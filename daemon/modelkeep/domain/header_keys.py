"""What the header of a model file says, held as JSON within bounds: who made it may have put anything there."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

KEYS_MAX = 4_096
KEY_CHARACTERS_MAX = 256
TEXT_CHARACTERS_MAX = 1 << 18
"""A longer text is summarised."""

ALL_CHARACTERS_MAX = 1 << 20
"""Of all texts of a header together; what comes later is summarised."""

LIST_ITEMS_MAX = 64
"""A longer list is summarised: those of tokenizers have some hundred thousand items."""

DEPTH_MAX = 8
_FIRST_CHARACTERS = 200
_LARGE = 1 << 63
_SURROGATES = re.compile("[\ud800-\udfff]")
_PICTURE_KEYS = frozenset({"modelspec.thumbnail", "ssmd_cover_images"})


class Summary(NamedTuple):
    """Stands for a value that is not kept: it is a `text`, `list`, `object` or `picture`, so long, and begins so."""

    kind: str
    length: int
    begins: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the shape in which it is kept."""
        return {"summary": self.kind, "length": self.length, **({"begins": self.begins} if self.begins else {})}


class HeaderKeys:
    """What is kept of a header, key by key."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.problem = ""
        self.has_image = False
        self._left = ALL_CHARACTERS_MAX

    def add(self, key: str, value: object) -> None:
        """Keep a key; of two with the same name the later counts, as it does for those who load such a file."""
        name = _clean(key[:KEY_CHARACTERS_MAX])
        if name in self.keys:
            self.problem = f"the key {name[:80]!r} is there twice"
        elif len(self.keys) >= KEYS_MAX:
            self.problem = f"it has more than {KEYS_MAX} keys"
            return
        self._left -= len(name)
        self.keys[name] = self._picture(value) if _is_picture(name, value) else self._kept(value, 0)

    def _picture(self, value: object) -> dict[str, Any]:
        self.has_image = True
        return Summary("picture", len(str(value))).as_json()

    def _kept(self, value: object, depth: int) -> object:
        if isinstance(value, Summary):
            return value.as_json()
        if isinstance(value, str):
            return self._text(_clean(value))
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return _number(value)
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, Sequence):
            return self._list(value, depth)
        raise TypeError(type(value))

    def _text(self, text: str) -> object:
        if len(text) > min(TEXT_CHARACTERS_MAX, self._left):
            return Summary("text", len(text), text[:_FIRST_CHARACTERS]).as_json()
        self._left -= len(text)
        return text

    def _object(self, value: Mapping[str, object], depth: int) -> object:
        self._left -= 8 * len(value)
        if depth >= DEPTH_MAX or len(value) > KEYS_MAX or self._left < 0:
            return Summary("object", len(value)).as_json()
        return {_clean(key[:KEY_CHARACTERS_MAX]): self._kept(inner, depth + 1) for key, inner in value.items()}

    def _list(self, value: Sequence[object], depth: int) -> object:
        if depth >= DEPTH_MAX or len(value) > LIST_ITEMS_MAX or self._left < 0:
            return Summary("list", len(value)).as_json()
        return [self._kept(inner, depth + 1) for inner in value]


def _is_picture(key: str, value: object) -> bool:
    if isinstance(value, str) and value.startswith("data:image/"):
        return True
    return key in _PICTURE_KEYS and isinstance(value, str | list) and len(value) > len("None")


def _number(value: float) -> object:
    """Return a number that every reader of JSON holds; others as a text."""
    return value if abs(value) < _LARGE and math.isfinite(value) else str(value)


def _clean(text: str) -> str:
    """Return a text that can be written as UTF-8."""
    return _SURROGATES.sub("�", text)
