"""`STEM.json`: the user metadata of A1111 and Forge."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import NothingToSay, Order, as_json
from modelkeep.exporters.known import KnownModel
from modelkeep.exporters.merging import filled, without_empty
from modelkeep.exporters.texts import as_plain

_WEIGHT, _VERSION = "preferred weight", "sd version"
_SAYS_NOTHING = (0, None, "Unknown")
"""What stands there when no weight and no version is set."""

_TELLING = frozenset(
    {
        "description",
        "notes",
        "activation text",
        "negative text",
        _WEIGHT,
        _VERSION,
        "sd_version_str",
        "vae",
        "vae_te",
        "sha256",
        "unpackList",
        "extensions",
        "modelId",
    }
)
_BASES = (
    ("SD1", ("sd 1", "sd1", "sd-1", "stable diffusion 1")),
    ("SD2", ("sd 2", "sd2", "sd-2", "stable diffusion 2")),
    ("SDXL", ("sdxl", "pony", "illustrious", "noobai")),
)
"""The words that both A1111 and Forge know, and how names of base models begin."""

_WHOLE_PROMPTS, _WORDS = " || ", ", "


class WebuiExporter:
    """Writes `STEM.json`."""

    kind = "webui"
    description = "STEM.json of A1111 and Forge"
    holds_objects = True
    shows_previews = True

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:  # noqa: ARG002 - the interface's
        """Return the base names of the files of a model."""
        return (f"{model.stem}.json",)

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of its file."""
        held = dict(existing or {})
        if held and not is_user_metadata(held):
            raise NothingToSay("the file is another program's (SD.Next's answer, or no user metadata)")
        ours = _ours(model)
        if not ours:
            raise NothingToSay("nothing is known that the format holds")
        held |= {key: ours[key] for key in (_WEIGHT, _VERSION) if key in ours and held.get(key) in _SAYS_NOTHING}
        if held.get(_WEIGHT, 0) is None:
            held[_WEIGHT] = 0  # null would keep its editor from opening
        return as_json(filled(held, ours, prefer_ours=order.prefer_ours), indent=4, ascii_only=True)


def is_user_metadata(value: Mapping[str, Any]) -> bool:
    """Return whether an object is user metadata, for other programs write files of the same name."""
    return "modelVersions" not in value and bool(value.keys() & _TELLING)


def _ours(model: KnownModel) -> JsonObject:
    meaning = model.meaning
    strength = meaning.weight.strength
    return without_empty(
        {
            "description": as_plain(meaning.description),
            "notes": meaning.notes,
            "activation text": _prompt(meaning.trigger_words),
            "negative text": _line(meaning.negative_prompt),
            _WEIGHT: strength,
            _VERSION: _base(meaning.base_model),
        }
    )


def _prompt(words: tuple[str, ...]) -> str:
    """Return trigger words as one text; words with commas are prompts of their own."""
    return (_WHOLE_PROMPTS if any("," in word for word in words) else _WORDS).join(map(_line, words))


def _line(prompt: str) -> str:
    """Return a prompt as one line: its end would end the script that inserts it."""
    return " ".join(filter(None, map(str.strip, prompt.splitlines())))


def _base(name: str) -> str:
    folded = name.casefold()
    return next((word for word, beginnings in _BASES if folded.startswith(beginnings)), "")
