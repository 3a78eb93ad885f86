"""What the journal records of migrations, and what is left to do after their commit."""

from collections.abc import Iterator, Sequence

from modelkeep.changes.protocol import Planned
from modelkeep.domain.migration import Committed, MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.values import Record

Facts = dict[str, object]
"""What the records of a migration say alike."""


def planned(results: Sequence[MigrationResult]) -> Planned:
    """Return what a batch does."""
    told = [(result, facts_of(result.order) | {"action": _action(result)}) for result in results]
    done = [(result, facts) for result, facts in told if result.outcome is Outcome.DONE]
    return Planned(
        plans=[("migration.planned", _plan(result, facts)) for result, facts in done],
        records=[record for result, facts in told for record in _told(result, facts)],
        committed=[_committed(result, facts) for result, facts in done],
    )


def failed(orders: Sequence[MigrationOrder]) -> list[Record]:
    """Return what is told of a batch that failed."""
    return [("migration.failed", facts_of(order)) for order in orders]


def facts_of(order: MigrationOrder) -> dict[str, object]:
    """Return what every record of a migration says."""
    return {
        "migration": order.migration,
        "path": order.path,
        "sha256": order.sha256,
        "pending_id": order.pending_id,
    }


def _action(result: MigrationResult) -> str:
    return result.decision.action.value if result.decision else ""


def _plan(result: MigrationResult, facts: Facts) -> dict[str, object]:
    """Return the whole plan as the journal holds it."""
    pending = result.pending
    assert pending is not None  # noqa: S101 - a row that is migrated exists
    row = {
        **pending.texts,
        "size_bytes": pending.size_bytes,
        "created_at": pending.created_at,
        "source": pending.source,
        "tags": [tag.name for tag in pending.tags],
        "meta": pending.meta,
        "image": pending.image,
    }
    files = [file.as_json() for file in result.files]
    return facts | {"strategy": result.order.strategy.value, "pending": row, "files": files}


def _told(result: MigrationResult, facts: Facts) -> Iterator[Record]:
    if result.outcome is Outcome.DONE:
        yield "migration.committed", facts
    elif result.outcome is Outcome.CONFLICTED and result.decision is not None:
        yield "migration.conflicted", facts | {"differing": list(result.decision.lost_keys)}
    if result.displaced:
        place = {"path": result.order.path, "sha256": result.displaced, "replaced_by": result.order.sha256}
        yield "file.changed", {**place, "cause": "other content lies at this path now"}


def _committed(result: MigrationResult, facts: Facts) -> Committed:
    pending = result.pending
    used_up = pending is not None and bool(pending.image) and not result.order.image_refused
    return Committed(
        result.order.migration,
        result.order.sha256,
        result.files,
        originals=[pending.image] if pending is not None and used_up else [],
        ending=_ending(result, facts),
    )


def _ending(result: MigrationResult, ending: Facts) -> list[Record]:
    records: list[Record] = []
    if result.files:
        files = [file.final for file in result.files]
        records.append(("image.published", facts_of(result.order) | {"files": files}))
    if result.order.image_refused and result.pending is not None:
        kept = f"images/pending/{result.pending.image}"
        ending = ending | {"error": result.order.image_refused, "kept": kept}
    records.append(("migration.finished", ending))
    return records
