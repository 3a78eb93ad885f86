"""Take source records in: keep them, attach them, put what they say into the models, ask what has to be asked."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.store.attaching import attach, attach_at, attach_by_claims
from modelkeep.catalogue.store.control import forget_migrations
from modelkeep.catalogue.store.knowing import apply_records, set_heard, unheard
from modelkeep.catalogue.store.locations import locations_at
from modelkeep.catalogue.store.models import get_model
from modelkeep.catalogue.store.recording import Put, put_records
from modelkeep.catalogue.store.records import kept_records, set_dropped, set_gone, told_of_versions
from modelkeep.catalogue.store.unattached import (
    attached_contents,
    orphan_ids,
    unattached_claiming,
    unattached_claims,
    waiting_records,
)
from modelkeep.domain.adopting import Adopted, Arrival, Attachment, How, RecordTaking, TakenRecord
from modelkeep.errors import NotFound

BeforeCommit = Callable[[Adopted], None]


def adopt(
    connection: sa.Connection,
    arrivals: Sequence[Arrival],
    finished: Sequence[str],
    now_ms: int,
    before_commit: BeforeCommit,
    *,
    gone: Sequence[int] = (),
    dry_run: bool = False,
) -> Adopted:
    """Take records in.

    Args:
        connection: the writer's connection.
        arrivals: what was read.
        finished: ids of earlier migrations whose end is in the journal; dropped once `before_commit` made it durable.
        now_ms: time of the transaction.
        before_commit: gets what was done before anything is visible to anybody; when it raises, nothing has happened.
        gone: ids of the records whose files are there no more.
        dry_run: `before_commit` is not called, and everything is rolled back.
    """
    if dry_run:
        savepoint = connection.begin_nested()
        try:
            return adopt(connection, arrivals, (), now_ms, lambda _: None, gone=gone)
        finally:
            savepoint.rollback()
    lost = set_gone(connection, gone)
    put = put_records(connection, arrivals, now_ms)
    named = sorted({path for arrival in arrivals for path in arrival.record.models})
    attached, withdrawn = attach_at(connection, named)
    attached += attach_by_claims(connection, [record_id for _, record_id, _ in put])
    concerned = _contents(connection, put) | {item.sha256 for item in attached}
    learnt, asked = apply_records(connection, sorted(concerned), now_ms, withdrawn)
    adopted = Adopted(
        _told(connection, put), tuple(lost), tuple(attached), tuple(withdrawn), tuple(learnt), tuple(asked)
    )
    before_commit(adopted)
    forget_migrations(connection, finished)
    return adopted


def attach_records(
    connection: sa.Connection,
    paths: Sequence[str] | None,
    finished: Sequence[str],
    now_ms: int,
    before_commit: BeforeCommit,
    *,
    contents: Sequence[str] = (),
) -> Adopted:
    """Attach what waits for the contents that were read at these paths (None: anywhere), and have it speak there.

    Of `contents` something was read, wherever they lie by now: their headers speak, and their digests may tell more.
    """
    attached, withdrawn = attach_at(connection, paths, contents)
    hashes = sorted({item.sha256 for item in attached} | _read_at(connection, paths) | set(contents))
    claiming = unattached_claims(connection) if paths is None else unattached_claiming(connection, hashes)
    attached += attach_by_claims(connection, sorted({*claiming, *(item.record_id for item in attached)}))
    # Of those that were just read, the header may be new, and a digest by which a version is known.
    new = unheard(connection, None if paths is None else hashes)
    concerned = {item.sha256 for item in attached} | set(new) | told_of_versions(connection, hashes)
    learnt, asked = apply_records(connection, sorted(concerned), now_ms, withdrawn)
    set_heard(connection, new)
    adopted = Adopted((), (), tuple(attached), tuple(withdrawn), tuple(learnt), tuple(asked))
    before_commit(adopted)
    forget_migrations(connection, finished)
    return adopted


def resolve_orphans(
    connection: sa.Connection,
    record_ids: Sequence[int],
    sha256: str,
    finished: Sequence[str],
    now_ms: int,
    before_commit: BeforeCommit,
) -> Adopted:
    """Give records to the model that the owner names, or drop them where he names none: all of them, or nothing.

    Raises:
        NotFound: one of them is no record without a model, or there is no such model.
    """
    records = kept_records(connection, orphan_ids(connection, record_ids))
    for record_id in record_ids:
        if record_id not in records:
            raise NotFound(f"there is no orphan {record_id}: `modelkeep orphans list` shows which there are")
    attached: list[Attachment] = []
    if sha256 and get_model(connection, sha256) is None:
        raise NotFound(f"there is no model {sha256}")
    if sha256:
        attached += [attach(connection, record, sha256, How.OWNER) for record in records.values()]
    else:
        set_dropped(connection, sorted(records))
    learnt, asked = apply_records(connection, [item.sha256 for item in attached], now_ms)
    dropped = () if sha256 else tuple(records.values())
    adopted = Adopted((), (), tuple(attached), (), tuple(learnt), tuple(asked), dropped)
    before_commit(adopted)
    forget_migrations(connection, finished)
    return adopted


def _contents(connection: sa.Connection, put: Sequence[Put]) -> set[str]:
    """Return the contents of which records speak that are new, or say something else now."""
    changed = [record_id for _, record_id, taking in put if taking is not RecordTaking.UNCHANGED]
    return {sha256 for record in kept_records(connection, changed).values() for sha256 in record.attached}


def _told(connection: sa.Connection, put: Sequence[Put]) -> tuple[TakenRecord, ...]:
    ids = [record_id for _, record_id, _ in put]
    attached, waiting = attached_contents(connection, ids), waiting_records(connection, ids)
    return tuple(
        TakenRecord(arrival.record, record_id, taking, tuple(attached.get(record_id, ())), record_id in waiting)
        for arrival, record_id, taking in put
    )


def _read_at(connection: sa.Connection, paths: Sequence[str] | None) -> set[str]:
    found = locations_at(connection, paths).values() if paths else ()
    return {location.sha256 for location in found if location.is_read}
