"""The options that stand before every command, and what its errors become."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from modelkeep import __version__
from modelkeep.cli.context import Invocation
from modelkeep.cli.exits import errors_reported
from modelkeep.cli.help import Group

_EXIT_STATUS = "Exit status: 0 done, 1 failed, 2 wrong use, 3 the daemon is not running, 4 no such thing, 5 conflict."


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


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"modelkeep {__version__}")
        raise typer.Exit


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


def program() -> typer.Typer:
    """Return the program without commands."""
    return typer.Typer(
        name="modelkeep",
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_EXIT_STATUS,
        callback=_shared_options,
    )
