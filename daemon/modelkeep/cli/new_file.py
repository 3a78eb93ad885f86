"""Write a file that must not exist yet: whole or not at all, and never over another one."""

import os
import secrets
from pathlib import Path

from modelkeep.cli.exits import Refused
from modelkeep.disk.durable import make_folder, sync_folder


def write_new_file(path: Path, text: str) -> None:
    """Create a file with its folders; it appears under its name with all its content.

    Raises:
        Refused: something of that name exists, even if it appeared this instant.
    """
    if not path.parent.is_dir():
        make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        _write_durably(temporary, text)
        _give_name(temporary, path, text)
    except FileExistsError as error:
        raise Refused(already_there(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def already_there(path: Path) -> str:
    """Return the sentence for a file that is there already."""
    return f"{path} exists and is left as it is: edit it, move it away, or name another with --config"


def _give_name(temporary: Path, path: Path, text: str) -> None:
    try:
        # A link, unlike a rename, fails when the name is taken.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        _write_durably(path, text)


def _write_durably(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
