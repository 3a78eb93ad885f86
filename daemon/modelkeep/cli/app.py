"""The command tree, and the options that stand before every command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from modelkeep import __version__
from modelkeep.cli import (
    control,
    daemon,
    dev,
    doctor,
    duplicates,
    exports,
    hashing,
    imports,
    journal,
    models,
    orphans,
    page,
    pending,
    service,
    setup,
    status,
    tags,
)
from modelkeep.cli.context import Invocation
from modelkeep.cli.exits import errors_reported
from modelkeep.cli.help import Group, examples


class Commands(Group):
    """The root of the tree: here every expected error of every command becomes a line and an exit status."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Set up": ("init", "import", "export", "run", "service"),
        "Look": ("status", "page", "journal", "models", "duplicates", "doctor"),
        "Decide and change": ("pending", "orphans", "tags", "tag", "hash"),
        "Control": ("scan", "pause", "resume"),
        "Develop": ("dev",),
    }

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with errors_reported():
            return super().invoke(ctx)


app = typer.Typer(
    name="modelkeep",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 failed, 2 wrong use, 3 the daemon is not running, 4 no such thing, 5 conflict.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"modelkeep {__version__}")
        raise typer.Exit


@app.callback()
def _shared_options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Read this configuration file.", dir_okay=False)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Keep catalogue, journal and images here.")
    ] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Hash shadow files with the mock hasher.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback has acted already
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Keep what is known about an AI model file with the model, wherever the file goes."""
    context.obj = Invocation(config, data_dir, dev)


app.command("run", epilog=daemon.EXAMPLES)(daemon.run)
app.command("init", epilog=setup.EXAMPLES)(setup.init)
app.command("import", cls=imports.ImportCommand, epilog=imports.EXAMPLES)(imports.import_)
app.command("export", epilog=exports.EXAMPLES)(exports.export)
app.command("status", epilog=status.EXAMPLES)(status.status)
app.command("page", epilog=page.EXAMPLES)(page.page)
app.command("journal", epilog=journal.EXAMPLES)(journal.journal)
app.add_typer(pending.app, name="pending")
app.add_typer(models.app, name="models")
app.add_typer(orphans.app, name="orphans")
app.add_typer(tags.app, name="tags")
app.command("tag", epilog=tags.TAG_EXAMPLES)(tags.tag)
app.command("duplicates", epilog=duplicates.EXAMPLES)(duplicates.duplicates)
app.command("hash", epilog=hashing.EXAMPLES)(hashing.hash_)
app.command("scan", epilog=examples("modelkeep scan"))(control.scan)
app.command("pause", epilog=examples("modelkeep pause"))(control.pause)
app.command("resume", epilog=examples("modelkeep resume"))(control.resume)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.add_typer(service.app, name="service")
app.add_typer(dev.app, name="dev")
