"""What is said of a model's file in fields of its own: one definition for all who hold it, or hand it on."""

from dataclasses import KW_ONLY, field, fields
from operator import attrgetter
from typing import Any

from modelkeep.domain.frozen import frozen


@frozen
class Description:
    """What a legacy row, what it claims, a row of the queue and a model say alike."""

    _: KW_ONLY
    name: str = ""
    type: str = ""
    base: str = ""
    created_at: int = 0
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def description(self) -> dict[str, Any]:
        """All of it, to be said by another value."""
        return dict(zip(_ALL, _values_of(self), strict=True))

    @property
    def texts(self) -> dict[str, str]:
        """The texts by their names."""
        return {name: getattr(self, name) for name in TEXTS}

    @property
    def further_texts(self) -> dict[str, str]:
        """The texts that no path suggests."""
        return {name: getattr(self, name) for name in FURTHER_TEXTS}


_ALL = tuple(known.name for known in fields(Description))
_values_of = attrgetter(*_ALL)

TEXTS = tuple(known.name for known in fields(Description) if known.type is str)
"""What is said in one text each."""

FURTHER_TEXTS = tuple(name for name in TEXTS if name not in ("name", "type"))
"""Texts that no path suggests: somebody said them."""


def filled(first: Description, second: Description) -> dict[str, str]:
    """Return the texts of one description, and those of another where it says nothing."""
    return {name: text or getattr(second, name) for name, text in first.texts.items()}
