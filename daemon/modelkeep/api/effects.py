"""What a strategy keeps and loses of both sides of a conflict, by what the planning decided. Pure."""

from collections.abc import Mapping
from typing import Any

from modelkeep.api.sides import comparable, tag_names

Json = Mapping[str, Any]


def effect(pending: Json, existing: Json, outcome: Json, *, is_image_known: bool) -> dict[str, Any]:
    """Return what becomes of the model, and what is lost with the row.

    Args:
        pending: the row, as the queue shows it.
        existing: the model that has its content, with its details.
        outcome: the model as it stands afterwards, and what becomes of the row.
        is_image_known: whether the row's image is one of the model's already.
    """
    before, after = comparable({**existing, **existing["model"]}), comparable({**outcome, **outcome["model"]})
    is_kept = not outcome["removes_row"]
    return {
        "replaced": [key for key in after if key in before and before[key] != after[key] and key != "tags"],
        "added": [key for key in after if key not in before and key != "tags"],
        "added_tags": _tags(outcome["model"], existing["model"]),
        "image": _image(outcome["image"], existing),
        "lost": [] if is_kept else _lost(pending, after),
        "lost_tags": [] if is_kept else _tags(pending, outcome["model"]),
        "image_lost": bool(pending["image"]) and outcome["action"] == "deleted" and not is_image_known,
    }


def _image(number: int | None, existing: Json) -> str:
    if number is None:
        return ""
    return "replaced" if any(image["seq"] == number for image in existing["images"]) else "added"


def _lost(pending: Json, after: Mapping[str, str]) -> list[str]:
    return [key for key, value in comparable(pending).items() if key != "tags" and after.get(key) != value]


def _tags(of: Json, without: Json) -> list[str]:
    """Return the tags that the one side has and the other has not."""
    return [name for name in tag_names(of) if name not in tag_names(without)]
