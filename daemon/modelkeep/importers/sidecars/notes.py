"""Texts beside models, and the hashes of pysssss: `STEM.txt`, `STEM/*.txt`, `STEM.sha256`."""

import os
import re

from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, SourceRecord, Standing, Text
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import stem_of
from modelkeep.importers.hash_claims import hash_of_name, judge_hash
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.finding import EXAMPLE_PROMPT
from modelkeep.importers.sidecars.reading import as_text, refusal
from modelkeep.importers.sidecars.record import model_names, record_of
from modelkeep.importers.sidecars.values import text

KIND = "pysssss"
NOTE_BYTES_MAX = 2**20
"""Longer texts nobody wrote about a model."""

_SUM_LINE = re.compile(r"\s*\\?(?P<hash>[0-9A-Za-z]+)(?:\s+\*?(?P<name>.+?))?\s*")
_TOO_LONG = f"it is longer than {NOTE_BYTES_MAX // 2**20} MB, which no note is"


class NoteFormat:
    """Reads `STEM.txt`: notes to pysssss, a description to SD.Next and A1111, and no word in it says to whom."""

    kinds = frozenset({KIND})
    suffixes = (".txt", EXAMPLE_PROMPT)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return a text as notes, and as the description where there is no other."""
        if len(data) > NOTE_BYTES_MAX:
            return refusal(found, _TOO_LONG) if found.models else None
        read = as_text(data, found.fallback_encoding)
        value = text(read.value)
        if not value:
            return None
        if "\0" in read.value:
            return refusal(found, "it is no text") if found.models else None
        if found.suffix == EXAMPLE_PROMPT:
            example = {"prompt": value, "name": stem_of(os.path.basename(found.path))}
            meaning = Meaning(examples=(example,))
        else:
            meaning = Meaning(notes=value, description=Text(value))
        raw = {"text": value}
        return record_of(found, data, KIND, meaning=meaning, standing=Standing.GUESS, raw=raw, remarks=read.remarks)


class HashFormat:
    """Reads `STEM.sha256`: the bare hash, or a line of `sha256sum`."""

    kinds = frozenset({KIND})
    suffixes = (".sha256",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return the hash as a claim, or why it is none."""
        if len(data) > NOTE_BYTES_MAX:
            return refusal(found, _TOO_LONG)
        value, names = _line_of(found, as_text(data, found.fallback_encoding).value), model_names(found)
        judged = judge_hash(HashKind.SHA256, value, Grade.B)
        if judged.claim is None or judged.claim.kind is not HashKind.SHA256:
            return refusal(found, judged.remark or "it holds no hash")
        is_of_name = judged.claim.value in map(hash_of_name, names)
        claim = HashClaim(HashKind.SHA256, judged.claim.value, Grade.D) if is_of_name else judged.claim
        remarks = ("its SHA-256 is that of the file's name, not of its content",) if is_of_name else ()
        return record_of(found, data, KIND, raw={"text": value}, claims=(claim,), remarks=remarks)


def _line_of(found: FoundSidecar, content: str) -> str:
    """Return the hash on the line of the model, else on the first line."""
    lines = [matched for line in content.splitlines() if (matched := _SUM_LINE.fullmatch(line)) is not None]
    own = [line for line in lines if line["name"] and os.path.basename(line["name"]) in model_names(found)]
    chosen = (own or lines)[:1]
    return chosen[0]["hash"] if chosen else content.strip()[:80]
