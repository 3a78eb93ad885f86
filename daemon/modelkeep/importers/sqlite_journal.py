"""Make the copy of a foreign rollback journal harmless, so that SQLite may roll the copied database back with it.

The end of a journal may name a second file, the super-journal of a transaction over several databases. SQLite reads
that file, and deletes it when it has rolled back: a foreign journal would name any file of ours. Format:
https://www.sqlite.org/fileformat.html#the_rollback_journal and, for the name, `readSuperJournal` in its `pager.c`.
"""

import os
import struct
from pathlib import Path

from modelkeep.errors import SourceError

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""First bytes of a journal that may be replayed, and last ones of a journal that names another file."""

_HEADER = struct.Struct(">8sIIIII")
"""Magic, pages in the journal, nonce, pages that the database had, bytes of a sector, bytes of a page."""


def disarm(journal: Path, copy: Path, database: Path) -> None:
    """Make sure that rolling back with a journal touches nothing but the database beside it.

    Args:
        journal: the copy of the journal; it is changed.
        copy: the copy of the database to which it belongs.
        database: the original, for the error's sentence.

    Raises:
        SourceError: it names another file, or would make the database larger than its pages can be.
    """
    with journal.open("r+b") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - len(JOURNAL_MAGIC)))
        if file.read() == JOURNAL_MAGIC and size_bytes > _HEADER.size:
            raise SourceError(_NAMES_ANOTHER.format(database=database))
        file.seek(0)
        if _grows(file.read(_HEADER.size), size_bytes + copy.stat().st_size):
            raise SourceError(_GROWS.format(database=database))
        # Whatever was overlooked: now nothing at the end can be taken for a name. Replaying ends before these bytes.
        file.seek(0, os.SEEK_END)
        file.write(bytes(len(JOURNAL_MAGIC)))


def _grows(header: bytes, known_bytes: int) -> bool:
    """Return whether a journal speaks of more pages than the database and the journal hold together."""
    if len(header) < _HEADER.size or not header.startswith(JOURNAL_MAGIC):
        return False
    _, _, _, pages, _, page_bytes = _HEADER.unpack(header)
    return bool(pages * page_bytes > known_bytes)


_NAMES_ANOTHER = (
    "{database} was left in the middle of a change to several databases: its -journal names another file, which is"
    " not followed; open the database once with the program that wrote it, and import again"
)
_GROWS = "{database} is damaged (its -journal speaks of more pages than there are); restore a backup, and import that"
