"""Open a catalogue of whatever age: make it, upgrade it after a backup copy, or refuse a newer one.

Alembic is loaded by those who upgrade one: it is a fifth of what a start would load, and stays in memory. A new one
is made of the tables as they are now, which are what the revisions end with.
"""

from functools import cache
from pathlib import Path

import sqlalchemy as sa

from modelkeep.base.failpoints import reach
from modelkeep.catalogue.dialect import ERRORS, reading_engine, writing_engine
from modelkeep.catalogue.engine import explained_error
from modelkeep.catalogue.sqlite_files import SIDE_SUFFIXES, copy_database, undo_what_was_cut_short
from modelkeep.catalogue.tables import metadata
from modelkeep.disk.durable import sync_folder
from modelkeep.errors import CatalogueError

REVISIONS = Path(__file__).parent / "revisions"

_RECORD = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic writes down of what revision a catalogue is."""


def upgrade(path: Path) -> str | None:
    """Bring the catalogue's file to the newest schema.

    Returns:
        Base name of the backup copy when an older catalogue was upgraded, else None.

    Raises:
        CatalogueError: the file is no catalogue, is damaged, or was made by a newer modelkeep.
    """
    known = known_revisions()
    try:
        # Looked at by a reader first: a file that is not ours is left as it is, to the byte.
        current = _current_revision(path, known)
        if current == known[-1]:
            return None
        if not _holds_anything(path):
            _make(path, known[-1])
            return None
        backup = None if current is None else back_up(path, current)
        _upgrade_to_head(path)
    except ERRORS as error:
        raise explained_error(error, path, f"{path} cannot be opened as a catalogue") from error
    return backup


def known_revisions() -> list[str]:
    """Return the revisions of the schema, the newest last, as their files are named."""
    return sorted(path.name.partition("_")[0] for path in (REVISIONS / "versions").glob("*_*.py"))


def recorded_revision(connection: sa.Connection) -> str | None:
    """Return the revision that a catalogue says that it is of; it has to have Alembic's table."""
    return connection.scalars(sa.select(_RECORD.c.version_num)).one_or_none()


def _current_revision(path: Path, known: list[str]) -> str | None:
    """Return the revision of a catalogue, None for one that is still to be made."""
    if not _holds_anything(path):
        return None
    undo_what_was_cut_short(path)
    engine = reading_engine(path)
    try:
        with engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            current = recorded_revision(connection) if _RECORD.name in tables else None
    finally:
        engine.dispose()
    _refuse_what_is_not_ours(path, current, tables, known)
    return current


def _holds_anything(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _make(path: Path, revision: str) -> None:
    """Make a catalogue, under another name first: a crash leaves none or a whole one. Durable when this returns."""
    draft = _beside(path, ".new")
    for stale in (draft, *(_beside(file, suffix) for file in (draft, path) for suffix in SIDE_SUFFIXES)):
        stale.unlink(missing_ok=True)
    engine = writing_engine(draft)
    try:
        with engine.begin() as connection:
            for statement in _schema():
                connection.exec_driver_sql(statement)
            connection.execute(sa.insert(_RECORD).values(version_num=revision))
    finally:
        engine.dispose()
    if _holds_anything(_beside(draft, "-wal")):
        # Closing does not tell that it could not bring the log into the file.
        raise CatalogueError(f"{path} cannot be made: its disk does not take it")
    reach("catalogue.publish.before")
    draft.replace(path)
    reach("catalogue.publish.after")
    sync_folder(path.parent)


@cache
def _schema() -> tuple[str, ...]:
    """Return the statements that make the tables of a new catalogue."""
    made: list[str] = []

    def note(element: sa.ClauseElement, *_: object) -> None:
        made.append(str(element.compile(dialect=engine.dialect)))

    engine = sa.create_mock_engine("sqlite://", note)
    for tables in (metadata, _RECORD.metadata):
        tables.create_all(engine, checkfirst=False)
    return tuple(made)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _upgrade_to_head(path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(REVISIONS).replace("%", "%%"))
    engine = writing_engine(path)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def back_up(path: Path, revision: str) -> str:
    """Copy the catalogue, with what its write-ahead log holds, beside it; durable when this returns."""
    copy = _beside(path, f".before-upgrade-from-{revision}")
    draft = _beside(copy, ".tmp")
    draft.unlink(missing_ok=True)
    copy_database(path, draft)
    reach("backup.publish.before")
    draft.replace(copy)
    reach("backup.publish.after")
    sync_folder(path.parent)
    return copy.name


def _refuse_what_is_not_ours(path: Path, current: str | None, tables: set[str], known: list[str]) -> None:
    if current is None:
        if tables:
            raise CatalogueError(
                f"{path} is a database of another program (it has {', '.join(sorted(tables)[:5])}): "
                "choose another data folder"
            )
        return
    if current not in known:
        raise CatalogueError(
            f"{path} was written by a newer modelkeep (schema {current}): install that version, "
            f"or put back the copy {path.name}.before-upgrade-from-…"
        )
