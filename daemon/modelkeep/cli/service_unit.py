"""What is particular to one machine in the unit of the service: a drop-in beside the unit that ships. Pure."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_HEAD = (
    "# Written by `modelkeep service install`, and again by each one; changes of yours belong in another drop-in.\n"
)
_HIDDEN = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is written there
"""Folders of which the service sees its own instead."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What a drop-in says.

    `command` is what is run, `writable` lists folders that the service may write besides what the unit allows, `host`
    is where the HTTP interface listens.
    """

    command: Sequence[str]
    roots: Sequence[str]
    writable: Sequence[str] = ()
    host: str = "127.0.0.1"


def drop_in(installed: Installation, may_be_away: Callable[[str], bool]) -> str:
    """Return the text of the drop-in.

    Args:
        installed: what is particular.
        may_be_away: whether the machine starts without the drive of a root; the service then does so too.
    """
    roots = [root for root in installed.roots if can_stand_in_unit(root)]
    hidden = [root for root in roots if is_hidden(root)]
    blocks = [
        _block(
            "Unit",
            "The drives of the roots are mounted first. Those that fstab calls nofail or noauto may come later.",
            [("RequiresMountsFor", root) for root in roots if not may_be_away(root)],
        ),
        _PROGRAM.format(_command(installed.command)),
        _lines("Roots are read-only, even where something else would make them writable.", "ReadOnlyPaths", roots),
        _lines("These roots lie where the service has folders of its own.", "BindReadOnlyPaths", hidden),
        _lines("What it keeps.", "ReadWritePaths", installed.writable, optional=False),
        "" if is_loopback(installed.host) else _OTHER_MACHINES,
    ]
    return _HEAD + "\n".join(block for block in blocks if block)


_PROGRAM = (
    "[Service]\n# This installation's own program, in the place of what the unit says.\nExecStart=\nExecStart={}\n"
)
_OTHER_MACHINES = "# `api.host` lets other machines in; the token says who may.\nIPAddressAllow=any\n"


def can_stand_in_unit(path: str) -> bool:
    """Return whether a path can be written in a unit; all others are read-only without being named."""
    return path.isprintable()


def is_hidden(path: str) -> bool:
    """Return whether a path lies where the service sees a folder of its own instead."""
    return any(Path(path).is_relative_to(folder) for folder in _HIDDEN)


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _block(section: str, why: str, values: Iterable[tuple[str, str]]) -> str:
    lines = [f"{key}={_quoted(value)}\n" for key, value in values]
    return f"[{section}]\n# {why}\n{''.join(lines)}" if lines else ""


def _lines(why: str, key: str, paths: Sequence[str], *, optional: bool = True) -> str:
    # A minus lets the service start without the folder.
    lines = [f"{key}={_quoted(path, '-' if optional else '')}\n" for path in paths]
    return f"# {why}\n{''.join(lines)}" if lines else ""


def _command(words: Iterable[str]) -> str:
    return " ".join(_quoted(word) for word in words).replace("$", "$$")


def _quoted(word: str, prefix: str = "") -> str:
    """Return a word as systemd.syntax(7) wants it; `%` would be a specifier."""
    text = prefix + word.replace("%", "%%")
    if text and not set(text) & set(" \t\"'\\;"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
