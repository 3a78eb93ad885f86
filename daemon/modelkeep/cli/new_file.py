"""Write a file that must not exist yet: whole or not at all, and never over another one."""

import os
import secrets
from pathlib import Path

from modelkeep.cli.exits import Refused
from modelkeep.disk.durable import make_folder, sync_folder, write_durably


def write_new_file(path: Path, text: str) -> None:
    """Create a file with its folders; it appears under its name with all its content.

    Raises:
        Refused: something of that name exists, even if it appeared this instant.
    """
    if not path.parent.is_dir():
        make_folder(path.parent)
    content = text.encode()
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        write_durably(temporary, [content], is_new=True)
        if not _has_got_name(temporary, path):
            write_durably(path, [content], is_new=True)
    except FileExistsError as error:
        raise Refused(already_there(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def already_there(path: Path) -> str:
    """Return the sentence for a file that is there already."""
    return f"{path} exists and is left as it is: edit it, move it away, or name another with --config"


def _has_got_name(temporary: Path, path: Path) -> bool:
    """Give a file its name, if that is free; on a file system without hard links it cannot be done."""
    try:
        # A link, unlike a rename, fails when the name is taken.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True
