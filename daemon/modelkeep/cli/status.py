"""`modelkeep status`: state, counts, and what is being hashed."""

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from modelkeep.cli.context import AsJson, Invocation, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import clean
from modelkeep.errors import CatalogueError, DaemonError

EXAMPLES = examples("modelkeep status", "modelkeep status --watch", "modelkeep status --json")

_REDRAW_SECONDS = 0.5


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Keep it up to date until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the daemon does, what waits and what needs you."""
    from modelkeep.cli.status_view import status_view

    call = invocation(context)
    if watch and as_json:
        raise WrongUse("--watch draws for people; ask for `status --json` as often as you like")
    if watch:
        _watch(call)
    elif as_json:
        print_json(_read(call))
    else:
        out = console()
        out.print(status_view(_read(call), out, call.command))


def _read(call: Invocation, *, again: bool = False) -> dict[str, Any]:
    from modelkeep.cli.reading import open_reader

    # Opened anew each time: the daemon may be started or stopped while somebody watches.
    with open_reader(call.settings, warns=not again) as reader:
        status: dict[str, Any] = reader.get("/api/status")
        return status


def _watch(call: Invocation) -> None:
    from rich.live import Live

    from modelkeep.cli.status_view import Pace, status_view

    out = console()
    if not out.is_terminal:
        _watch_lines(call)
        return
    pace = Pace()
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as live:
        for status in _statuses(call):
            if isinstance(status, str):
                live.update(Text(clean(status), style="yellow"), refresh=True)
                continue
            pace.take(status["hashing"])
            live.update(status_view(status, out, call.command, pace), refresh=True)


def _watch_lines(call: Invocation) -> None:
    """Print a line whenever something changed: whoever reads is a file or a program."""
    from modelkeep.cli.status_view import one_line

    last = ""
    for status in _statuses(call):
        line = status if isinstance(status, str) else f"{status['state']}: {one_line(status)}"
        if line != last:
            print(clean(line), flush=True)
            last = line


def _statuses(call: Invocation) -> Iterator[dict[str, Any] | str]:
    """Yield the status again and again, or why there is none at this moment; the first time that is raised."""
    yield _read(call)
    while True:
        time.sleep(_REDRAW_SECONDS)
        try:
            yield _read(call, again=True)
        except (DaemonError, CatalogueError) as error:  # it may be starting, stopping, or busy
            yield str(error)
