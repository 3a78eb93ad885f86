"""`modelkeep dev …`: stand-ins for trying everything without terabytes of models."""

from pathlib import Path
from typing import Annotated

import typer

from modelkeep.cli.context import invocation
from modelkeep.cli.exits import terminated_in_order
from modelkeep.cli.help import Group, examples
from modelkeep.cli.output import console, facts, plain, table
from modelkeep.cli.wording import clean, count

app = typer.Typer(cls=Group, no_args_is_help=True, help="For developing and trying: shadow files, a demo library.")

_LEGACY_KIND = "hikaze"
_MOST_LISTED = 50


@app.command("shadow", epilog=examples("modelkeep dev shadow hikaze_mm.sqlite3 /tmp/shadows"))
def shadow(
    legacy_db: Annotated[Path, typer.Argument(metavar="LEGACY_DB", help="The old database; it is only read.")],
    out_folder: Annotated[Path, typer.Argument(metavar="OUT", help="Where to put the shadow files.")],
    salt: Annotated[bool, typer.Option("--salt", help="Random bytes in each, so that no two are alike.")] = False,
) -> None:
    """Make an empty shadow file for each row of an old database.

    They are called shadow_<name> and lie in the same folders as the models do.
    """
    from modelkeep.dev.shadow import make_shadows
    from modelkeep.importers.base import SourceOptions
    from modelkeep.importers.registry import importer_for

    content = importer_for(_LEGACY_KIND).read(SourceOptions(legacy_db.absolute()))
    # A row that an import refuses (a Windows path without --map, say) can have its shadow all the same.
    paths = [row.original_path for row in content.rows] + [refusal.path for refusal in content.refusals]
    report = make_shadows(dict.fromkeys(filter(None, paths)), out_folder.absolute(), salt=salt)
    out = console()
    kept = f", {report.kept:,} were there already" if report.kept else ""
    out.print(f"{count(report.made, 'shadow file')} made in {clean(report.folder)}{kept}")
    if report.skipped:
        made = table("no shadow for", "why")
        for path, reason in report.skipped[:_MOST_LISTED]:
            made.add_row(plain(path), plain(reason))
        out.print(made)
    if len(report.skipped) > _MOST_LISTED:
        out.print(f"and {len(report.skipped) - _MOST_LISTED:,} more")


@app.command("demo", epilog=examples("modelkeep dev demo /tmp/demo"))
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")],
) -> None:
    """Make a small library to try everything with.

    It has a legacy database, images, duplicates and a conflict.
    """
    from modelkeep.cli.context import Invocation
    from modelkeep.dev.demo import make_demo

    library = make_demo(folder.absolute())
    out = console()
    out.print(
        facts([("models", str(library.models)), ("database", str(library.database)), ("images", str(library.images))])
    )
    for sentence in library.look_for:
        out.print(f"- {clean(sentence)}")
    config = library.folder / "modelkeep.toml"
    trying = Invocation(config, library.folder / "state")
    root = Invocation.quoted(str(library.models))
    out.print("Try:", style="bold")
    for command in (
        trying.command("init", "--root", root),
        Invocation(config).command("import", _LEGACY_KIND, Invocation.quoted(str(library.database))),
        Invocation(config).command("run"),
    ):
        out.print(f"  {command}")


@app.command("tour", hidden=True)
def tour(context: typer.Context) -> None:
    """Import, run and explain, as ROOT, LEGACY, IMAGES, MAP and DATA_DIR say (what `make run` calls)."""
    from modelkeep.cli.tour import tour as take_tour

    with terminated_in_order():
        raise typer.Exit(take_tour(invocation(context)))
