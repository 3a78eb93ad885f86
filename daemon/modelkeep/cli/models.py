"""`modelkeep models …`: the catalogue."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from modelkeep.cli.context import LIMIT_MAX, AsJson, invocation
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import clean, count
from modelkeep.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="The catalogue: every content that is known.")

_MOST_LISTED = 100


@app.command("list", epilog="modelkeep models list --type loras --tag anime")
def list_(
    context: typer.Context,
    type_: Annotated[str, typer.Option("--type", metavar="T", help="Only this type.")] = "",
    tag: Annotated[str, typer.Option("--tag", metavar="T", help="Only with this tag.")] = "",
    query: Annotated[str, typer.Option("--query", metavar="Q", help="Only whose name or path holds this.")] = "",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, max=LIMIT_MAX, metavar="N", help="0 = all (with --json the default)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the models."""
    from modelkeep.cli.models_view import models_table
    from modelkeep.cli.reading import open_reader

    most = limit if limit is not None else 0 if as_json else _MOST_LISTED
    with open_reader(invocation(context).settings) as reader:
        # One more than is shown tells whether there is more.
        rows = reader.models(type_=type_ or None, query=query, tag=tag, limit=most + 1 if most else 0)
    shown = rows[:most] if most else rows
    if as_json:
        print_json(shown)
        return
    out = console()
    if not shown:
        out.print("No model fits." if type_ or tag or query else "The catalogue is empty.")
        return
    out.print(models_table(shown))
    if len(rows) > len(shown):
        out.print(f"These are the first {len(shown)}; --limit 0 shows all.")


@app.command("show")
def show(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME|HASH|PATH", help="A hash may be cut to its first 6 digits.")],
    as_json: AsJson = False,
) -> None:
    """Show everything that is known about one model."""
    from modelkeep.cli.models_view import model_view, models_table
    from modelkeep.cli.reading import open_reader

    with open_reader(invocation(context).settings) as reader:
        found = reader.find_models(_as_path(model))
        details = reader.model(found[0]["sha256"]) if len(found) == 1 else None
    if details is None:
        if found:
            console(stderr=True).print(models_table(found))
        raise NotFound(_which(model, found))
    if as_json:
        print_json(details)
    else:
        console().print(model_view(details))


def _which(model: str, found: list[dict[str, Any]]) -> str:
    if not found:
        return (
            f"no model has the name, hash or path {clean(model)}; modelkeep models list --query finds parts of names"
        )
    return f"{count(len(found), 'model')} are meant by {clean(model)}; choose one by the beginning of its hash"


def _as_path(text: str) -> str:
    """Return a path as the catalogue knows it; a name or a hash stays as it is."""
    return os.path.abspath(text) if "/" in text or Path(text).is_file() else text  # noqa: PTH100 - links stay
