"""The configuration file as a file: where it lies, how it is read, and the text that `init` writes."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from modelkeep.errors import SettingsError

CONFIG_VARIABLE = "MODELKEEP_CONFIG"
FILE_NAME = "modelkeep.toml"
SYSTEM_FILE = Path("/etc/modelkeep") / FILE_NAME

_DEFAULT_DATA_DIR = "data"
_ROOTS_EXAMPLE = re.compile(r"^# \[\[roots\]\].*\n(?:# .*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class ConfigurationFile:
    """The one file that was read, or none at all.

    `base` is the folder at which the relative paths in it start, `is_checkouts_own` tells that it came with the
    source rather than from the owner's hand.
    """

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    base: Path = Path("/")
    is_checkouts_own: bool = False


@cache
def checkout() -> Path | None:
    """Return the folder of modelkeep's source that this package runs from, None when it is installed."""
    folder = Path(__file__).resolve().parents[3]
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    own = project.get("project", {}).get("name") == "modelkeep" and (folder / "config" / FILE_NAME).is_file()
    return folder if own else None


def read_configuration(named: Path | None) -> ConfigurationFile:
    """Read the first configuration file that exists.

    Args:
        named: the file that the command line names, if it does.

    Raises:
        SettingsError: a file that was named does not exist, or the file found cannot be read or is no TOML.
    """
    path = _find(named)
    if path is None:
        return ConfigurationFile()
    source = checkout()
    own = source is not None and path.resolve() == source / "config" / FILE_NAME
    base = source if own and source is not None else path.parent
    return ConfigurationFile(path, _read_toml(path), base, own)


def user_configuration_path() -> Path:
    """Return where the user's own configuration file belongs."""
    return _xdg_folder("XDG_CONFIG_HOME", ".config") / "modelkeep" / FILE_NAME


def default_data_dir() -> Path:
    """Return the data folder when nobody chose one: systemd's, else the checkout's, else the user's."""
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if state:
        return absolute(state, current_folder())
    source = checkout()
    if source is not None:
        return source / _DEFAULT_DATA_DIR
    return _xdg_folder("XDG_STATE_HOME", ".local/state") / "modelkeep"


def leaves_data_dir_to_systemd(file: ConfigurationFile) -> bool:
    """Return whether a file's `data_dir` gives way to `$STATE_DIRECTORY`.

    The checkout's own file says `data` for a daemon started by hand. A sandboxed one may write nowhere but in its
    state directory; what the owner changed or wrote elsewhere holds there too.
    """
    systemd = bool(os.environ.get("STATE_DIRECTORY"))
    return systemd and file.is_checkouts_own and file.values.get("data_dir") == _DEFAULT_DATA_DIR


def absolute(text: str | os.PathLike[str], base: Path) -> Path:
    """Return a path with `~` expanded and made absolute; links stay as they are spelled."""
    path = base / os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises where no home is known
    if ".." not in path.parts:
        return path
    # `link/..` is the parent of where the link leads, so up to the last `..` links do have to be followed.
    last = len(path.parts) - 1 - path.parts[::-1].index("..")
    return Path(os.path.realpath(Path(*path.parts[: last + 1])), *path.parts[last + 1 :])


def current_folder() -> Path:
    """Return the folder at which paths of the command line start, even where it has been deleted meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))


def default_configuration_text() -> str:
    """Return the text of the configuration file that ships with modelkeep."""
    source = checkout()
    shipped = files("modelkeep").joinpath(FILE_NAME) if source is None else source / "config" / FILE_NAME
    return shipped.read_text("utf-8")


def shipped_unit(name: str) -> str:
    """Return a file of systemd's that ships with modelkeep.

    Args:
        name: such as `user/modelkeep.service`.
    """
    source = checkout()
    folder = files("modelkeep") / "systemd" if source is None else source / "systemd"
    return folder.joinpath(*name.split("/")).read_text("utf-8")


def with_data_dir(text: str, data_dir: Path) -> str:
    """Return the text of a configuration file with another `data_dir`.

    Raises:
        SettingsError: the folder's name cannot be written in TOML.
    """
    line = f"data_dir = {_quoted(data_dir)}"
    changed, number = re.subn(r"^(# )?data_dir = .*$", lambda _: line, text, count=1, flags=re.MULTILINE)
    return changed if number else f"{line}\n{text}"


def configuration_text(roots: Sequence[Path], comfyui: Path | None) -> str:
    """Return a configuration file with some folders filled in, every other option at its default.

    Args:
        roots: folders of model files.
        comfyui: a ComfyUI folder.

    Raises:
        SettingsError: a folder's name cannot be written in TOML.
    """
    # A `data` folder beside the configuration is nobody's wish: the rule for an unset one shall decide.
    text = default_configuration_text().replace("\ndata_dir = ", "\n# data_dir = ", 1)
    if comfyui is not None:
        text = text.replace('comfyui = ""', f"comfyui = {_quoted(comfyui)}", 1)
    if not roots:
        return text
    blocks = "\n".join(f'[[roots]]\npath = {_quoted(root)}\ntype = ""\n' for root in roots)
    return _ROOTS_EXAMPLE.sub(lambda _: blocks, text, count=1)


def _find(named: Path | None) -> Path | None:
    if named is None and os.environ.get(CONFIG_VARIABLE):
        named, who = Path(os.environ[CONFIG_VARIABLE]), f"${CONFIG_VARIABLE}"
    else:
        who = "--config"
    if named is not None:
        path = absolute(named, current_folder())
        if not os.path.lexists(path):
            raise SettingsError(f"{path}: there is no such file, though {who} names it.")
        return path
    # A link that leads nowhere counts as there: passing over it would silently read another file.
    return next((path for path in _usual_places() if os.path.lexists(path)), None)


def _usual_places() -> Iterator[Path]:
    yield user_configuration_path()
    yield SYSTEM_FILE
    source = checkout()
    if source is not None:
        yield source / "config" / FILE_NAME


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: it cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}: it is not UTF-8 text (line {line}).") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: it is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise SettingsError(f"{path}: it is not valid TOML: its values are nested too deeply.") from error


def _xdg_folder(variable: str, below_home: str) -> Path:
    # The XDG base directory specification: a relative path is to be ignored.
    given = Path(os.environ.get(variable, ""))
    folder = given if given.is_absolute() else absolute(f"~/{below_home}", Path("/"))
    if not given.is_absolute() and "~" in folder.parts:
        raise SettingsError(f"No home folder is known for this user; set ${variable} or name the folder yourself.")
    return folder


def _quoted(path: Path) -> str:
    """Return a path as a TOML string. JSON's escapes are TOML's, but for DEL, which only TOML wants escaped."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SettingsError(f"{text!r} is not UTF-8 and cannot stand in a configuration file; rename it.") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
