"""What every exporter is: pure functions from what is known, and from what a file holds, to its new bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelkeep.domain.json_text import json_text
from modelkeep.domain.values import JsonObject
from modelkeep.exporters.known import KnownModel

PREVIEW_SUFFIX = ".preview.png"


class NothingToSay(Exception):
    """Nothing that this format holds is known of a model, or its file is another program's; the text says which."""


@dataclass(frozen=True, slots=True)
class Order:
    """How files are to be written.

    Args:
        prefer_ours: what is known replaces what a file says.
        preview: path of the preview beside the model, or of the one that is made; empty when there is none.
        with_texts: notes are written as a text of their own too, where the format has such.
    """

    prefer_ours: bool = False
    preview: str = ""
    with_texts: bool = False


class Exporter(Protocol):
    """Writes the format of one tool."""

    @property
    def kind(self) -> str:
        """Name of the tool's kind."""

    @property
    def description(self) -> str:
        """What is written, in a few words for a list."""

    @property
    def holds_objects(self) -> bool:
        """Whether its files hold JSON objects; what others hold is replaced as a whole or not at all."""

    @property
    def shows_previews(self) -> bool:
        """Whether the tool shows `STEM.preview.png`."""

    def paths(self, model: KnownModel, order: Order) -> Sequence[str]:
        """Return the base names of the files of a model."""

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:
        """Return the bytes of one of its files.

        Args:
            name: its base name.
            model: what is known.
            existing: what the file holds, None for a new file.
            order: how it is to be written.

        Raises:
            NothingToSay: it is not written.
        """


def as_json(value: Mapping[str, Any], *, indent: int | None, ascii_only: bool) -> bytes:
    """Return an object as the tool's own code would write it: no byte order mark, no NaN."""
    return json_text(value, encoding="ascii" if ascii_only else "utf-8", indent=indent, spell=lambda _: None).encode()
