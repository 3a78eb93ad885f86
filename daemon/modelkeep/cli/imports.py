"""`modelkeep import`: stage 1 from a legacy source, through the daemon or, when it is off, on the files."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from modelkeep.cli.context import AsJson, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, print_json
from modelkeep.domain.archive_taking import SOURCE as ARCHIVE
from modelkeep.domain.legacy import ImportOrder

EXAMPLES = examples(
    "modelkeep import sidecars ~/ComfyUI/models --dry-run",
    "modelkeep import lora-manager ~/.config/ComfyUI-LoRA-Manager",
    "modelkeep import hikaze hikaze_mm.sqlite3 --dry-run",
    "modelkeep import hikaze old.sqlite3 --images ~/old/images",
    "modelkeep import hikaze old.sqlite3 --map 'D:\\models=/mnt/models'",
)

_ARCHIVE = "modelkeep: everything that `modelkeep export archive` wrote, SOURCE its file"


def _kinds() -> list[str]:
    from modelkeep.importers.registry import IMPORTERS

    return sorted([*IMPORTERS, ARCHIVE])


class ImportCommand(TyperCommand):
    """Tells of every kind below its options: what is taken, and where people have it."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the kinds, then the examples."""
        from modelkeep.importers.registry import IMPORTERS

        described = {kind: importer.description for kind, importer in IMPORTERS.items()} | {ARCHIVE: _ARCHIVE}
        with formatter.section("Kinds"):
            formatter.write_dl([(kind, described[kind]) for kind in _kinds()])
        super().format_epilog(ctx, formatter)


def import_(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What SOURCE is, see below.", autocompletion=_kinds)],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder or a file; it is only read.")],
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Its images, if they are not beside it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be done.")] = False,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Rewrite the beginning of paths; repeatable.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also take rows that were dropped since an earlier import.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import what other managers know of models.

    The source is only read, and importing again changes nothing. Works with the daemon and without.
    """
    from modelkeep.cli.import_progress import run_import
    from modelkeep.cli.import_view import after_import, print_report

    if kind not in _kinds():
        raise WrongUse(f"{kind} is no kind of source; the kinds are: {', '.join(_kinds())}")
    call = invocation(context)
    pairs = path_pairs(mapping or [])
    order = ImportOrder(kind, str(source.absolute()), str(images.absolute()) if images else "", pairs, dry_run, again)
    report, through_daemon = run_import(call.settings, order)
    if as_json:
        print_json(report)
        return
    out = console()
    print_report(report, out)
    after_import(call, order, report, out, through_daemon=through_daemon)


def path_pairs(mapping: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the (old, new) pairs of `OLD=NEW` texts.

    Raises:
        WrongUse: one has no `=`, or nothing on one side of it.
    """
    pairs = []
    for text in mapping:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise WrongUse(f"--map {text}: write OLD=NEW, as in --map /srv/models=/mnt/models")
        pairs.append((old, str(Path(new).absolute())))
    return tuple(pairs)
