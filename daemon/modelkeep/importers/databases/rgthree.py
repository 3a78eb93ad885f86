"""rgthree-comfy's second store: answers and headers in files that are named by the hash of their model.

It survives renames: what it says is found by the hash alone.
"""

import re
from pathlib import Path

from modelkeep.domain.content_facts import SAFETENSORS
from modelkeep.domain.header_meaning import header_meaning
from modelkeep.domain.knowledge import Grade, HashKind, SourceRecord, Standing
from modelkeep.domain.legacy import Refusal
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.facts import claims_of, digest_of, stem_of
from modelkeep.importers.databases.json_files import read_object
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.values import list_of, object_of, text

KIND = "rgthree"
_PLACES = ("", "info", "userdata/info")
_NAME = re.compile(r"(civitai|metadata)\.([0-9a-f]{64})\.json")
_NO_ANSWER = "error"


class RgthreeInfoReader:
    """Reads `userdata/info`, given as that folder or the node's own."""

    kind = KIND
    places = "its node's folder (custom_nodes/rgthree-comfy), or userdata/info in it"

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read the folder at the source; None when there is none."""
        folder = _find(options.source)
        if folder is None:
            return None
        found = Found(KIND)
        found.add(_record(path) for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name))
        return found.content(folder)


def _find(source: Path) -> Path | None:
    for place in _PLACES:
        folder = source / place
        if folder.is_dir() and any(_NAME.fullmatch(path.name) for path in folder.iterdir()):
            return folder
    return None


def _record(path: Path) -> SourceRecord | Refusal | None:
    try:
        value = read_object(path)
    except SourceError as error:
        return Refusal("", str(path), str(error))
    response = object_of(value.get("response"))
    if not response or _NO_ANSWER in response:
        return None  # the site knew nothing of it: no news
    what, _, digest = path.name.removesuffix(".json").partition(".")
    is_answer = what == "civitai"
    claims, remarks = civitai.file_claims(list_of(response.get("files")), Grade.C) if is_answer else ((), ())
    computed = claims_of((HashKind.SHA256, digest, Grade.B))
    return SourceRecord(
        KIND,
        key=str(path),
        digest=digest_of(value),
        stem="" if is_answer else stem_of(text(value.get("url"))),
        meaning=civitai.version_meaning(response, object_of(response.get("model")), response.get("creator"))
        if is_answer
        else header_meaning(SAFETENSORS, dict(response)),
        standing=Standing.ANSWER if is_answer else Standing.HEADER,
        updated_at=civitai.updated_at(response),
        raw=value,
        claims=(*computed, *(claim for claim in claims if claim.value != digest)),
        remarks=remarks,
    )
