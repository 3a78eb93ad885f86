"""What Civitai answers about a model or a version of one, in whatever tool's file the answer is kept."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelkeep.domain.knowledge import (
    AnswerVersion,
    Grade,
    HashClaim,
    Meaning,
    Origin,
    Text,
    TextFormat,
    VersionFile,
)
from modelkeep.domain.values import JsonObject
from modelkeep.importers.hash_claims import judge_hashes
from modelkeep.importers.legacy_text import milliseconds, whole_number
from modelkeep.importers.sidecars.record import is_cleaned, uncommented
from modelkeep.importers.sidecars.values import list_of, number, object_of, text, texts

_UNKNOWN_BASES = ("", "unknown", "none", "other", "custom")
_LICENCE_KEYS = ("allowNoCredit", "allowCommercialUse", "allowDerivatives", "allowDifferentLicense")
_EXAMPLE_KEYS = {
    "prompt": "prompt",
    "negativePrompt": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "sampler": "sampler",
    "cfgScale": "cfg_scale",
    "clipSkip": "clip_skip",
    "Size": "size",
    "Model": "model",
}
IMAGE_KEYS = {"url": "url", "nsfwLevel": "nsfw_level", "width": "width", "height": "height"}


def version_meaning(version: Mapping[str, Any], model: Mapping[str, Any], creator: object) -> Meaning:
    """Return what an answer about a version means.

    Args:
        version: the version's object.
        model: what is said of its model, wherever that stands.
        creator: who made it, as the answer says.
    """
    return Meaning(
        title=text(model.get("name")),
        version=text(version.get("name")),
        description=html(model.get("description")),
        version_description=html(version.get("description") or version.get("version info")),
        base_model=base_model(version.get("baseModel")),
        author=text(object_of(creator).get("username")),
        licence=licence(model),
        tags=texts(model.get("tags")),
        trigger_words=texts(version.get("trainedWords")),
        origins=origins(version.get("modelId") or model.get("id"), version.get("id")),
        examples=examples(version.get("images")),
    )


def origins(model_id: object, version_id: object) -> tuple[Origin, ...]:
    """Return where on Civitai a model is, if it is there."""
    model, version = _id(model_id), _id(version_id)
    if not (model or version):
        return ()
    page = f"https://civitai.com/models/{model}" if model else f"https://civitai.com/model-versions/{version}"
    return (Origin("civitai", model, version, f"{page}?modelVersionId={version}" if model and version else page),)


def _id(value: object) -> str:
    # Never by way of a float, which has 53 bits.
    found = None if isinstance(value, bool) else whole_number(value)
    return str(found) if found else ""


def html(value: object) -> Text:
    """Return a text of Civitai, which is HTML, unless a tool made it plain."""
    found = text(value)
    if is_cleaned(found):
        return Text(uncommented(found))
    return Text(found, TextFormat.HTML) if found else Text()


def base_model(value: object) -> str:
    """Return the name of a base model; empty where it says that none is known."""
    found = text(value)
    return "" if found.casefold() in _UNKNOWN_BASES else found


def licence(model: Mapping[str, Any]) -> str:
    """Return what may be done with a model, in Civitai's own terms."""
    said = {key: _permission(model[key]) for key in _LICENCE_KEYS if model.get(key) is not None}
    return ", ".join(f"{key}: {value}" for key, value in said.items() if value)


def _permission(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "/".join(texts(value)) if isinstance(value, list) else text(value)


def examples(images: object) -> tuple[JsonObject, ...]:
    """Return what made those of its images of which that is known."""
    found = []
    for image in list_of(images):
        meta = object_of(object_of(image).get("meta"))
        if text(meta.get("prompt")):
            found.append({**named(meta, _EXAMPLE_KEYS), **named(object_of(image), IMAGE_KEYS)})
    return tuple(found)


def named(value: Mapping[str, Any], names: Mapping[str, str]) -> JsonObject:
    """Return the plain values of an object under our names for them."""
    return {ours: value[theirs] for theirs, ours in names.items() if isinstance(value.get(theirs), str | int | float)}


def file_claims(
    files: Iterable[Any], grade: Grade, names: Iterable[str] = ()
) -> tuple[tuple[HashClaim, ...], tuple[str, ...]]:
    """Return the hashes of a version's files and remarks about those that say nothing.

    Where there are several files, nothing tells which of them is this one: their hashes are worth less.
    """
    named = tuple(names)
    objects = [object_of(file) for file in files]
    worth = grade if len(objects) < 2 else Grade.D
    claims: dict[HashClaim, None] = {}
    remarks: dict[str, None] = {}
    for file in objects:
        found, odd = judge_hashes(file.get("hashes"), worth, named)
        claims.update(dict.fromkeys(found))
        remarks.update(dict.fromkeys(odd))
    return tuple(claims), tuple(remarks)


def size_of_only_file(files: Iterable[Any]) -> int:
    """Return the size that an answer with one file tells, 0 where it tells none."""
    objects = [object_of(file) for file in files]
    return _size_of(objects[0]) if len(objects) == 1 else 0


def _size_of(file: Mapping[str, Any]) -> int:
    kilobytes = number(file.get("sizeKB"))
    return round(kilobytes * 1024) if kilobytes and 0 < kilobytes < 2**50 else 0


def answer_version(
    version: Mapping[str, Any],
    names: Iterable[str],
    meaning: Meaning = Meaning(),  # noqa: B008 - it is frozen
) -> AnswerVersion:
    """Return a version as one that a content may be: by its files.

    Args:
        version: the version's object.
        names: base names of the model.
        meaning: what holds for it alone, where the answer tells of others too.
    """
    files = [object_of(file) for file in list_of(version.get("files"))]
    worth, named = Grade.C if len(files) < 2 else Grade.D, tuple(names)
    return AnswerVersion(
        tuple(
            VersionFile(text(file.get("name")), _size_of(file), judge_hashes(file.get("hashes"), worth, named)[0])
            for file in files
        ),
        meaning,
        updated_at(version),
    )


def several_files(version: Mapping[str, Any], names: Iterable[str]) -> tuple[AnswerVersion, ...]:
    """Return a version of which a content may be one of several files; nothing when it has one at most."""
    return (answer_version(version, names),) if len(list_of(version.get("files"))) > 1 else ()


def updated_at(version: Mapping[str, Any]) -> int:
    """Return when an answer was current, ms since 1970; 0 = unknown."""
    return milliseconds(version.get("updatedAt")) or 0
