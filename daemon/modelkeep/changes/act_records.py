"""What the journal records of what the owner does by hand, and what is left to do after the commit."""

from modelkeep.changes.protocol import Planned
from modelkeep.domain.acts import ActPlan
from modelkeep.domain.edits import changed_fields
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import Model

CAUSE = "by the owner"
OF_HEADER = "from the header of its file"
SAME_TENSORS = "its file holds the same tensors under another header"


def planned(plan: ActPlan) -> Planned:
    """Return what an act does."""
    order, facts = plan.order, _facts(plan)
    ending = [("migration.finished", facts)]
    return Planned(
        plans=[("migration.planned", _plan(plan))],
        records=[("migration.committed", facts)],
        committed=[Committed(order.migration, order.sha256, plan.files, plan.removed, plan.originals, ending)],
        failed=[("migration.failed", facts)],
    )


def _facts(plan: ActPlan) -> dict[str, object]:
    """Return what every record of an act says."""
    order = plan.order
    facts: dict[str, object] = {
        "migration": order.migration,
        "path": plan.model.path,
        "sha256": order.sha256,
        "action": order.kind.value,
    }
    if plan.seq is not None:
        facts["image"] = plan.seq
    if plan.moved_down:
        facts["moved_down"] = plan.moved_down
    if plan.edited is not None:
        facts["changed"] = changed_fields(plan.model, plan.edited)
    if order.origin:
        facts["from"] = order.origin
    if order.cause:
        return facts | {"cause": order.cause}
    if order.by_owner:
        return facts | {"cause": CAUSE}
    return facts | {"cause": SAME_TENSORS if order.origin else OF_HEADER}


def _plan(plan: ActPlan) -> dict[str, object]:
    """Return the whole plan as the journal holds it."""
    edited = {"edited": _said_of(plan.edited)} if plan.edited else {}
    return _facts(plan) | {
        "model": _said_of(plan.model),
        **edited,
        "files": [file.as_json() for file in plan.files],
        "removed": list(plan.removed),
        "originals": list(plan.originals),
    }


def _said_of(model: Model) -> dict[str, object]:
    return {
        **model.texts,
        "size_bytes": model.size_bytes,
        "created_at": model.created_at,
        "tags": [tag.name for tag in model.tags],
        "meta": model.meta,
    }
