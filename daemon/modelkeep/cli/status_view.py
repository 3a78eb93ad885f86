"""How the state of the daemon looks on a terminal. Pure: a status in the shape of `status --json` becomes a view."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from modelkeep.cli.output import facts, plain, table
from modelkeep.cli.wording import clean, count, duration, shortened, size

Command = Callable[..., str]

_STATE_STYLES = {"running": "bold green", "starting": "yellow", "paused": "yellow", "stopping": "yellow"}
_NEEDS_A_LOOK = (
    ("conflict", "conflict to decide", "conflicts to decide"),
    ("failed", "row failed and is tried again later", "rows failed and are tried again later"),
    ("missing", "row whose file is gone", "rows whose files are gone"),
)
_BAR_COLUMNS = 24
_NAME_COLUMNS = 48


def status_view(status: Mapping[str, Any], console: Console, command: Command) -> RenderableType:
    """Return everything that the owner wants to see at one glance.

    Args:
        status: in the shape of `status --json`.
        console: where it will be drawn; bars are for terminals.
        command: makes a command line for the user to type out of its words.
    """
    parts: list[RenderableType] = [_headline(status), facts(_counts(status))]
    if status["hashing"]["active"]:
        parts.append(_hashing(status["hashing"], bars=console.is_terminal))
    if status["watch"]["roots"]:
        parts.append(_roots(status["watch"]))
        parts += _reasons(status["watch"])
    parts += [
        Text(f"{trouble['part']}: {clean(trouble['error'])}", style="red") for trouble in status.get("troubles", ())
    ]
    parts += [Text(hint, style="cyan") for hint in hints(status, command)]
    return Group(*parts)


def one_line(status: Mapping[str, Any]) -> str:
    """Return the progress as one line, for an output that is no terminal."""
    pending, hashing = status["pending"], status["hashing"]
    words = [f"{count(status['models'], 'model')}, {pending['waiting']:,} waiting"]
    if hashing["active"]:
        words.append(f"hashing {len(hashing['active'])} at {size(speed(hashing))}/s")
    words += [f"{pending[state]:,} {state}" for state in ("conflict", "failed", "missing") if pending[state]]
    return ", ".join(words)


def speed(hashing: Mapping[str, Any]) -> float:
    """Return how many bytes a second all workers hash together."""
    return float(sum(file["bytes_per_s"] for file in hashing["active"]))


def seconds_left(hashing: Mapping[str, Any]) -> float | None:
    """Return the time until everything queued is hashed at the present speed, None when nothing moves."""
    now = speed(hashing)
    rest = sum(max(file["bytes_total"] - file["bytes_done"], 0) for file in hashing["active"])
    return (hashing["queued_bytes"] + rest) / now if now > 0 else None


def hints(status: Mapping[str, Any], command: Command) -> list[str]:
    """Return what the owner can do about what does not go on by itself."""
    pending = status["pending"]
    found = [
        f"{count(pending[state], one, many)}: {command('pending', 'list', '--state', state)}"
        for state, one, many in _NEEDS_A_LOOK
        if pending[state]
    ]
    if status["locations"]["unreachable"]:
        found.append("A root is out of reach; what is known of it stays. Mount it and it returns by itself.")
    if status["watch"]["overflows"]:
        found.append("The kernel dropped events; the folders were read again, so nothing is missed.")
    if status["paused"]:
        found.append(f"Paused: {command('resume')}")
    if status["state"] == "stopped":
        waits = pending["waiting"] + pending["hashing"]
        begin = f"{count(waits, 'file')} will be hashed by" if waits else "Start the daemon"
        found.append(f"{begin}: {command('run')}")
    return found


def _headline(status: Mapping[str, Any]) -> Text:
    state = str(status["state"])
    line = Text.assemble(
        ("modelkeep ", "bold"), plain(status["version"]), "  ", (state, _STATE_STYLES.get(state, "red"))
    )
    if status["pid"]:
        line.append(f"  pid {status['pid']}, up {duration(status['uptime_s'])}", style="dim")
    return line


def _counts(status: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    locations, hashing, journal = status["locations"], status["hashing"], status["journal"]
    known = [count(status["models"], "model"), count(status["images"], "picture"), count(status["tags"], "tag")]
    queued = count(hashing["queued"], "file")
    if hashing["queued"]:
        queued += f", {size(hashing['queued_bytes'])}"
    left = seconds_left(hashing)
    if left is not None:
        queued += f", about {duration(left)} left at {size(speed(hashing))}/s"
    return [
        ("catalogue", ", ".join(known)),
        ("locations", ", ".join(f"{locations[state]:,} {state}" for state in ("present", "missing", "unreachable"))),
        ("pending", _pending(status["pending"])),
        ("to hash", f"{queued} ({count(hashing['workers'], 'worker')})" if hashing["workers"] else queued),
        (
            "journal",
            f"{count(journal['seq'], 'record')}, {size(journal['bytes'])} in {count(journal['segments'], 'segment')}",
        ),
    ]


def _pending(pending: Mapping[str, int]) -> Text:
    line = Text(f"{pending['waiting']:,} waiting, {pending['hashing']:,} being hashed")
    for state, style in (("conflict", "yellow"), ("failed", "red"), ("missing", "yellow")):
        line.append(", ")
        line.append(f"{pending[state]:,} {state}", style=style if pending[state] else "")
    return line


def _hashing(hashing: Mapping[str, Any], *, bars: bool) -> RenderableType:
    made = table("being hashed", "", "done", "speed", "left", right=("done", "speed", "left"))
    for file in hashing["active"]:
        done, total, pace = file["bytes_done"], file["bytes_total"], file["bytes_per_s"]
        bar: RenderableType = ProgressBar(max(total, 1), done, width=_BAR_COLUMNS) if bars else ""
        made.add_row(
            Text(shortened(file["path"].rsplit("/", 1)[-1], _NAME_COLUMNS)),
            bar,
            f"{100 * done // max(total, 1)} % of {size(total)}",
            f"{size(pace)}/s",
            duration((total - done) / pace) if pace > 0 else "",
        )
    return made


def _reasons(watch: Mapping[str, Any]) -> list[RenderableType]:
    """Return why roots are not watched as they should be."""
    told = [root for root in watch["roots"] if root.get("reason")]
    return [Text(f"{clean(root['path'])}: {clean(root['reason'])}", style="yellow") for root in told]


def _roots(watch: Mapping[str, Any]) -> RenderableType:
    made = table("root", "state", "folders", right=("folders",))
    for root in watch["roots"]:
        good = root["state"] == "watching"
        made.add_row(
            plain(root["path"]), plain(root["state"], "green" if good else "yellow"), f"{root['directories']:,}"
        )
    return made
