"""`modelkeep run`: the daemon in the foreground."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from modelkeep.base.journald import leads_to_journald
from modelkeep.base.memory import keep_heap_small, leave_empty, leave_out, load_unready
from modelkeep.cli.context import Invocation, invocation
from modelkeep.cli.help import examples
from modelkeep.cli.root import program
from modelkeep.cli.wording import clean

if TYPE_CHECKING:
    from modelkeep.settings.model import Settings

EXAMPLES = examples("modelkeep run", "modelkeep --config /etc/modelkeep/modelkeep.toml run")


def run(context: typer.Context) -> None:
    """Run the daemon in the foreground (what systemd starts).

    Ctrl-C or SIGTERM stops it in order; SIGHUP reads the configuration again.
    """
    keep_heap_small()
    # structlog shows tracebacks with the first, FastAPI refuses models of the second, SQLAlchemy awaits by the third.
    leave_out("rich", "pydantic.v1", "greenlet")
    # A command line that starts workers, and pools in which nothing runs: 2 MB with what they load.
    leave_empty("uvicorn.main", "apscheduler.executors.pool")
    load_unready("fastapi")  # what it knows of OpenAPI takes 1.2 MB, and only who reads the description needs it
    from modelkeep.service.running import run_daemon

    call = invocation(context)
    describe(call.settings)
    if call.shows_demo:
        _say("No root is configured, so the root is the demo library that `make run` made.")
    raise typer.Exit(run_daemon(call.settings, announce=announcer(call)))


def describe(settings: "Settings") -> None:
    """Write to standard error what the daemon will work on."""
    roots = [f"{root.path}  ({root.type})" if root.type else root.path for root in settings.model_roots()]
    pairs = [
        ("configuration", str(settings.config_file) if settings.config_file else "none read, defaults"),
        ("data folder", str(settings.data_dir)),
        *(("root", root) for root in roots),
    ]
    for name, value in pairs:
        _say(f"{name:13}  {clean(value)}")
    if not roots:
        _say("No root is configured: nothing is watched. `modelkeep init --root DIR` writes a configuration.")


def announcer(call: Invocation) -> Callable[[str], None]:
    """Return what tells the user a sentence of the daemon, and after the first one where to look next."""
    announced: list[str] = []

    def announce(sentence: str) -> None:
        _say(f"modelkeep: {clean(sentence)}")
        if not announced and not leads_to_journald(sys.stderr):
            _say(f"next: {call.command('status', '--watch')}   or   {call.command('journal', '--follow')}")
        announced.append(sentence)

    return announce


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


app = program()
"""The program as far as the daemon needs it."""
app.command("run", epilog=EXAMPLES)(run)
