"""`modelkeep status`: state, counts, and what is being hashed."""

import time
from typing import Annotated, Any

import typer

from modelkeep.cli.context import AsJson, Invocation, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, print_json

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


def _read(call: Invocation) -> dict[str, Any]:
    from modelkeep.cli.reading import open_reader

    # Opened anew each time: the daemon may be started or stopped while somebody watches.
    with open_reader(call.settings) as reader:
        status: dict[str, Any] = reader.get("/api/status")
        return status


def _watch(call: Invocation) -> None:
    from rich.live import Live

    from modelkeep.cli.status_view import one_line, status_view

    out = console()
    if not out.is_terminal:
        _watch_lines(call, one_line)
        return
    with Live(
        status_view(_read(call), out, call.command), console=out, auto_refresh=False, vertical_overflow="visible"
    ) as live:
        while True:
            time.sleep(_REDRAW_SECONDS)
            live.update(status_view(_read(call), out, call.command), refresh=True)


def _watch_lines(call: Invocation, one_line: Any) -> None:
    """Print a line whenever something changed: whoever reads is a file or a program."""
    last = ""
    while True:
        now = _read(call)
        line = f"{now['state']}: {one_line(now)}"
        if line != last:
            print(line, flush=True)
            last = line
        time.sleep(_REDRAW_SECONDS)
