"""`modelkeep export`: write what is known in other tools' formats; the one command that writes beside models."""

from pathlib import Path
from typing import Annotated

import typer

from modelkeep.cli.context import AsJson, invocation
from modelkeep.cli.exits import Status, WrongUse
from modelkeep.cli.help import examples
from modelkeep.domain.archive_taking import SOURCE as ARCHIVE

EXAMPLES = examples(
    "modelkeep export lora-manager --dry-run",
    "modelkeep export webui hero.safetensors --to /tmp/sidecars",
    "modelkeep export stability-matrix --root /mnt/models/Lora",
    "modelkeep export archive ~/models.modelkeep.zip",
)

_OURS = "modelkeep"
_FORMATS = "lora-manager, civitai-helper, webui, stability-matrix, rgthree, pysssss, json or archive."


def _kinds() -> list[str]:
    from modelkeep.exporters.registry import EXPORTERS

    return sorted([*EXPORTERS, ARCHIVE])


def export(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=_FORMATS, autocompletion=_kinds)],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Name, path, or hash (6 digits or more); none: all. Of an archive the file."
        ),
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="DIR", exists=True, help="Only models below this folder; repeatable."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write here, in folders like the roots' own.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be written, and why not.")] = False,
    prefer: Annotated[
        str | None, typer.Option("--prefer", metavar="modelkeep", help="Replace what a file says, not only fill it.")
    ] = None,
    with_texts: Annotated[bool, typer.Option("--texts", help="Notes as STEM.txt too (pysssss).")] = False,
    previews: Annotated[
        bool, typer.Option("--previews/--no-previews", help="A picture for models that have none beside them.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write what is known beside the models, for other tools.

    A file that is there is completed: what it says stays, keys that are not known too. Links, read-only folders and
    files that cannot be read without loss are left alone. Model files are never touched.

    `export archive FILE` writes everything that is known, with images, into one new file: a backup, or for another
    machine, where `import archive FILE` takes it in.
    """
    from modelkeep.cli.export_view import print_outcomes
    from modelkeep.cli.exporting import Wanted, export_files

    if kind not in _kinds():
        raise WrongUse(f"{kind} is no kind of export; the kinds are: {', '.join(_kinds())}")
    if kind == ARCHIVE:
        if len(models or ()) != 1 or root or to or prefer or dry_run:
            raise WrongUse("write: modelkeep export archive FILE, without other options")
        from modelkeep.cli.archiving import export_archive

        export_archive(invocation(context).settings, Path((models or [""])[0]).absolute(), as_json=as_json)
        return
    if prefer not in (None, _OURS):
        raise WrongUse(f"--prefer takes {_OURS}, not {prefer}")
    wanted = Wanted(
        kind,
        models=tuple(models or ()),
        only=tuple(folder.absolute() for folder in root or ()),
        to=to.absolute() if to else None,
        prefer_ours=prefer is not None,
        with_texts=with_texts,
        previews=previews,
        dry_run=dry_run,
    )
    if not print_outcomes(export_files(invocation(context).settings, wanted), as_json=as_json, dry_run=dry_run):
        raise typer.Exit(Status.FAILED)
