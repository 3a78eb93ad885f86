"""What each strategy would do with a conflict, as the planning decided it, in words. Pure."""

from collections.abc import Mapping
from typing import Any

from modelkeep.cli.side import comparable, tag_names

Json = Mapping[str, Any]


def effects(details: Json) -> dict[str, str]:
    """Return what each strategy would do, by its name."""
    return {strategy: _effect(details, outcome) for strategy, outcome in details.get("outcomes", {}).items()}


def _effect(details: Json, outcome: Json) -> str:
    if not outcome["removes_row"]:
        return "nothing: the row stays in the queue as a conflict"
    pending, existing = details["pending"], details["existing"]
    before, after = comparable({**existing, **existing["model"]}), comparable({**outcome, **outcome["model"]})
    replaced = [key for key in after if key in before and before[key] != after[key] and key != "tags"]
    added = [key for key in after if key not in before and key != "tags"]
    tags = _tags(outcome["model"], existing["model"])
    done = [
        f"replaces {', '.join(replaced)}" if replaced else "",
        f"adds {', '.join([*added, *tags])}" if added or tags else "",
        _image(outcome["image"], existing),
    ]
    lost = _lost(pending, outcome, after)
    of_row = f"loses the row's {', '.join(lost)}" if lost else "" if replaced else "nothing is lost"
    return "; ".join(filter(None, [", ".join(filter(None, done)) or "the model stays as it is", of_row]))


def _image(number: int | None, existing: Json) -> str:
    if number is None:
        return ""
    is_new = all(image["seq"] != number for image in existing["images"])
    return f"its image becomes number {number}" if is_new else f"its image replaces number {number}"


def _lost(pending: Json, outcome: Json, after: Mapping[str, str]) -> list[str]:
    lost = [key for key, value in comparable(pending).items() if key != "tags" and after.get(key) != value]
    image = ["image"] if pending["image"] and outcome["action"] == "deleted" else []
    return [*lost, *_tags(pending, outcome["model"]), *image]


def _tags(of: Json, without: Json) -> list[str]:
    """Return the tags that the one side has and the other has not."""
    return [f"tag '{name}'" for name in tag_names(of) if name not in tag_names(without)]
