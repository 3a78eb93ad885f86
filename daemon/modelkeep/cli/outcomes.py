"""What each strategy would do with a conflict, as the daemon tells it, in words. Pure."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def effects(details: Json) -> dict[str, str]:
    """Return what each strategy would do, by its name."""
    return {strategy: _effect(outcome) for strategy, outcome in details.get("outcomes", {}).items()}


def _effect(outcome: Json) -> str:
    if not outcome["removes_row"]:
        return "nothing: the row stays in the queue as a conflict"
    known = outcome["effect"]
    added = [*known["added"], *_tags(known["added_tags"])]
    done = [
        f"replaces {', '.join(known['replaced'])}" if known["replaced"] else "",
        f"adds {', '.join(added)}" if added else "",
        _image(known["image"], outcome["image"]),
    ]
    lost = [*known["lost"], *_tags(known["lost_tags"]), *(["image"] if known["image_lost"] else [])]
    of_row = f"loses the row's {', '.join(lost)}" if lost else "" if known["replaced"] else "nothing is lost"
    return "; ".join(filter(None, [", ".join(filter(None, done)) or "the model stays as it is", of_row]))


def _image(becomes: str, number: int | None) -> str:
    return {"added": f"its image becomes number {number}", "replaced": f"its image replaces number {number}"}.get(
        becomes, ""
    )


def _tags(names: list[str]) -> list[str]:
    return [f"tag '{name}'" for name in names]
