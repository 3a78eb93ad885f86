"""`modelkeep tags …` and `modelkeep tag`: what models and rows of the queue carry."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelkeep.cli.context import AsJson, Invocation, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import Group, examples
from modelkeep.cli.models import the_one
from modelkeep.cli.output import console, named, plain, print_json, table
from modelkeep.cli.wording import called, clean, count
from modelkeep.domain.tag_acts import COLOR
from modelkeep.errors import NotFound

if TYPE_CHECKING:
    from modelkeep.cli.reading import Reader

app = typer.Typer(cls=Group, no_args_is_help=True, help="Tags: what models carry.")

TAG_EXAMPLES = examples(
    "modelkeep tag hero.safetensors favourite anime", "modelkeep tag hero.safetensors anime --remove"
)

TagText = Annotated[str, typer.Argument(metavar="TAG", help="Its name, or its number.")]


@app.command("list", epilog=examples("modelkeep tags list"))
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the tags, and how many models and rows of the queue carry each."""
    from modelkeep.cli.reading import open_reader

    with open_reader(invocation(context).settings) as reader:
        known = _all(reader)
    if as_json:
        print_json(known)
        return
    if not known:
        console().print("There is no tag yet.")
        return
    shown = table("number", "name", "colour", "models", "pending", right=("number", "models", "pending"))
    for tag in known:
        counts = (str(tag["models"]), str(tag["pending"]))
        shown.add_row(str(tag["id"]), named(tag["name"]), plain(tag["color"]), *counts)
    console().print(shown)


@app.command("add", epilog=examples("modelkeep tags add favourite 'to sort'"))
def add(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="One that there is stays as it is.")],
    as_json: AsJson = False,
) -> None:
    """Make tags."""
    from modelkeep.cli.changing import add_tags

    made = add_tags(invocation(context).settings, _names(names))
    if as_json:
        print_json(made)
        return
    for tag in made:
        console().print(f"Tag {tag['id']} is called {clean(tag['name'])}.")


@app.command("rename", epilog=examples("modelkeep tags rename favorite favourite --color '#ffcc00'"))
def rename(
    context: typer.Context,
    tag: TagText,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
    color: Annotated[
        str | None, typer.Option("--color", metavar="C", help="#rrggbb, or the name of a colour.")
    ] = None,
) -> None:
    """Give a tag another name; whatever carries it goes on carrying it."""
    from modelkeep.cli.changing import change_tag

    (wanted,) = _names([name])
    if color is not None and not COLOR.fullmatch(color):
        raise WrongUse(f"--color {clean(color)}: neither #rrggbb nor the name of a colour")
    call = invocation(context)
    known = _find(call, [tag])[0]
    change_tag(call.settings, known["id"], wanted, color)
    console().print(f"Tag {known['id']} is called {clean(wanted)} now.")


@app.command("remove", epilog=examples("modelkeep tags remove 'to sort' --yes"))
def remove(
    context: typer.Context,
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="Names, or numbers.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete tags; what carried them loses them."""
    from modelkeep.cli.changing import remove_tags

    call = invocation(context)
    known = _find(call, tags)
    carried = [tag for tag in known if tag["models"] or tag["pending"]]
    if carried and not yes:
        _ask_to_remove(carried)
    remove_tags(call.settings, [tag["id"] for tag in known])
    for tag in known:
        console().print(f"{clean(tag['name'])} is gone; {count(tag['models'], 'model')} carried it.")


def tag(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name, path, or a hash (6 digits or more).")],
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Tags; those that there are not are made.")],
    remove: Annotated[bool, typer.Option("--remove", "-r", help="Take them off the model.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put tags on a model, or take them off it."""
    from modelkeep.cli.changing import add_tags, edit_model
    from modelkeep.cli.reading import open_reader

    settings, wanted = invocation(context).settings, _names(names)
    with open_reader(settings) as reader:
        known = reader.get("/api/models/{sha256}", sha256=the_one(reader, model))
    carried = {each["name"]: each["id"] for each in known["tags"]}
    if remove:
        _require_carried(known, wanted)
        ids = [tag_id for name, tag_id in carried.items() if name not in wanted]
    else:
        ids = list({*carried.values(), *(made["id"] for made in add_tags(settings, wanted))})
    after = edit_model(settings, known, {"tags": ids})
    if as_json:
        print_json(after)
        return
    shown = ", ".join(clean(each["name"]) for each in after["tags"])
    console().print(f"{clean(called(after['name'], after['path']))}: {shown or 'no tag'}")


def _all(reader: "Reader") -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = reader.get("/api/tags/details")["tags"]
    return known


def _find(call: Invocation, texts: list[str]) -> list[dict[str, Any]]:
    """Return the tags that are meant, each once."""
    from modelkeep.cli.reading import open_reader

    with open_reader(call.settings) as reader:
        known = _all(reader)
    found = {str(tag["id"]): tag for tag in known} | {tag["name"]: tag for tag in known}
    for text in texts:
        if text not in found:
            raise NotFound(f"there is no tag {clean(text)}; modelkeep tags list shows all")
    return list({found[text]["id"]: found[text] for text in texts}.values())


def _names(names: list[str]) -> list[str]:
    if not all(name.strip() for name in names):
        raise WrongUse("a tag needs a name")
    return names


def _require_carried(model: dict[str, Any], names: list[str]) -> None:
    missing = set(names) - {tag["name"] for tag in model["tags"]}
    if missing:
        raise NotFound(f"{clean(called(model['name'], model['path']))} does not carry the tag {clean(min(missing))}")


def _ask_to_remove(carried: list[dict[str, Any]]) -> None:
    told = ", ".join(f"{clean(tag['name'])} ({count(tag['models'], 'model')})" for tag in carried)
    if not sys.stdin.isatty():
        raise WrongUse(f"these are carried: {told}; there is no terminal to ask at: add --yes")
    typer.confirm(f"Delete {told}?", abort=True, err=True)
