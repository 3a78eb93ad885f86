"""What the journal is told of what the owner does by hand."""

from modelkeep.domain.acts import ActPlan

CAUSE = "by the owner"


def facts_of(plan: ActPlan) -> dict[str, object]:
    """Return what every record of an act says."""
    order = plan.order
    facts: dict[str, object] = {
        "migration": order.migration,
        "path": plan.model.path,
        "sha256": order.sha256,
        "action": order.kind.value,
    }
    if plan.seq is not None:
        facts["picture"] = plan.seq
    if plan.moved_down:
        facts["moved_down"] = plan.moved_down
    return facts | {"cause": CAUSE}


def plan_of(plan: ActPlan) -> dict[str, object]:
    """Return the whole plan as the journal holds it."""
    known = plan.model
    model = {
        "name": known.name,
        "type": known.type,
        "base": known.base,
        "size_bytes": known.size_bytes,
        "created_at": known.created_at,
        "tags": [tag.name for tag in known.tags],
        "meta": known.meta,
    }
    return facts_of(plan) | {
        "model": model,
        "files": [file.as_json() for file in plan.files],
        "removed": list(plan.removed),
        "originals": list(plan.originals),
    }
