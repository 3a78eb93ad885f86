"""Checks of what the daemon stands on: configuration, data folder, rights, space, address."""

import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

from modelkeep.disk.mounts import file_system_of, is_network_file_system
from modelkeep.doctor.findings import FIRST_START, Finding, counted, examples, fine, note, problem, warning
from modelkeep.doctor.premises import Premises
from modelkeep.pipeline.sha256 import Implementation
from modelkeep.settings.model import ApiSettings

FREE_BYTES_MIN = 2**30
FREE_SHARE_MIN = 0.05


def check_settings(premises: Premises) -> Iterator[Finding]:
    """Tell which configuration was read."""
    file = premises.settings.config_file
    if premises.roots_error:
        yield problem("settings", premises.roots_error, "correct it, or remove comfyui from the configuration")
    if file is None:
        yield note("settings", "no configuration file was read; every option has its default", "modelkeep init")
    else:
        yield fine("settings", f"read from {file}")


def check_lock(premises: Premises) -> Iterator[Finding]:
    """Tell who is at work in the data folder."""
    if premises.is_at_work:
        sentence = f"{premises.holder} is using the data folder; what changes at this moment is not checked"
        yield fine("daemon", sentence)
    else:
        yield fine("daemon", "it is off, and nothing else is using the data folder")


def check_hashing(hashing: Implementation) -> Finding:
    """Tell what computes digests."""
    if not hashing.reason:
        return fine("hashing", f"SHA-256 by {hashing.name}")
    remedy = "on x86-64: install a C compiler, then modelkeep again; files may be hashed faster by then"
    return note("hashing", f"SHA-256 by {hashing.name}: {hashing.reason}", remedy)


def check_data_folder(premises: Premises) -> Iterator[Finding]:
    """Look whether the data folder is there, and on what file system."""
    folder = premises.directory.path
    if not folder.exists():
        yield from _check_future_folder(folder)
        return
    if not folder.is_dir():
        yield problem("data folder", f"{folder} is not a folder", "move that file away, or set another data_dir")
        return
    kind = file_system_of(str(folder)) or "unknown"
    if is_network_file_system(str(folder)):
        remedy = "set data_dir to a folder on a disk of this machine; the models themselves may stay where they are"
        sentence = f"{folder} is on a network file system ({kind}), on which SQLite's write-ahead log is not safe"
        yield warning("data folder", sentence, remedy)
    else:
        yield fine("data folder", f"{folder} ({kind})")


def _check_future_folder(folder: Path) -> Iterator[Finding]:
    parent = nearest_existing(folder)
    if os.access(parent, os.W_OK | os.X_OK):
        yield note("data folder", f"{folder} is not there yet", FIRST_START)
    else:
        remedy = f"make it yourself and give it to the daemon's user, or set another data_dir (see {parent})"
        yield problem("data folder", f"{folder} is not there, and this user may not make it", remedy)


def check_rights(premises: Premises) -> Iterator[Finding]:
    """Look whether everything in the data folder belongs to one user, who may write it."""
    folder = premises.directory.path
    if not folder.is_dir():
        return
    owner = folder.stat().st_uid
    name = user_name(owner)
    places = list(_places(premises)) if premises.may_enter else [folder]
    foreign = [str(path.relative_to(folder)) for path in places if _owner(path) not in (owner, None)]
    if foreign:
        sentence = f"{counted(len(foreign), 'entry belongs', 'entries belong')} to another user than {folder}"
        remedy = f"sudo chown -R {name}: {folder}   (a command that was run as root leaves such files)"
        yield problem("rights", f"{sentence}: {examples(foreign)}", remedy)
    closed = [str(path) for path in places if path.exists() and not os.access(path, _needed(path))]
    if closed:
        remedy = f"run modelkeep as {name}, who owns the folder, or give this user permission"
        yield problem("rights", f"this user has no permission to write {examples(closed)}", remedy)
    if not foreign and not closed:
        yield fine("rights", f"everything belongs to {name} and is writable")
    if owner != os.geteuid():
        sentence = f"these checks ran as {user_name(os.geteuid())}; the daemon's user is probably {name}"
        yield note("rights", sentence, f"sudo -u {name} modelkeep doctor   checks what that user may do")


def _places(premises: Premises) -> Iterator[Path]:
    """Yield what the daemon has to write; of single images there may be a million, and their folders count."""
    directory = premises.directory
    images = directory.images
    yield directory.path
    for folder in (directory.path, directory.journal):
        if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
            yield from (path for path in sorted(folder.iterdir()) if not path.is_symlink() and not path.is_socket())
    yield from (folder for folder in (images / "pending", images / ".staging") if folder.is_dir())


def _needed(path: Path) -> int:
    return os.R_OK | os.W_OK | os.X_OK if path.is_dir() else os.R_OK | os.W_OK


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except FileNotFoundError:  # gone meanwhile
        return None


def check_free_space(premises: Premises) -> Iterator[Finding]:
    """Look how full the disk of the data folder is."""
    status = os.statvfs(nearest_existing(premises.directory.path))
    yield judge_space(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)


def judge_space(free_bytes: int, total_bytes: int) -> Finding:
    """Return what so much free space means; less than `FREE_BYTES_MIN` soon stops the daemon."""
    free = f"{_amount(free_bytes)} of {_amount(total_bytes)} are free on the disk of the data folder"
    if free_bytes < FREE_BYTES_MIN:
        return warning("free space", free, "free some space: with a full disk nothing new can be stored")
    if free_bytes < total_bytes * FREE_SHARE_MIN:
        return note("free space", f"{free}, less than {FREE_SHARE_MIN:.0%}", "free some space before it is needed")
    return fine("free space", free)


def _amount(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:,.1f} MB"


def check_address(premises: Premises) -> Iterator[Finding]:
    """Look whether the daemon could listen; it does already when it runs."""
    if premises.is_at_work:
        return
    api = premises.settings.api
    error = _listen_error(api) if api.port else None
    if error is None:
        yield fine("address", f"{api.host} port {api.port} is free" if api.port else f"any free port of {api.host}")
    else:
        remedy = "set api.port to another port, or to 0 for any free one, or stop the program that uses it"
        yield problem("address", f"the daemon cannot listen on {api.host} port {api.port}: {error}", remedy)


def _listen_error(api: ApiSettings) -> str | None:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(api.host, api.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon does
            probe.bind(where)
    except OSError as error:
        return error.strerror or str(error)
    return None


def nearest_existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def user_name(number: int) -> str:
    """Return the name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
