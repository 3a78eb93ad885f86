"""What all source records of a content say together, put into its model."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.contents import contents_of
from modelkeep.catalogue.store.digests import digests_of
from modelkeep.catalogue.store.locations import locations_of_all
from modelkeep.catalogue.store.models import get_models, upsert_models
from modelkeep.catalogue.store.pending import get_pendings_at, insert_pending
from modelkeep.catalogue.store.recording import whole_text
from modelkeep.catalogue.store.records import kept_records, records_of, remember_asked
from modelkeep.catalogue.store.tags import create_tag
from modelkeep.catalogue.tables import contents, knowledge, model_tags, models
from modelkeep.domain.adopting import Asked, KeptRecord, Learnt, Withdrawal, speaking_about
from modelkeep.domain.applying import ASKED_ABOUT, Applied, apply, as_row, said_otherwise, says, take_back
from modelkeep.domain.combining import combine
from modelkeep.domain.header_meaning import header_record
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import Meaning, SourceRecord, meaning_as_json, meaning_from_json
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.values import Model, PendingImport, PendingState
from modelkeep.domain.versions import about, passed_over

HEARD_MAX = 500
"""Headers that are asked in one transaction: others want to write too."""

_TAG = Bulk(insert_missing(model_tags))
_PUT = Bulk(upsert(knowledge))


def apply_records(
    connection: sa.Connection, hashes: Sequence[str], now_ms: int, withdrawn: Sequence[Withdrawal] = ()
) -> tuple[list[Learnt], list[Asked]]:
    """Put into models what their records say; returns those that changed, and what the owner is asked about.

    Of what records said that were withdrawn from a model, what nobody else says and nobody changed is taken back.
    """
    lost = _lost(connection, withdrawn)
    found: dict[str, list[KeptRecord]] = {sha256: [] for sha256 in lost}
    found |= _speaking_of(connection, sorted({*hashes, *lost}))
    known, bases = get_models(connection, list(found)), bases_of(connection, list(found))
    digests = digests_of(connection, list(found))
    paths = _paths_of(connection, known, found)
    learnt: list[Learnt] = []
    kept: dict[str, Meaning] = {}
    asking: list[tuple[Model, list[KeptRecord]]] = []
    for sha256, model in known.items():
        base, records = bases.get(sha256, Meaning()), speaking_about(found[sha256], digests[sha256], model.size_bytes)
        combined = combine(record.record for record in records)
        freed = Applied(model, (), base)
        for record in lost.get(sha256, ()):
            said = about(record, digests[sha256], model.size_bytes).meaning
            freed = take_back(freed.model, freed.base, said, combined)
        for each in found[sha256]:
            for other in passed_over(each.record, digests[sha256], model.size_bytes):
                freed = take_back(freed.model, freed.base, other, combined)
        applied = apply(freed.model, paths.get(sha256, []), freed.base, combined)
        if applied.base != base:
            kept[sha256] = applied.base
        lost_tags = tuple(tag.name for tag in model.tags if tag not in freed.model.tags)
        if applied.model != model or applied.new_tags:
            learnt.append(Learnt(model, applied.model, applied.new_tags, lost_tags))
        asking.append((applied.model, records))
    upsert_models(connection, [item.after for item in learnt if item.after != item.before])
    _put_tags(connection, learnt, now_ms)
    keep_bases(connection, kept)
    return learnt, _ask(connection, asking, paths, now_ms)


def note_edit(connection: sa.Connection, before: Model, after: Model) -> None:
    """Record that the owner replaced words of his records in a model himself, so that he is not asked about them."""
    replaced: dict[int, set[str]] = {}
    for record in records_of(connection, [before.sha256]).get(before.sha256, []):
        for field, value in _owned_words(record):
            if says(before, field, value) and not says(after, field, value):
                replaced.setdefault(record.id, set(record.asked)).add(_mark(field, value))
    remember_asked(connection, replaced)


def _speaking_of(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, list[KeptRecord]]:
    """Return the records of contents, and what their own headers say."""
    found = records_of(connection, hashes)
    for sha256, content in contents_of(connection, hashes).items():
        header = header_record(content)
        if header is not None and not header.meaning.is_empty:
            found.setdefault(sha256, []).append(KeptRecord(0, header))
    return found


def unheard(connection: sa.Connection, hashes: Sequence[str] | None = None) -> list[str]:
    """Return those of these contents (None: some of all) whose header was read and not asked yet what it says."""
    is_heard = sa.exists().where(knowledge.c.sha256 == contents.c.sha256)
    is_model = sa.exists().where(models.c.sha256 == contents.c.sha256)
    query = sa.select(contents.c.sha256).where(contents.c.format != "", is_model, sa.not_(is_heard))
    chosen = query.limit(HEARD_MAX) if hashes is None else query.where(among(contents.c.sha256, hashes))
    return list(connection.execute(chosen).scalars())


def set_heard(connection: sa.Connection, hashes: Sequence[str]) -> None:
    """Record that contents were asked what they say, also where that is nothing."""
    known = bases_of(connection, hashes)
    keep_bases(connection, {sha256: Meaning() for sha256 in hashes if sha256 not in known})


def bases_of(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, Meaning]:
    """Return what the records of each of these contents have said so far."""
    query = sa.select(knowledge).where(among(knowledge.c.sha256, hashes))
    rows = connection.execute(query).all() if hashes else []
    return {row.sha256: meaning_from_json(json.loads(row.base_json)) for row in rows}


def keep_bases(connection: sa.Connection, bases: Mapping[str, Meaning]) -> None:
    """Keep what the records of contents have said so far."""
    rows = [{"sha256": sha256, "base_json": json_text(meaning_as_json(base))} for sha256, base in bases.items()]
    _PUT.run(connection, rows)


def _paths_of(
    connection: sa.Connection, known: Mapping[str, Model], records: Mapping[str, Sequence[KeptRecord]]
) -> dict[str, list[str]]:
    """Return where the files of models lie, and what they were called when their records were written."""
    found = locations_of_all(connection, list(known))
    return {
        sha256: [
            *(location.path for location in found.get(sha256, ())),
            *(
                f"{kept.record.stem}{PurePosixPath(model.path).suffix}"
                for kept in records[sha256]
                if kept.record.stem
            ),
        ]
        for sha256, model in known.items()
    }


def _lost(connection: sa.Connection, withdrawn: Sequence[Withdrawal]) -> dict[str, list[SourceRecord]]:
    """Return the records that were withdrawn from each content."""
    kept = kept_records(connection, sorted({each.record_id for each in withdrawn}))
    lost: dict[str, list[SourceRecord]] = {}
    for each in withdrawn:
        lost.setdefault(each.sha256, []).append(kept[each.record_id].record)
    return lost


def _put_tags(connection: sa.Connection, learnt: Sequence[Learnt], now_ms: int) -> None:
    for item in learnt:
        gone = [tag.id for tag in item.before.tags if tag.name in item.lost_tags]
        chosen = sa.and_(model_tags.c.model_hash == item.after.sha256, among(model_tags.c.tag_id, gone))
        if gone:
            connection.execute(sa.delete(model_tags).where(chosen))
    names = sorted({whole_text(tag) for item in learnt for tag in item.new_tags if tag.strip()})
    ids = {name: create_tag(connection, name, created_at=now_ms).id for name in names}
    carried = [(item.after.sha256, whole_text(tag)) for item in learnt for tag in item.new_tags]
    _TAG.run(connection, [{"model_hash": sha256, "tag_id": ids[tag]} for sha256, tag in carried if tag in ids])


def _ask(
    connection: sa.Connection,
    asking: Sequence[tuple[Model, list[KeptRecord]]],
    paths: Mapping[str, Sequence[str]],
    now_ms: int,
) -> list[Asked]:
    """Have the owner decide where his own words in a record differ from what the model says; one at a time."""
    questions = [
        (model, question)
        for model, records in asking
        if (question := next(_differing(model, records, paths.get(model.sha256, [])), None)) is not None
    ]
    taken = set(get_pendings_at(connection, [model.path for model, _ in questions])) if questions else set()
    asked: list[Asked] = []
    remembered: dict[int, set[str]] = {}
    for model, (record, field, value) in questions:
        if not model.path or model.path in taken:
            continue
        taken.add(model.path)
        row = _row(model, record, field, value, now_ms)
        pending_id = insert_pending(connection, row)
        remembered.setdefault(record.id, set(record.asked)).add(_mark(field, value))
        asked.append(
            Asked(record.id, record.record.kind, record.record.key, field, model.path, model.sha256, pending_id)
        )
    remember_asked(connection, remembered)
    return asked


def _differing(
    model: Model, records: Sequence[KeptRecord], paths: Sequence[str]
) -> Iterator[tuple[KeptRecord, str, object]]:
    for record in records:
        for field, value in _owned_words(record):
            if said_otherwise(model, paths, field, value) and _mark(field, value) not in record.asked:
                yield record, field, value


def _owned_words(record: KeptRecord) -> Iterator[tuple[str, object]]:
    """Yield the fields of a record that hold words of the owner, with these as JSON."""
    said = meaning_as_json(record.record.meaning)
    for field in ASKED_ABOUT:
        if field in record.record.owned and said.get(field) is not None:
            yield field, said[field]


def _mark(field: str, value: object) -> str:
    return f"{field}:{hashlib.sha256(json_text(value, encoding='ascii').encode()).hexdigest()[:16]}"


def _row(model: Model, record: KeptRecord, field: str, value: object, now_ms: int) -> PendingImport:
    reason = (
        f"{record.record.key} has your own words for {field}, and they differ from those of"
        f" {model.name or suggested_name(model.path)}; choose a strategy"
    )
    return PendingImport(
        id=0,
        path=model.path,
        sha256=model.sha256,
        verified=True,
        size_bytes=model.size_bytes,
        created_at=now_ms,
        source=record.record.kind,
        state=PendingState.CONFLICT,
        last_error=reason,
        **as_row(field, value),
    )
