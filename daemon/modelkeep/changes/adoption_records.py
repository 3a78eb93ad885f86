"""What the journal records of source records: taken, attached to contents, and what models learnt of them."""

from collections.abc import Iterator

from modelkeep.changes.protocol import Planned
from modelkeep.domain.adopting import Adopted, Learnt, RecordTaking
from modelkeep.domain.edits import changed_fields
from modelkeep.domain.values import Record


def planned(adopted: Adopted) -> Planned:
    """Return what an adoption does: all of it is in its transaction, so nothing is left to be done after it."""
    return Planned(records=list(_records(adopted)))


def _records(adopted: Adopted) -> Iterator[Record]:
    for taken in adopted.taken:
        if taken.taking is not RecordTaking.UNCHANGED:
            record = taken.record
            facts = {"path": record.key, "kind": record.kind, "record": taken.id, "action": taken.taking.value}
            yield "source.taken", facts | ({"orphan": True} if taken.is_orphan else {})
    for kind, key in adopted.gone:
        yield "source.gone", {"path": key, "kind": kind}
    for kept in adopted.dropped:
        facts = {"path": kept.record.key, "kind": kept.record.kind, "record": kept.id}
        yield "source.dropped", facts | {"cause": "by the owner"}
    for each in adopted.attached:
        facts = {"path": each.path or each.key, "sha256": each.sha256, "kind": each.kind, "source": each.key}
        yield "source.attached", facts | {"record": each.record_id, "how": each.how.value}
    for gone in adopted.withdrawn:
        facts = {"path": gone.path, "sha256": gone.sha256, "kind": gone.kind, "source": gone.key}
        yield "source.withdrawn", facts | {"record": gone.record_id, "cause": "a hash in it is that of another file"}
    for learnt in adopted.learnt:
        yield "source.applied", _applied(learnt)
    for asked in adopted.asked:
        facts = {"path": asked.path, "sha256": asked.sha256, "pending_id": asked.pending_id, "kind": asked.kind}
        yield "source.conflict", facts | {"source": asked.key, "differing": [asked.field]}


def _applied(learnt: Learnt) -> dict[str, object]:
    changed = [*changed_fields(learnt.before, learnt.after), *(["base"] if _has_other_base(learnt) else [])]
    facts: dict[str, object] = {"path": learnt.after.path, "sha256": learnt.after.sha256, "changed": changed}
    facts |= {"tags": list(learnt.new_tags)} if learnt.new_tags else {}
    return facts | ({"removed_tags": list(learnt.lost_tags)} if learnt.lost_tags else {})


def _has_other_base(learnt: Learnt) -> bool:
    return learnt.before.base != learnt.after.base
