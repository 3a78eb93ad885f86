"""What the records of all formats have in common."""

import os
import re
from typing import Any

from modelkeep.domain.knowledge import SourceRecord, Text, TextFormat
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import digest_of
from modelkeep.importers.sidecars.values import text

_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", re.IGNORECASE)
_COMMENT, _COMMENT_END = "<!--\n", "\n-->"


def record_of(found: FoundSidecar, data: bytes, kind: str, **said: Any) -> SourceRecord:
    """Return the record of a sidecar.

    Args:
        found: where it lies, and whose it is.
        data: its bytes.
        kind: the tool that wrote it.
        **said: the further fields of the record.
    """
    return SourceRecord(kind, found.path, digest_of(data), found.models, stem=found.stem, **said)


def model_names(found: FoundSidecar) -> tuple[str, ...]:
    """Return the base names of the models of a sidecar."""
    return tuple(map(os.path.basename, found.models))


def path_elsewhere(found: FoundSidecar, value: object) -> str:
    """Return the path that a sidecar names, where that is not the one of its model: data, never opened."""
    path = text(value)
    return "" if path in found.models else path


def has_tags(value: str) -> bool:
    """Return whether a text bears HTML tags."""
    return _TAG.search(value) is not None


def is_cleaned(value: str) -> bool:
    """Return whether Civitai Helper made a text of Civitai plain: it hides such in a comment of HTML."""
    return value.startswith(_COMMENT) and value.endswith(_COMMENT_END)


def uncommented(value: object) -> str:
    """Return a text, without the comment of HTML in which Civitai Helper hides one, see `is_cleaned`."""
    found = text(value)
    return text(found[len(_COMMENT) : -len(_COMMENT_END)]) if is_cleaned(found) else found


def as_written(value: object) -> Text:
    """Return a text that is HTML where it bears tags, and plain where it bears none or was made so."""
    found = uncommented(value)
    return Text(found, TextFormat.HTML if has_tags(found) else TextFormat.PLAIN)
