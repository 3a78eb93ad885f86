"""Read what stands in a file beside a model, without the file."""

import json
from typing import Any

from modelkeep.domain.knowledge import Grade, HashKind, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.formats import FORMATS

BY_SUFFIX = {suffix: known for known in FORMATS for suffix in known.suffixes}
MODEL = "/m/x.safetensors"


def read(suffix: str, content: Any, *models: str) -> SourceRecord | Refusal | None:
    """Read the file `x` with a suffix: its bytes, or a value of which they are the JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return BY_SUFFIX[suffix].read(FoundSidecar(f"/m/x{suffix}", suffix, "x", models), data)


def record(suffix: str, content: Any, *models: str) -> SourceRecord:
    """Read a file that can be taken."""
    said = read(suffix, content, *(models or (MODEL,)))
    assert isinstance(said, SourceRecord), said
    return said


def graded(said: SourceRecord) -> list[tuple[HashKind, Grade]]:
    """Return the kinds and grades of a record's claims."""
    return [(claim.kind, claim.grade) for claim in said.claims]
