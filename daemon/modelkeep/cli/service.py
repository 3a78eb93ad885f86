"""`modelkeep service`: put the systemd unit in place, start it, look at it, take it away again."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from modelkeep.cli.context import AsJson, Invocation, invocation
from modelkeep.cli.exits import Refused, Status, WrongUse
from modelkeep.cli.help import Group, examples
from modelkeep.cli.output import console, facts, print_json
from modelkeep.cli.service_place import UNIT, Place, place_of, require_systemd
from modelkeep.cli.wording import clean, count, size

app = typer.Typer(cls=Group, no_args_is_help=True, help="Have systemd run the daemon.")

_User = Annotated[bool, typer.Option("--user", help="Your own service; the default, but for root.")]
_System = Annotated[bool, typer.Option("--system", help="The machine's service, with a user of its own; for root.")]

_SHOWN = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "StatusText",
    "MainPID",
    "NRestarts",
    "ActiveEnterTimestamp",
    "MemoryCurrent",
)


@app.command(
    "install",
    epilog=examples(
        "modelkeep service install",
        "modelkeep --config FILE service install --system",
    ),
)
def install(context: typer.Context, user: _User = False, system: _System = False) -> None:
    """Put the unit in place, enable and start it.

    It is made for the roots that are configured. Done again, it brings the unit up to date.
    """
    from modelkeep.cli.service_install import install_service

    place = _place(user, system)
    install_service(invocation(context), place, console())


@app.command("uninstall", epilog=examples("modelkeep service uninstall"))
def uninstall(user: _User = False, system: _System = False) -> None:
    """Stop the service and remove its unit.

    Configuration, catalogue, images and journal stay where they are.
    """
    from modelkeep.cli.service_install import uninstall_service

    uninstall_service(_place(user, system), console())


@app.command("status", epilog=examples("modelkeep service status", "modelkeep service status --system --json"))
def status(context: typer.Context, user: _User = False, system: _System = False, as_json: AsJson = False) -> None:
    """Show what systemd knows of the service.

    The exit status is 3 when it does not run.
    """
    place = _place(user, system, changes=False)
    known = place.properties(*_SHOWN)
    runs = known["ActiveState"] in ("active", "reloading")
    if as_json:
        print_json(_document(place, known))
    else:
        _show(place, known, invocation(context), console())
    if not runs:
        raise typer.Exit(Status.NOT_RUNNING)


def _place(user: bool, system: bool, *, changes: bool = True) -> Place:
    if user and system:
        raise WrongUse("--user and --system exclude each other")
    require_systemd()
    place = place_of(system or (not user and os.geteuid() == 0))
    if changes and place.is_system and os.geteuid() != 0:
        raise Refused("the system's services are root's to change: run it with sudo, or with --user for your own")
    return place


def _document(place: Place, known: dict[str, str]) -> dict[str, Any]:
    return {
        "service": place.name,
        "installed": known["LoadState"] == "loaded",
        "enabled": known["UnitFileState"] == "enabled",
        "state": known["ActiveState"],
        "result": known["Result"],
        "status": known["StatusText"],
        "pid": int(known["MainPID"] or 0),
        "restarts": int(known["NRestarts"] or 0),
        "since": known["ActiveEnterTimestamp"],
        "memory_bytes": int(known["MemoryCurrent"]) if known["MemoryCurrent"].isdigit() else None,
    }


def _show(place: Place, known: dict[str, str], call: Invocation, out: Console) -> None:
    shown = _document(place, known)
    if not shown["installed"]:
        out.print(f"No {place.name} service is installed: {call.command('service', 'install', f'--{place.name}')}")
        return
    about = f", {known['Result']}" if known["Result"] not in ("", "success") else ""
    memory = shown["memory_bytes"]
    out.print(
        facts(
            [
                ("service", f"{place.name}, {known['UnitFileState']}"),
                ("state", f"{known['ActiveState']} ({known['SubState']}{about})"),
                ("since", known["ActiveEnterTimestamp"] if shown["pid"] else ""),
                ("doing", clean(known["StatusText"]) if shown["pid"] else ""),
                ("process", str(shown["pid"] or "")),
                ("memory", size(memory) if memory is not None else ""),
                ("restarts", count(shown["restarts"], "restart") if shown["restarts"] else ""),
                ("unit", clean(place.unit)),
            ]
        )
    )
    out.print(f"its log: {log_command(place)}", style="cyan")


def log_command(place: Place) -> str:
    """Return the command that shows the service's log."""
    return f"journalctl {'--user ' if not place.is_system else ''}-u {Path(UNIT).stem}"
