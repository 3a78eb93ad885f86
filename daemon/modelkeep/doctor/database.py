"""Checks of the catalogue's file: is it whole, and can this version read it?"""

import sqlite3
from collections.abc import Collection, Iterator

import sqlalchemy as sa

from modelkeep.catalogue.tables import metadata
from modelkeep.catalogue.upgrade import known_revisions, recorded_revision
from modelkeep.doctor.findings import FIRST_START, Finding, counted, examples, fine, note, problem, warning
from modelkeep.doctor.knowledge import size_of, wal_of
from modelkeep.doctor.premises import Premises
from modelkeep.journal.query import Query
from modelkeep.journal.reader import read

FULL_CHECK_BYTES_MAX = 2**30
"""A larger file is not compared with its indexes, which takes minutes."""

WAL_BYTES_MAX = 256 * 2**20

_DAMAGES_MAX = 20
_FIRST_WITH_RESET_BUG = (3, 7, 0)
_LAST_WITH_RESET_BUG = (3, 51, 2)
_RESTORE = (
    "stop the daemon, keep a copy of the data folder, then restore a backup of modelkeep.db, or try"
    " `sqlite3 modelkeep.db .recover | sqlite3 recovered.db`; check the disk too (smartctl -a)"
)


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """Tell the version of SQLite, and what is known of it (https://sqlite.org/wal.html, "The WAL-reset bug")."""
    spelled = ".".join(map(str, version))
    if _FIRST_WITH_RESET_BUG <= version <= _LAST_WITH_RESET_BUG:
        sentence = (
            f"version {spelled} can corrupt a database that two connections write in one instant;"
            " modelkeep has only one that writes"
        )
        return note("sqlite", sentence, "let no other program write to modelkeep.db, or use SQLite 3.51.3 or later")
    return fine("sqlite", f"version {spelled}")


def is_there(premises: Premises) -> bool:
    """Return whether there is a catalogue's file that holds anything."""
    path = premises.directory.catalogue
    return bool(size_of(path) or size_of(wal_of(path)))


def judge_absence(premises: Premises) -> Finding:
    """Return what it means that there is no catalogue, or an empty one."""
    directory = premises.directory
    if not premises.is_at_work and any(read(directory.journal, Query(limit=1))):
        sentence = f"{directory.catalogue} is gone or empty, though the journal records what was in it"
        return problem(
            "catalogue", sentence, "restore a backup before the daemon starts; it would create an empty one"
        )
    return note("catalogue", "there is none yet", FIRST_START)


def check_revision(connection: sa.Connection, premises: Premises) -> Finding | None:
    """Return what is to be said when the catalogue is empty, of another version or another program, else None."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    if not tables:
        return judge_absence(premises)
    if "alembic_version" not in tables:
        sentence = f"modelkeep.db is a database of another program (it has {examples(sorted(tables))})"
        return problem("catalogue", sentence, "move it away, or set another data_dir")
    current, known = recorded_revision(connection), known_revisions()
    if current == known[-1]:
        lacking = list(_lacking(inspector, tables))
        sentence = f"it lacks {examples(lacking)}, which this version reads: something else has changed it"
        return problem("catalogue", sentence, _RESTORE) if lacking else None
    if current in known:
        sentence = f"it was written by an older modelkeep (schema {current}); its content is not checked"
        return note("catalogue", sentence, "the next start of the daemon upgrades it, after a backup copy")
    sentence = f"it was written by a newer modelkeep (schema {current})"
    return problem("catalogue", sentence, "install that version, or restore the backup copy beside it")


def _lacking(inspector: sa.Inspector, tables: Collection[str]) -> Iterator[str]:
    """Yield the tables and columns that the code knows and the file has not."""
    for table in metadata.sorted_tables:
        if table.name not in tables:
            yield table.name
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        yield from (f"{table.name}.{column.name}" for column in table.columns if column.name not in there)


def check_integrity(connection: sa.Connection, size_bytes: int) -> Iterator[Finding]:
    """Have SQLite look through the whole file."""
    pragma, spared = ("integrity_check", "") if size_bytes <= FULL_CHECK_BYTES_MAX else ("quick_check", _SPARED)
    said = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {pragma}({_DAMAGES_MAX})")]
    broken = [f"{table} row {row}" for table, row, *_ in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    if said != ["ok"]:
        yield problem(
            "catalogue", f"the file is damaged: {examples([' '.join(line.split()) for line in said])}", _RESTORE
        )
    if broken:
        sentence = f"{counted(len(broken), 'row refers', 'rows refer')} to what is not there: {examples(broken)}"
        yield problem("catalogue", sentence, _RESTORE)
    if said == ["ok"] and not broken:
        yield fine("catalogue", f"the file is whole ({pragma}, foreign keys){spared}")


_SPARED = "; it is too large to compare its indexes with its rows in reasonable time"


def check_log(premises: Premises) -> Iterator[Finding]:
    """Look at the write-ahead log."""
    size_bytes = size_of(wal_of(premises.directory.catalogue))
    megabytes = f"{size_bytes / 1e6:,.1f} MB"
    if premises.is_at_work and size_bytes > WAL_BYTES_MAX:
        sentence = f"the write-ahead log has grown to {megabytes}: another program keeps it from being written back"
        yield warning(
            "catalogue", sentence, "close other programs that have modelkeep.db open, or restart the daemon"
        )
    elif size_bytes and not premises.is_at_work:
        sentence = f"{megabytes} of the write-ahead log were left by a process that was killed; nothing is lost"
        yield note("catalogue", sentence, "the next start of the daemon applies it")
