"""What is known of one model, as exporters need it: made of the answer about it that the interface gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelkeep.domain.knowledge import HashKind, Meaning, Origin, Text, TextFormat, Weight
from modelkeep.domain.naming import is_name_from_path
from modelkeep.domain.values import JsonObject

CIVITAI, HUGGING_FACE = "civitai", "huggingface"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model whose file lies at a path.

    Args:
        sha256: of its content, which was read.
        path: where its file lies.
        size_bytes: of the file.
        created_at: since when it is known, ms since 1970.
        type: the folder of models that it belongs to.
        meaning: what is said of it.
        digests: further digests of its content, by their kind: all of them were computed from its bytes.
        answer: what Civitai answered about it, as it was received; empty where nobody keeps that.
    """

    sha256: str
    path: str
    size_bytes: int = 0
    created_at: int = 0
    type: str = ""
    meaning: Meaning = field(default_factory=Meaning)
    digests: Mapping[str, str] = field(default_factory=dict)
    answer: JsonObject = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Base name of the file."""
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Base name of the file, without the extension."""
        stem, dot, _ = self.name.rpartition(".")
        return stem if dot and stem else self.name

    @property
    def title(self) -> str:
        """What it is called; its file's name where nobody gave it another."""
        return self.meaning.title or self.stem

    @property
    def civitai(self) -> Origin | None:
        """Where on Civitai it is, when both ids are known as numbers."""
        return next((origin for origin in self.meaning.origins if _is_on_civitai(origin)), None)

    @property
    def page(self) -> str:
        """A web page of it."""
        return next((origin.url for origin in self.meaning.origins if origin.url), "")

    def digest(self, kind: HashKind) -> str:
        """Return a further digest of its content, empty when it was not computed."""
        return self.digests.get(str(kind), "")


def known_models(details: Mapping[str, Any]) -> list[KnownModel]:
    """Return a model once for each path at which its file lies now.

    Args:
        details: the answer about one model, with its locations.
    """
    model, locations = details["model"], details["locations"]
    present = [location for location in locations if location["state"] == "present" and not location["claimed"]]
    meaning = _meaning(details, [location["path"] for location in locations])
    answer = civitai_answer(details.get("sources", {}), model["sha256"])
    return [
        KnownModel(
            model["sha256"],
            location["path"],
            model["size_bytes"],
            model["created_at"],
            model["type"],
            meaning,
            details.get("digests", {}),
            answer,
        )
        for location in present
    ]


def civitai_answer(sources: Mapping[str, Iterable[Mapping[str, Any]]], sha256: str) -> JsonObject:
    """Return the latest answer about a version among what other tools know, if it names this content's file.

    An answer about another file of the same version would give this one its hashes.
    """
    raws = [source["raw"] for kind in sorted(sources) for source in sources[kind]]
    candidates = [raw for source in raws for raw in (source, *_inside(source)) if _is_version(raw)]
    right = [answer for answer in candidates if own_file(answer, sha256)]
    return max(right, key=lambda answer: _text(answer.get("updatedAt")), default={})


def own_file(answer: Mapping[str, Any], sha256: str) -> JsonObject:
    """Return the file of an answer that has this content, an empty object when none has."""
    for file in _list(answer.get("files")):
        hashes = _object(_object(file).get("hashes"))
        if _text(hashes.get("SHA256")).casefold() == sha256:
            return dict(file)
    return {}


def _inside(raw: Mapping[str, Any]) -> list[JsonObject]:
    nested = (raw.get("civitai"), raw.get("response"), _object(raw.get("raw")).get("civitai"))
    return [value for value in nested if isinstance(value, dict)]


def _is_version(raw: Mapping[str, Any]) -> bool:
    return all(isinstance(raw.get(key), int) for key in ("id", "modelId")) and isinstance(raw.get("files"), list)


def _meaning(details: Mapping[str, Any], paths: list[str]) -> Meaning:
    model = details["model"]
    meta = model["meta_json"]
    prompts = _object(meta.get("prompts"))
    name = _text(model["name"])
    return Meaning(
        title="" if is_name_from_path(name, paths) else name,
        version=_text(meta.get("version")),
        description=_formatted(meta, "description"),
        version_description=_formatted(meta, "version_description"),
        notes=_text(meta.get("notes")),
        base_model=_text(details.get("base")),
        author=_text(meta.get("author")),
        licence=_text(meta.get("licence")),
        usage_hint=_text(meta.get("usage_hint")),
        negative_prompt=_text(prompts.get("negative")),
        weight=_weight(_object(meta.get("weight"))),
        favourite=True if meta.get("favourite") is True else None,
        rating=meta["rating"] if isinstance(meta.get("rating"), int) else None,
        tags=tuple(tag["name"] for tag in model["tags"]),
        trigger_words=_words(meta.get("trigger_words")) or _words([prompts.get("positive")]),
        origins=tuple(_origin(value) for value in _list(meta.get("origins")) if isinstance(value, dict)),
        examples=tuple(value for value in _list(meta.get("examples")) if isinstance(value, dict)),
    )


def _formatted(meta: Mapping[str, Any], key: str) -> Text:
    value, format_ = _text(meta.get(key)), _text(meta.get(f"{key}_format"))
    known = format_ in tuple(map(str, TextFormat))
    return Text(value, TextFormat(format_) if known else TextFormat.PLAIN) if value else Text()


def _weight(value: Mapping[str, Any]) -> Weight:
    return Weight(*(_number(value.get(key)) for key in ("strength", "minimum", "maximum")))


def _origin(value: Mapping[str, Any]) -> Origin:
    return Origin(*(_text(value.get(key)) for key in ("kind", "model_id", "version_id", "url")))


def _is_on_civitai(origin: Origin) -> bool:
    return origin.kind == CIVITAI and all(_is_number(text) for text in (origin.model_id, origin.version_id))


def _is_number(text: str) -> bool:
    # What reads it elsewhere holds 32 bits.
    return text.isascii() and text.isdigit() and len(text) <= len(str(2**31)) and int(text) < 2**31


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in map(_text, _list(value)) if word)


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.strip() else ""


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
