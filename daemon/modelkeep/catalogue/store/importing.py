"""Stage 1: take the rows of a legacy source into the catalogue, the whole source in one transaction.

Most rows meet nothing that is known: those are gathered and written set-wise. The others are taken one by one
afterwards, by the same decision as a migration (`planning.decide`), so that nothing known is ever overwritten.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import sqlalchemy as sa

from modelkeep.base.collector import collector_paused
from modelkeep.catalogue.store.control import forget_migrations, migration_values
from modelkeep.catalogue.store.images import image_values
from modelkeep.catalogue.store.import_care import take_with_care
from modelkeep.catalogue.store.import_prepared import TakenAtOnce, take_prepared
from modelkeep.catalogue.store.import_run import (
    ImportRun,
    begin,
    claimed_location,
    is_unchanged,
    model_of,
    queue_all,
    remember,
    statement_of,
    with_image,
    write_gathered,
)
from modelkeep.catalogue.store.locations import location_values
from modelkeep.catalogue.store.models import model_values
from modelkeep.catalogue.store.statements import said_json
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import StagedRow, TakenRow, TakenRows, Taking

BeforeCommit = Callable[[TakenRows], None]


@collector_paused()
def import_rows(
    connection: sa.Connection,
    kind: str,
    source: str,
    rows: Sequence[StagedRow],
    now_ms: int,
    before_commit: BeforeCommit,
    *,
    dry_run: bool = False,
    again: bool = False,
    finished: Sequence[str] = (),
    prepared: Path | None = None,
    on_disk: Mapping[int, Fingerprint] = MappingProxyType({}),
) -> TakenRows:
    """Take the rows of a source; see `domain.legacy` for what is handed in and what comes back.

    `before_commit` gets what was done with the rows before anything is visible to anybody; when it raises, nothing
    has happened. `dry_run`: it is not called, and everything is rolled back. `again`: rows that an earlier run took
    and the owner dropped since are taken as if they were new. `finished`: ids of earlier migrations whose end is in
    the journal; dropped once `before_commit` made it durable. `prepared`: a file of prepared rows that is attached;
    `rows` are those of them that are to be taken one by one, and `on_disk` the files of all others by their numbers.
    """
    if dry_run:
        savepoint = connection.begin_nested()
        try:
            told = kind, source, rows, now_ms, lambda _: None
            return import_rows(connection, *told, again=again, prepared=prepared, on_disk=on_disk)
        finally:
            savepoint.rollback()
    at_once = TakenAtOnce(left=rows)
    if prepared is not None:
        at_once = take_prepared(connection, (kind, source), prepared, now_ms, rows, on_disk, again=again)
    singly = _take_singly(begin(connection, kind, source, at_once.left, now_ms, again=again), at_once.left)
    taken = TakenRows(singly, at_once.plain, at_once.models, at_once.unchanged, at_once.dropped)
    before_commit(taken)
    forget_migrations(connection, finished)
    return taken


def _take_singly(run: ImportRun, rows: Sequence[StagedRow]) -> list[TakenRow]:
    """Take rows as values, in their order."""
    taken: dict[str, TakenRow] = {}
    later: list[StagedRow] = []
    seen: set[str] = set()
    for staged in rows:
        row, before = staged.row, run.earlier.get(staged.row.key)
        if before is not None and is_unchanged(row, run.earlier):
            taken[row.key] = TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id)
            continue
        if before is not None or row.path in seen or row.claim in run.known.models:
            later.append(staged)
        elif not row.claim:
            run.waiting.append(staged)
        elif row.path in run.known.located:
            later.append(staged)
        else:
            taken[row.key] = _gather_model(run, staged)
        # What else is said of the same is taken after it: of two that differ the first one counts.
        seen.add(row.path)
        run.known.models.update({row.claim} - {""})
    write_gathered(run)
    taken.update((row.row.key, row) for row in queue_all(run, run.waiting))
    for staged in later:
        taken[staged.row.key] = take_with_care(run, staged)
    in_order = [taken[staged.row.key] for staged in rows]
    remember(run, in_order)
    return in_order


def _gather_model(run: ImportRun, staged: StagedRow) -> TakenRow:
    row = staged.row
    run.new_models.append(model_values(model_of(row)))
    place = location_values(claimed_location(staged, row.claim), run.now_ms)
    run.new_locations.append({**place, "said_json": said_json([statement_of(run, staged)])})
    run.new_model_tags += [{"model_hash": row.claim, "tag_id": tag_id} for tag_id in run.tags_of(row)]
    taken = with_image(row, Taking.MODEL, row.claim, staged.rendered, 0)
    if taken.files and staged.rendered is not None:
        run.new_images.append(image_values(row.claim, 0, staged.rendered))
        run.new_migrations.append(migration_values(taken.migration, run.now_ms, taken.files))
    return taken
