"""`FULL.rgthree-info.json` of rgthree: its user's notes and strengths, and the answer of Civitai."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from modelkeep.domain.knowledge import Grade, HashKind, Meaning, Origin, SourceRecord, Weight
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import as_object, refusal
from modelkeep.importers.sidecars.record import model_names, path_elsewhere, record_of
from modelkeep.importers.sidecars.values import list_of, number, object_of, text, texts

KIND = "rgthree"
_TELLING = frozenset({"file", "path", "sha256", "name", "userNote", "trainedWords", "triggerWords", "raw", "images"})
_EXAMPLE_KEYS = {
    "positive": "prompt",
    "negative": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "sampler": "sampler",
    "cfg": "cfg_scale",
    "model": "model",
}


class RgthreeFormat:
    """Reads `FULL.rgthree-info.json`."""

    kinds = frozenset({KIND})
    suffixes = (".rgthree-info.json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken."""
        read = as_object(data, found.fallback_encoding, comments=True)
        if read.fault:
            return refusal(found, read.fault)
        if not read.value.keys() & _TELLING:
            return None
        judged = judge_hash(HashKind.SHA256, read.value.get("sha256"), Grade.B, model_names(found))
        return record_of(
            found,
            data,
            KIND,
            original_path=path_elsewhere(found, read.value.get("path")),
            meaning=_meaning(read.value),
            owned=frozenset({"notes", "weight"}),
            updated_at=civitai.updated_at(_answer(read.value)),
            raw=read.value,
            claims=(judged.claim,) if judged.claim else (),
            remarks=(*read.remarks, *filter(None, [judged.remark])),
        )


def _answer(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return object_of(object_of(value.get("raw")).get("civitai"))


def _meaning(value: Mapping[str, Any]) -> Meaning:
    answer = _answer(value)
    model = object_of(answer.get("model"))
    return Meaning(
        title=text(value.get("name")),
        version=text(answer.get("name")),
        description=civitai.html(model.get("description")),
        version_description=civitai.html(answer.get("description")),
        notes=text(value.get("userNote")),
        base_model=civitai.base_model(value.get("baseModel")),
        author=text(object_of(answer.get("creator")).get("username")),
        licence=civitai.licence(model),
        weight=Weight(None, number(value.get("strengthMin")), number(value.get("strengthMax"))),
        tags=texts(value.get("userTags")),
        trigger_words=_words(value),
        origins=civitai.origins(answer.get("modelId"), answer.get("id")) or _linked(value.get("links")),
        examples=tuple(
            civitai.named(image, {**_EXAMPLE_KEYS, **civitai.IMAGE_KEYS})
            for image in map(object_of, list_of(value.get("images")))
            if text(image.get("positive"))
        ),
    )


def _words(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Return its words but those that only the training data tells."""
    words = list_of(value.get("trainedWords"))
    chosen = [
        word for word in map(object_of, words) if not word.get("metadata") or word.get("civitai") or word.get("user")
    ]
    plain = [word for word in words if isinstance(word, str)]
    return texts([word.get("word") for word in chosen] + plain + list_of(value.get("triggerWords")))


def _linked(links: object) -> tuple[Origin, ...]:
    """Return the page of Civitai among its links."""
    for link in texts(links):
        origins = civitai_page(link)
        if origins:
            return origins
    return ()


def civitai_page(link: str) -> tuple[Origin, ...]:
    """Return which model and version the address of a page of Civitai names."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ()
    is_there = parts.hostname is not None and f".{parts.hostname}".endswith(".civitai.com")
    if not is_there or "/models/" not in parts.path:
        return ()
    version = parse_qs(parts.query).get("modelVersionId", [""])[0]
    return civitai.origins(parts.path.split("/models/", 1)[1].split("/", 1)[0], version)
