"""`modelkeep models …`: the catalogue."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelkeep.cli.context import AsJson, Limit, invocation
from modelkeep.cli.exits import WrongUse, complain
from modelkeep.cli.help import Group, examples
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import clean, count
from modelkeep.domain.requested import plain_path
from modelkeep.errors import ModelkeepError, NotFound

if TYPE_CHECKING:
    from modelkeep.cli.reading import Reader

app = typer.Typer(cls=Group, no_args_is_help=True, help="The catalogue: every content that is known.")

_MOST_LISTED = 100


@app.command(
    "list",
    epilog=examples("modelkeep models list --type loras --tag anime", "modelkeep models list --json"),
)
def list_(
    context: typer.Context,
    type_: Annotated[str, typer.Option("--type", metavar="T", help="Only this type.")] = "",
    tag: Annotated[str, typer.Option("--tag", metavar="T", help="Only with this tag.")] = "",
    query: Annotated[str, typer.Option("--query", metavar="Q", help="Only whose name or path holds this.")] = "",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the models."""
    from modelkeep.cli.models_view import models_table
    from modelkeep.cli.reading import open_reader

    most = limit if limit is not None else 0 if as_json else _MOST_LISTED
    with open_reader(invocation(context).settings) as reader:
        # One more than is shown tells whether there is more.
        rows = reader.rows(
            "/api/models", most + 1 if most else 0, type=type_ or None, q=query or None, tag=tag or None
        )
    shown = rows[:most] if most else rows
    if as_json:
        print_json(shown)
        return
    out = console()
    if not shown:
        out.print("No model fits." if type_ or tag or query else "The catalogue is empty.")
        return
    out.print(models_table(shown, out.width))
    if len(rows) > len(shown):
        out.print(f"These are the first {len(shown)}; --limit 0 shows all.")


@app.command("show", epilog=examples("modelkeep models show hero_v12", "modelkeep models show 0a1b2c3d --json"))
def show(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME|HASH|PATH", help="A hash may be cut to its first 6 digits.")],
    as_json: AsJson = False,
) -> None:
    """Show everything that is known about one model."""
    from modelkeep.cli.models_view import model_view
    from modelkeep.cli.reading import open_reader

    with open_reader(invocation(context).settings) as reader:
        details = _details(reader, the_one(reader, model))
    if as_json:
        print_json(details)
    else:
        console().print(model_view(details))


@app.command("find", epilog=examples("modelkeep models find hero", "modelkeep models find 0a1b2c3d"))
def find(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Name or a part of it, path, or a hash (6 digits).")],
    as_json: AsJson = False,
) -> None:
    """Find the models that a name, a path or a hash means."""
    from modelkeep.cli.models_view import models_table
    from modelkeep.cli.reading import open_reader

    with open_reader(invocation(context).settings) as reader:
        found = _meant_by(reader, text)
    if not found:
        raise NotFound(_which(text, found))
    if as_json:
        print_json(found)
    else:
        out = console()
        out.print(models_table(found, out.width))


