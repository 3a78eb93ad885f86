"""`modelkeep pending …`: the queue of what is not hashed yet, and the conflicts that wait for the owner."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelkeep.cli.context import ROW_ID_MAX, AsJson, Invocation, Limit, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import Group, examples
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import clean, count
from modelkeep.domain.requested import plain_path
from modelkeep.domain.values import PendingState, Strategy
from modelkeep.errors import NotFound

app = typer.Typer(cls=Group, no_args_is_help=True, help="The queue: what is not hashed yet, and conflicts to decide.")

_MOST_LISTED = 100
_CHOICES = (Strategy.MERGE, Strategy.OVERRIDE, Strategy.DELETE, Strategy.IGNORE)


def _possible(rows: int | list[int] | None) -> int | list[int] | None:
    """Say of a number that no row can have what is said of any other that none has."""
    for row in [rows] if isinstance(rows, int) else rows or []:
        if not 1 <= row <= ROW_ID_MAX:
            raise NotFound(f"there is no row {row} in the queue")
    return rows


RowId = Annotated[int, typer.Argument(metavar="ID", callback=_possible, help="Its number in `pending list`.")]


def _states() -> list[str]:
    return [state.value for state in PendingState]


def _strategies() -> list[str]:
    return [choice.value for choice in _CHOICES]


@app.command("list", epilog=examples("modelkeep pending list", "modelkeep pending list --state conflict"))
def list_(
    context: typer.Context,
    state: Annotated[
        str, typer.Option("--state", metavar="|".join(_states()), help="Only this state.", autocompletion=_states)
    ] = "",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the rows of the queue."""
    from modelkeep.cli.pending_view import pending_table
    from modelkeep.cli.reading import open_reader

    if state and state not in _states():
        raise WrongUse(f"--state {state}: the states are {', '.join(_states())}")
    most = limit if limit is not None else 0 if as_json else _MOST_LISTED
    with open_reader(invocation(context).settings) as reader:
        # One more than is shown tells whether there is more.
        rows = reader.rows("/api/pending", most + 1 if most else 0, state=state or None)
    shown = rows[:most] if most else rows
    if as_json:
        print_json(shown)
        return
    out = console()
    if not shown:
        out.print(f"Nothing is {state}." if state else "The queue is empty.")
        return
    out.print(pending_table(shown))
    if len(rows) > len(shown):
        out.print(f"These are the first {len(shown)}; --limit 0 shows all.")


@app.command("show", epilog=examples("modelkeep pending show 12", "modelkeep pending show 12 --json"))
def show(context: typer.Context, row: RowId, as_json: AsJson = False) -> None:
    """Show a row, beside the model that has its content.

    For a conflict it says what each strategy would do.
    """
    from modelkeep.base.clock import now_ms
    from modelkeep.cli.pending_view import both_sides, how_to_resolve
    from modelkeep.cli.reading import open_reader

    call = invocation(context)
    with open_reader(call.settings) as reader:
        details = reader.get("/api/pending/{pending_id}", pending_id=row)
    if as_json:
        print_json(details)
        return
    out = console()
    out.print(both_sides(details, now_ms()))
    if details["pending"]["state"] == PendingState.CONFLICT:
        out.print(how_to_resolve(details, call.command))


@app.command("retry", epilog=examples("modelkeep pending retry 12 13", "modelkeep pending retry --all"))
def retry(
    context: typer.Context,
    rows: Annotated[
        list[int] | None, typer.Argument(metavar="ID", callback=_possible, help="Rows to try again.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Try rows again now that failed or whose file was gone."""
    if bool(rows) == everything:
        raise WrongUse("name the rows to try again, or --all for every row that failed or whose file was gone")
    from modelkeep.cli.changing import retry_rows

    number = retry_rows(invocation(context).settings, rows or None)
    console().print(f"{count(number, 'row')} will be tried again.")


@app.command(
    "resolve",
    epilog=examples(
        "modelkeep pending resolve 12 --strategy merge",
        "modelkeep pending resolve 12 13 14 --strategy override",
        "modelkeep pending resolve --all --strategy merge",
        "modelkeep pending resolve 12 --at /srv/models/new.ckpt",
    ),
)
def resolve(
    context: typer.Context,
    rows: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID", callback=_possible, help="Their numbers in `pending list`."),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            metavar="|".join(_strategies()),
            help="How to decide.",
            autocompletion=_strategies,
        ),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every row in conflict.")] = False,
    at: Annotated[
        Path | None,
        typer.Option("--at", metavar="PATH", help="Where the file of one row is now."),
    ] = None,
) -> None:
    """Decide conflicts, or say where a missing file is now.

    merge fills what the model does not have; override puts the row's values in their place; delete drops the row;
    ignore leaves both as they are. `modelkeep pending show ID` says beforehand what each would do.
    """
    from modelkeep.cli.resolving import resolve_many, resolve_one

    if bool(rows) == everything:
        raise WrongUse("name the rows to decide, or --all for every row in conflict")
    if not strategy and at is None:
        raise WrongUse(f"add --strategy {'|'.join(_strategies())}, or --at PATH for a file that is elsewhere now")
    if strategy and strategy not in _strategies():
        raise WrongUse(f"--strategy {strategy}: the strategies are {', '.join(_strategies())}")
    if at is not None and (rows is None or len(rows) != 1):
        raise WrongUse("--at is for one row; name that row alone")
    call = invocation(context)
    path = plain_path(str(at.absolute())) if at is not None else ""
    if rows and len(rows) == 1:
        resolve_one(call, rows[0], strategy, path)
    else:
        resolve_many(call, rows, strategy)


@app.command("drop", epilog=examples("modelkeep pending drop 12", "modelkeep pending drop 12 --yes"))
def drop(
    context: typer.Context,
    row: RowId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a row and its image; its file is not touched."""
    call = invocation(context)
    if not yes:
        _ask(call, row)
    from modelkeep.cli.changing import drop_row

    drop_row(call.settings, row)
    console().print(f"Row {row} is dropped. If its file is in a root, it comes back without what was known of it.")
    console().print("What an import knew of it can be had again: repeat that import with --again.")


def _ask(call: Invocation, row: int) -> None:
    from modelkeep.cli.reading import open_reader

    if not sys.stdin.isatty():
        raise WrongUse("dropping a row asks first, and there is no terminal to ask at: add --yes")
    with open_reader(call.settings) as reader:
        pending = reader.get("/api/pending/{pending_id}", pending_id=row)["pending"]
    known = count(len(pending["tags"]), "tag")
    typer.confirm(f"Forget row {row}, {clean(pending['path'])}, with {known} and what is known of it?", abort=True)
