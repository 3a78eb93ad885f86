"""How the state of the daemon looks on a terminal. Pure: a status in the shape of `status --json` becomes a view."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from modelkeep.cli.output import facts, plain, table
from modelkeep.cli.wording import clean, count, duration, size
from modelkeep.domain.naming import in_brief

Command = Callable[..., str]

_STATE_STYLES = {"running": "bold green", "starting": "yellow", "paused": "yellow", "stopping": "yellow"}
_NEEDS_A_LOOK = (
    ("conflict", "conflict to decide", "conflicts to decide"),
    ("failed", "row failed and is tried again later", "rows failed and are tried again later"),
    ("missing", "row whose file is gone", "rows whose files are gone"),
)
_BAR_COLUMNS = 16
_NEWEST_SHARE = 0.2
_NAME_COLUMNS = 48


class Pace:
    """How the queue is worked off while somebody watches: at which speed lately, and how much there was to do.

    The speed of one moment jumps with every file that ends; a time left that is made of it does so too.
    """

    def __init__(self) -> None:
        self.bytes_per_s = 0.0
        self.most_bytes = 0

    def take(self, hashing: Mapping[str, Any]) -> None:
        """Take the state of this moment into account."""
        rest, now = bytes_left(hashing), speed(hashing)
        if not rest:
            self.bytes_per_s, self.most_bytes = 0.0, 0
            return
        self.most_bytes = max(self.most_bytes, rest)
        self.bytes_per_s = (
            now if not self.bytes_per_s else (1 - _NEWEST_SHARE) * self.bytes_per_s + _NEWEST_SHARE * now
        )


def status_view(
    status: Mapping[str, Any], console: Console, command: Command, pace: Pace | None = None
) -> RenderableType:
    """Return everything that the owner wants to see at one glance.

    Args:
        status: in the shape of `status --json`.
        console: where it will be drawn; bars are for terminals.
        command: makes a command line for the user to type out of its words.
        pace: of the hashing, if somebody has been watching.
    """
    parts: list[RenderableType] = [_headline(status), facts(_counts(status, pace))]
    if status["hashing"]["active"]:
        parts += ["", _hashing(status["hashing"], pace, bars=console.is_terminal)]
    if status["watch"]["roots"]:
        parts += ["", _roots(status["watch"]), ""]
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


def bytes_left(hashing: Mapping[str, Any]) -> int:
    """Return how much of everything queued is not hashed yet."""
    return int(
        hashing["queued_bytes"] + sum(max(file["bytes_total"] - file["bytes_done"], 0) for file in hashing["active"])
    )


def seconds_left(hashing: Mapping[str, Any], bytes_per_s: float | None = None) -> float | None:
    """Return the time until everything queued is hashed, None when nothing moves; at the present speed or another."""
    now = speed(hashing) if bytes_per_s is None else bytes_per_s
    return bytes_left(hashing) / now if now > 0 else None


def hints(status: Mapping[str, Any], command: Command) -> list[str]:
    """Return what the owner can do about what does not go on by itself."""
    pending = status["pending"]
    found = [
        f"{count(pending[state], one, many)}: {command('pending', 'list', '--state', state)}"
        for state, one, many in _NEEDS_A_LOOK
        if pending[state]
    ]
    if any(root["state"] == "unreachable" for root in status["watch"]["roots"]):
        found.append("A root is unreachable; what is known of it stays. Mount it and it returns by itself.")
    elif status["locations"]["unreachable"]:
        files = count(status["locations"]["unreachable"], "unreachable file")
        found.append(f"{files}: on a drive that is away, or in no configured root. What is known of them stays.")
    if status["watch"]["overflows"]:
        found.append("The kernel dropped events; the folders were scanned again, so nothing is missed.")
    reason = status["hashing"].get("stepped_back")  # a daemon of before an update does not tell it
    if reason:
        found.append(f"Hashing steps back, one file or batch at a time, for {reason}.")
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


def _counts(status: Mapping[str, Any], pace: Pace | None) -> list[tuple[str, RenderableType]]:
    locations, hashing, journal = status["locations"], status["hashing"], status["journal"]
    known = [count(status["models"], "model"), count(status["images"], "image"), count(status["tags"], "tag")]
    queued = count(hashing["queued"], "file")
    if hashing["queued"]:
        queued += f", {size(hashing['queued_bytes'])}"
    now = pace.bytes_per_s if pace else speed(hashing)
    left = seconds_left(hashing, now)
    if left is not None:
        queued += f", about {duration(left)} left at {size(now)}/s"
    return [
        ("catalogue", ", ".join(known)),
        ("locations", ", ".join(f"{locations[state]:,} {state}" for state in ("present", "missing", "unreachable"))),
        ("pending", _pending(status["pending"])),
        ("to hash", f"{queued} ({_means(hashing)})" if hashing["workers"] else queued),
        (
            "journal",
            f"{count(journal['seq'], 'record')}, {size(journal['bytes'])} in {count(journal['segments'], 'segment')}",
        ),
    ]


def _means(hashing: Mapping[str, Any]) -> str:
    """Return what hashes; an older daemon does not tell how."""
    return ": ".join(filter(None, (count(hashing["workers"], "worker"), hashing.get("implementation", ""))))


def _pending(pending: Mapping[str, int]) -> Text:
    line = Text(f"{pending['waiting']:,} waiting, {pending['hashing']:,} being hashed")
    for state, style in (("conflict", "yellow"), ("failed", "red"), ("missing", "yellow")):
        line.append(", ")
        line.append(f"{pending[state]:,} {state}", style=style if pending[state] else "")
    return line


def _hashing(hashing: Mapping[str, Any], pace: Pace | None, *, bars: bool) -> RenderableType:
    made = table("being hashed", "", "done", "speed", "left", right=("done", "speed", "left"))
    for column in made.columns[1:]:
        column.no_wrap = True
    for file in hashing["active"]:
        name = clean(file["path"].rsplit("/", 1)[-1])
        _add_bar(made, name, file["bytes_done"], file["bytes_total"], file["bytes_per_s"], bars=bars)
    if pace and pace.most_bytes and hashing["queued"]:
        left = bytes_left(hashing)
        _add_bar(made, "all together", pace.most_bytes - left, pace.most_bytes, pace.bytes_per_s, bars=bars)
    return made


def _add_bar(made: Table, name: str, done: int, total: int, bytes_per_s: float, *, bars: bool) -> None:
    bar: RenderableType = ProgressBar(max(total, 1), done, width=_BAR_COLUMNS) if bars else ""
    made.add_row(
        Text(in_brief(name, _NAME_COLUMNS), no_wrap=True, overflow="ellipsis"),
        bar,
        f"{100 * done // max(total, 1)} % of {size(total)}",
        f"{size(bytes_per_s)}/s",
        duration((total - done) / bytes_per_s) if bytes_per_s > 0 else "",
    )


def _reasons(watch: Mapping[str, Any]) -> list[RenderableType]:
    """Return why roots are not watched as they should be."""
    reasons = [root for root in watch["roots"] if root.get("reason")]
    return [Text(f"{clean(root['path'])}: {clean(root['reason'])}", style="yellow") for root in reasons]


def _roots(watch: Mapping[str, Any]) -> RenderableType:
    made = table("root", "state", "folders", right=("folders",))
    for root in watch["roots"]:
        good = root["state"] == "watching"
        made.add_row(
            plain(root["path"]), plain(root["state"], "green" if good else "yellow"), f"{root['directories']:,}"
        )
    return made
