"""Read another program's SQLite database without leaving a trace beside it.

Opening a database in WAL mode creates a `-shm` file and may write a checkpoint; `immutable=1` does neither, but it
ignores the `-wal` and with it the newest rows (https://www.sqlite.org/uri.html#uriimmutable); and both ways a program
that writes meanwhile can be in the way or be seen half. So the files are copied, and the copy is opened.
"""

import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelkeep.errors import SourceError
from modelkeep.importers.sqlite_guard import open_guarded, roll_back
from modelkeep.importers.sqlite_journal import disarm

MAGIC = b"SQLite format 3\x00"
"""First bytes of every SQLite database (https://www.sqlite.org/fileformat.html#the_database_header)."""

SIDE_SUFFIXES = ("-wal", "-journal")
"""Files that hold a part of the content. The `-shm` is an index that every reader can make anew."""

SCRATCH_PREFIX = "modelkeep-import-"
"""Beginning of the name of the folder of a copy; one that a killed import left in the data folder is swept."""

COPY_ATTEMPTS = 20
PAUSE_SECONDS = 0.1
CLOCK_TICK_NS = 20_000_000
"""A second write within one tick of the kernel's clock leaves the mtime as it was."""

FileState = tuple[str, int, int, int]


@contextmanager
def opened_copy(
    database: Path, scratch: Path | None = None, *, has_computed_columns: bool = False
) -> Iterator[sqlite3.Connection]:
    """Open a private copy of a database for the length of a `with` block.

    Text that is no UTF-8 comes as surrogate escapes.

    Args:
        database: a regular file; `require_database` has seen it.
        scratch: folder in which the copy is made; None: the system's folder for temporary files.
        has_computed_columns: as for `open_guarded`.

    Raises:
        SourceError: it cannot be copied, is damaged, or is being written all the time.
    """
    needed = 2 * sum(size for _, _, size, _ in _file_states(database))
    folder = Path(scratch or tempfile.gettempdir())
    _require_space(folder, needed, database)
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder, ignore_cleanup_errors=True) as private:
        copy = Path(private) / "copy.sqlite3"
        _copy_while_still(database, copy)
        try:
            _roll_back(copy, database)
            connection = open_guarded(copy, has_computed_columns=has_computed_columns)
            try:
                _require_undamaged(connection, database)
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise _damaged(database, str(error)) from error


def require_database(database: Path) -> None:
    """Make sure that a path is an SQLite database, by its first bytes.

    Raises:
        SourceError: it is none, or cannot be read.
    """
    try:
        status = database.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
            raise SourceError(f"{database} is no regular file; give the path of the database file")
        with database.open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise unreadable(database, error) from error
    if not start:
        raise SourceError(f"{database} is empty (0 bytes); give the path of the database that holds the rows")
    if start != MAGIC:
        raise SourceError(f"{database} is not an SQLite database; give the path of the database file")


def unreadable(path: Path, error: OSError) -> SourceError:
    """Return the error for a file or folder of a source that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{path} does not exist; check the path of the source")
    if isinstance(error, PermissionError):
        return SourceError(f"{path} may not be read by this user; give it the right to read, or run as another user")
    return SourceError(f"{path} cannot be read: {error.strerror or error}; check the disk that it lies on")


def _roll_back(copy: Path, database: Path) -> None:
    """Undo what was half written when the foreign program ended, if a journal beside the copy tells of it."""
    journal = Path(f"{copy}-journal")
    if not journal.exists():
        return
    try:
        disarm(journal, copy, database)
        roll_back(copy)
    except OSError as error:
        raise unreadable(journal, error) from error
    journal.unlink(missing_ok=True)  # one that is not hot stays; it says nothing


def _require_undamaged(connection: sqlite3.Connection, database: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(database, str(verdict))


def _damaged(database: Path, detail: str) -> SourceError:
    return SourceError(
        f"{database} is damaged ({' '.join(detail.split())}); restore a backup, or save what is left with"
        f" `sqlite3 {database.name} .recover`, and import that"
    )


def _require_space(folder: Path, needed_bytes: int, database: Path) -> None:
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise unreadable(folder, error) from error
    if free_bytes < needed_bytes:
        raise SourceError(
            f"{folder} has {free_bytes:,} bytes free, but a private copy of {database} needs {needed_bytes:,};"
            " make room, or name a larger folder in TMPDIR"
        )


def _copy_while_still(database: Path, copy: Path) -> None:
    """Copy a database and the files beside it as they stood at one moment."""
    for _ in range(COPY_ATTEMPTS):
        before = _file_states(database)
        if _is_quiet(before, time.time_ns()) and _copy(database, copy, before) and _file_states(database) == before:
            return
        time.sleep(PAUSE_SECONDS)
    raise SourceError(f"{database} is being written all the time; close the program that uses it and import again")


def _is_quiet(states: tuple[FileState, ...], now_ns: int) -> bool:
    # A time ahead of ours is a file server's clock, and says nothing.
    return not any(0 <= now_ns - mtime_ns < CLOCK_TICK_NS for _, _, _, mtime_ns in states)


def _file_states(database: Path) -> tuple[FileState, ...]:
    """Return (suffix, inode, size, mtime) of the database and of what lies beside it."""
    states = []
    for suffix in ("", *SIDE_SUFFIXES):
        path = Path(f"{database}{suffix}")
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unreadable(path, error) from error
        if not stat.S_ISREG(status.st_mode):  # a link to a device would be copied for ever
            raise SourceError(f"{path} is no regular file, so it is not read; check what put it there")
        states.append((suffix, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(states)


def _copy(database: Path, copy: Path, states: tuple[FileState, ...]) -> bool:
    """Copy what `states` names; False when some of it went away meanwhile."""
    for suffix in SIDE_SUFFIXES:
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
    for suffix, *_ in states:
        source = Path(f"{database}{suffix}")
        try:
            shutil.copyfile(source, f"{copy}{suffix}")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unreadable(source, error) from error
    return True
