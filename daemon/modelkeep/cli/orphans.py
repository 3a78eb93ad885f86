"""`modelkeep orphans …`: what other tools know of models that are not here, or not under the name that they had."""

from typing import Annotated

import typer

from modelkeep.cli.context import AsJson, Limit, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import Group, examples
from modelkeep.cli.models import the_one
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import count

app = typer.Typer(cls=Group, no_args_is_help=True, help="Sidecars whose model is not here, or has another name now.")

OrphanId = Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.", min=1)]


@app.command("list", epilog=examples("modelkeep orphans list"))
def list_(context: typer.Context, limit: Limit = None, as_json: AsJson = False) -> None:
    """List sidecars without a model, and the models that each may belong to."""
    from modelkeep.cli.reading import open_reader
    from modelkeep.cli.sources_view import orphans_table

    with open_reader(invocation(context).settings) as reader:
        found = reader.rows("/api/orphans", limit or 0)
    if as_json:
        print_json(found)
    elif found:
        console().print(orphans_table(found))
    else:
        console().print("Every sidecar that is known has its model.")


@app.command("show", epilog=examples("modelkeep orphans show 12"))
def show(context: typer.Context, orphan: OrphanId, as_json: AsJson = False) -> None:
    """Show all that a sidecar without a model says, and the models that it may belong to."""
    from modelkeep.cli.reading import open_reader
    from modelkeep.cli.sources_view import orphan_view

    with open_reader(invocation(context).settings) as reader:
        found = reader.get("/api/orphans/{record_id}", record_id=orphan)
    if as_json:
        print_json(found)
    else:
        console().print(orphan_view(found))


@app.command(
    "resolve",
    epilog=examples(
        "modelkeep orphans resolve 12 --model hero.safetensors", "modelkeep orphans resolve 12 13 --drop"
    ),
)
def resolve(
    context: typer.Context,
    orphans: Annotated[list[int], typer.Argument(metavar="ID", help="Numbers in the list.", min=1)],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|HASH|PATH", help="The model that they belong to.")
    ] = "",
    drop: Annotated[bool, typer.Option("--drop", help="They belong to none; their files stay.")] = False,
) -> None:
    """Give sidecars to a model, or drop them: all of them, or nothing. No file is touched."""
    from modelkeep.cli.changing import resolve_orphans
    from modelkeep.cli.reading import open_reader

    if bool(model) == drop:
        raise WrongUse("say what becomes of them: either --model MODEL or --drop")
    settings = invocation(context).settings
    sha256 = ""
    if model:
        with open_reader(settings) as reader:
            sha256 = the_one(reader, model)
    resolve_orphans(settings, list(dict.fromkeys(orphans)), sha256)
    done = f"given to {sha256[:12]}" if sha256 else "dropped"
    console().print(f"{count(len(set(orphans)), 'sidecar')} {done}.")