@app.command("edit", epilog=examples("modelkeep models edit hero.safetensors --name Hero --description 'a hero'"))
def edit(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name, path, or a hash (6 digits or more).")],
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Its new name.")] = None,
    type_: Annotated[str | None, typer.Option("--type", metavar="T", help="Its type.")] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="D", help="What it is.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change what a model says; its file is not touched."""
    from modelkeep.cli.changing import edit_model
    from modelkeep.cli.reading import open_reader

    meta = None if description is None else {"description": description}
    wanted = {"name": name, "type": type_, "meta_json": meta}
    changes = {key: value for key, value in wanted.items() if value is not None}
    if not changes:
        raise WrongUse("name what to change: --name, --type or --description")
    settings = invocation(context).settings
    with open_reader(settings) as reader:
        known = reader.get("/api/models/{sha256}", sha256=the_one(reader, model))
    after = edit_model(settings, known, changes)
    if as_json:
        print_json(after)
    else:
        console().print(f"{clean(after['name'] or after['path'])} is changed.")


@app.command("inherit", epilog=examples("modelkeep models inherit hero_v12 0a1b2c3d"))
def inherit(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name, path, or a hash (6 digits or more).")],
    origin: Annotated[str, typer.Argument(metavar="FROM", help="The other model, likewise.")],
    as_json: AsJson = False,
) -> None:
    """Have a model take over what is known of the same weights under another header.

    Gaps are filled, tags unite and images follow its own; the other model keeps all that is known of it. When the
    file of the other is gone, this happens by itself, unless both say something different.
    """
    from modelkeep.cli.changing import inherit as take_over
    from modelkeep.cli.reading import open_reader

    settings = invocation(context).settings
    with open_reader(settings) as reader:
        hashes = [the_one(reader, named) for named in (model, origin)]
    take_over(settings, *hashes)
    with open_reader(settings) as reader:
        after = _details(reader, hashes[0])
    if as_json:
        print_json(after)
    else:
        known = after["model"]
        console().print(f"{clean(known['name'] or known['path'])} has taken over what was known of the other.")


@app.command("confirm", epilog=examples("modelkeep models confirm hero_v12"))
def confirm(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name, path, or a hash (6 digits or more).")],
    as_json: AsJson = False,
) -> None:
    """Read a model's file for its BLAKE3, and hold what other tools claim against it.

    ComfyUI, InvokeAI and Stability Matrix know files by it; all other digests are known from the first reading.
    """
    from modelkeep.cli.changing import confirm as read_again
    from modelkeep.cli.models_view import confirmed_lines
    from modelkeep.cli.reading import open_reader

    settings = invocation(context).settings
    with open_reader(settings) as reader:
        sha256 = the_one(reader, model)
    read_again(settings, sha256)
    with open_reader(settings) as reader:
        after = _details(reader, sha256)
    if as_json:
        print_json(after)
    else:
        for line in confirmed_lines(after):
            console().print(line)


@app.command(
    "purge",
    epilog=examples("modelkeep models purge old-style", "modelkeep models purge 0a1b2c3d --yes"),
)
def purge(
    context: typer.Context,
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Name, path, or a hash, which may be cut to 6 digits.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget models whose files are gone, with all that is known.

    Tags and images go with them. No model file is touched, and a model with a file is not forgotten.
    """
    from modelkeep.cli.changing import purge_models
    from modelkeep.cli.models_view import purged_lines
    from modelkeep.cli.reading import open_reader

    if not yes and not sys.stdin.isatty():
        raise WrongUse("forgetting a model asks first, and there is no terminal to ask at: add --yes")
    settings = invocation(context).settings
    with open_reader(settings) as reader:
        hashes = dict.fromkeys(the_one(reader, model) for model in models)
        known = {sha256: _details(reader, sha256) for sha256 in hashes}
    if not yes:
        _ask_to_purge(list(known.values()))
    failures = purge_models(settings, list(known))
    purged = [details for sha256, details in known.items() if sha256 not in failures]
    if as_json:
        print_json(_purge_report(purged, known, failures))
    else:
        for line in purged_lines(purged):
            console().print(line)
    errors = list(failures.values())
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]


def _ask_to_purge(known: list[dict[str, Any]]) -> None:
    from modelkeep.cli.models_view import purge_table

    console(stderr=True).print(purge_table(known))
    typer.confirm(f"Forget {count(len(known), 'model')} with all that is known?", abort=True, err=True)


def _purge_report(
    purged: list[dict[str, Any]], known: Mapping[str, dict[str, Any]], failures: Mapping[str, ModelkeepError]
) -> dict[str, Any]:
    return {
        "purged": [_named(details) for details in purged],
        "kept": [_named(known[sha256]) | {"error": str(error)} for sha256, error in failures.items()],
    }


def _named(details: Mapping[str, Any]) -> dict[str, Any]:
    return {key: details["model"][key] for key in ("sha256", "name", "path")}


def _details(reader: "Reader", sha256: str) -> dict[str, Any]:
    details: dict[str, Any] = reader.get("/api/models/{sha256}/details", sha256=sha256)
    return details


def the_one(reader: "Reader", model: str) -> str:
    """Return the hash of the one model that is meant."""
    from modelkeep.cli.models_view import models_table

    found = _meant_by(reader, model)
    if len(found) != 1:
        if found:
            out = console(stderr=True)
            out.print(models_table(found, out.width))
        raise NotFound(_which(model, found))
    sha256: str = found[0]["sha256"]
    return sha256


def _meant_by(reader: "Reader", text: str) -> list[dict[str, Any]]:
    if not text:
        raise WrongUse("an empty text means no model; name it, its path, or the beginning of its hash")
    found: list[dict[str, Any]] = reader.get("/api/models/find", q=_as_path(text))["models"]
    return found


def _which(model: str, found: list[dict[str, Any]]) -> str:
    if not found:
        return (
            f"no model has the name, hash or path {clean(model)}; modelkeep models list --query finds parts of names"
        )
    return f"{count(len(found), 'model')} are meant by {clean(model)}; choose one by the beginning of its hash"


def _as_path(text: str) -> str:
    """Return a path as the catalogue knows it; a name or a hash stays as it is."""
    return plain_path(str(Path(text).absolute())) if "/" in text or Path(text).is_file() else text
