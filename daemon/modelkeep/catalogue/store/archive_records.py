"""Take the source records of an archive in: those that are not known here, attached as they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from modelkeep.base.portions import in_portions
from modelkeep.catalogue.dialect import among, insert_missing, next_ids
from modelkeep.catalogue.store.attaching import attach_at
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.knowing import apply_records
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.store.recording import RANKS, restore_records
from modelkeep.catalogue.tables import record_images, record_targets, source_records
from modelkeep.domain.adopting import Arrival, Withdrawal
from modelkeep.domain.archive import Archive, ArchivedKept, ArchivedRecord
from modelkeep.domain.archive_taking import StagedCopies
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.naming import PathMap
from modelkeep.domain.source_images import embedded_name

_KEPT = Bulk(insert_missing(record_images))
_TARGET = Bulk(insert_missing(record_targets))
RECORDS_AT_ONCE = 500
"""Records of an archive that are in memory together: there may be gigabytes of them."""


def kept_wanted(connection: sa.Connection, archive: Archive, path_map: PathMap) -> list[ArchivedKept]:
    """Return the images of records without a model that an archive brings, each once."""
    fresh = _fresh(connection, [each for each in archive.sources if each.kept], path_map, _News())
    return list({image.sha256: image for each in fresh for image in each.kept}.values())


def take_records(
    connection: sa.Connection, archive: Archive, path_map: PathMap, staged: StagedCopies, now_ms: int
) -> tuple[int, dict[str, str]]:
    """Keep source records that are not known here, attached as they were.

    Returns:
        How many, and the staged copies of their images by the names that these get.
    """
    count, named, unused = 0, dict[str, str](), dict(staged)
    concerned: set[str] = set()
    withdrawn: list[Withdrawal] = []
    news = _News(next_ids(connection, source_records, 1)[0])
    for some in in_portions(archive.sources, RECORDS_AT_ONCE):
        fresh = _fresh(connection, some, path_map, news)
        numbered, known = _keep(connection, fresh, now_ms)
        named |= _keep_images(connection, numbered, unused)
        withdrawn += attach_at(connection, sorted({path for each in fresh for path in each.record.models}))[1]
        count, concerned = count + len(fresh), concerned | known
    for hashes in in_portions(sorted(concerned), RECORDS_AT_ONCE):
        apply_records(connection, hashes, now_ms)
    apply_records(connection, (), now_ms, withdrawn)
    return count, named


def _keep(
    connection: sa.Connection, fresh: Sequence[ArchivedRecord], now_ms: int
) -> tuple[list[tuple[int, ArchivedRecord]], set[str]]:
    """Keep records; returns them with their ids, and the contents to which they are attached."""
    arrivals = [Arrival(each.record, each.file_bytes, each.file_mtime_ns) for each in fresh]
    ids = restore_records(connection, list(zip(arrivals, map(_facts, fresh), strict=True)), now_ms)
    numbered = list(zip(ids, fresh, strict=True))
    known = set(get_models(connection, sorted({target.sha256 for each in fresh for target in each.targets})))
    # Paths of images are the other machine's, and no file here is opened because of them. Records speak of the paths
    # and contents of which the archive says so, and of no others yet.
    targets = [
        {"record_id": record_id, "path": target.path, "sha256": target.sha256, "how": target.how}
        for record_id, each in numbered
        for target in each.targets
        if not target.sha256 or target.sha256 in known
    ]
    _TARGET.run(connection, targets)
    _KEPT.run(connection, [row for record_id, each in numbered for row in _embedded(record_id, each.record)])
    return numbered, known


def _fresh(
    connection: sa.Connection, records: Sequence[ArchivedRecord], path_map: PathMap, news: "_News"
) -> list[ArchivedRecord]:
    """Return the records that were not known here before the import, with paths as they are here."""
    mapped = [_mapped(each, path_map) for each in records]
    columns = source_records.c
    query = sa.select(columns.kind, columns.key, columns.digest, columns.gone).where(columns.id < news.before)
    rows = connection.execute(query.where(among(columns.key, [each.record.key for each in mapped]))).all()
    present = {(row.kind, row.key) for row in rows if not row.gone}
    held = {(row.kind, row.key, row.digest) for row in rows}
    return [
        each
        for each in mapped
        if (each.record.kind, each.record.key) not in present
        and (each.record.kind, each.record.key, each.record.digest) not in held
        and news.is_first(each)
    ]


@dataclass(slots=True)
class _News:
    """What an archive told so far; records from `before` on are its own.

    What lies there now is read from there; of what is gone, one copy is enough.
    """

    before: int = 2**62
    told: set[tuple[str, str, str]] = field(default_factory=set)

    def is_first(self, each: ArchivedRecord) -> bool:
        """Return whether an archive tells a record for the first time: of what is there, one is there at a time."""
        name = (each.record.kind, each.record.key, each.record.digest if each.gone else "")
        known = name in self.told
        self.told.add(name)
        return not known


def _mapped(each: ArchivedRecord, path_map: PathMap) -> ArchivedRecord:
    """Return a record with paths as they are here."""
    if not path_map.pairs:
        return each
    targets = tuple(replace(target, path=path_map.apply(target.path)) for target in each.targets)
    models = tuple(path_map.apply(path) for path in each.record.models)
    images = tuple(replace(image, path=path_map.apply(image.path)) for image in each.record.images)
    record = replace(each.record, key=path_map.apply(each.record.key), models=models, images=images)
    return replace(each, record=record, targets=targets)


def _facts(each: ArchivedRecord) -> dict[str, Any]:
    return {
        "gone": each.gone,
        "dropped": each.dropped,
        "first_seen": each.first_seen,
        "last_seen": each.last_seen,
        "asked_json": json_text(list(each.asked)),
    }


def _embedded(record_id: int, record: SourceRecord) -> list[Mapping[str, object]]:
    """Return the rows of the images that stand in a record."""
    return [
        {"record_id": record_id, "path": image.path, "rank": RANKS.index(image.rank), "kept": ""}
        for image in record.images
        if embedded_name(record.key, image.path)
    ]


def _keep_images(
    connection: sa.Connection, numbered: Sequence[tuple[int, ArchivedRecord]], unused: dict[str, str]
) -> dict[str, str]:
    """Keep images of records without a model; one copy may be of several of them, the first one's stays."""
    named: dict[str, str] = {}
    rows: list[Mapping[str, object]] = []
    for record_id, each in numbered:
        for image in each.kept:
            copy = unused.pop(image.sha256, "")
            if copy:
                name = f"source-{record_id}-{image.sha256[:16]}{Path(image.name).suffix}"
                named[name] = copy
                # No path of this machine: the copy is all there is.
                path = f"archive/{image.sha256}"
                rows.append({"record_id": record_id, "path": path, "rank": image.rank, "kept": name})
    _KEPT.run(connection, rows)
    return named
