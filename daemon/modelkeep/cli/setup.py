"""`modelkeep init`: the first configuration."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from modelkeep.cli.context import Invocation, invocation
from modelkeep.cli.exits import Refused, WrongUse
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, plain, table
from modelkeep.cli.wording import clean, count, size

EXAMPLES = examples(
    "modelkeep init", "modelkeep init --root /srv/models --root /mnt/loras", "modelkeep init --comfyui ~/ComfyUI"
)


def init(
    context: typer.Context,
    root: Annotated[
        list[Path] | None, typer.Option("--root", metavar="DIR", help="A folder of model files; repeatable.")
    ] = None,
    comfyui: Annotated[
        Path | None, typer.Option("--comfyui", metavar="DIR", help="A ComfyUI folder, with its extra model paths.")
    ] = None,
) -> None:
    """Write a first configuration; never overwrites one.

    Without options it looks for ComfyUI in the usual places.
    """
    from modelkeep.cli.new_file import already_there, write_new_file
    from modelkeep.settings.configuration import configuration_text, user_configuration_path, with_data_dir

    call = invocation(context)
    roots = [_folder("--root", path) for path in root or []]
    named = _folder("--comfyui", comfyui) if comfyui is not None else None
    target = call.config.absolute() if call.config else user_configuration_path()
    if os.path.lexists(target):
        raise Refused(already_there(target))
    out = console()
    if named is None and not roots:
        named = _search_comfyui(out)
    text = configuration_text(roots, named)
    if call.data_dir is not None:
        text = with_data_dir(text, _absolute(call.data_dir))
    _show_library(roots, named, out)
    write_new_file(target, text)
    out.print(f"Written: {clean(target)}", style="bold")
    _say_next(call, target, out)


def _absolute(path: Path) -> Path:
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - Path raises where no home is known


def _folder(option: str, path: Path) -> Path:
    folder = _absolute(path)
    if not folder.is_dir():
        raise WrongUse(f"{option} {path}: there is no such folder")
    return folder


def _search_comfyui(out: Console) -> Path:
    from modelkeep.settings.comfyui import find_comfyui

    try:
        found = find_comfyui(Path.home())
    except RuntimeError:  # a user without a home folder
        found = []
    if not found:
        raise Refused("there is no ComfyUI in the usual places; name the folder: modelkeep init --root DIR")
    out.print(f"Found ComfyUI: {clean(found[0])}")
    for other in found[1:]:
        out.print(f"Found as well: {clean(other)}   (--comfyui chooses it)")
    return found[0]


def _show_library(roots: Sequence[Path], comfyui: Path | None, out: Console) -> None:
    from modelkeep.cli.library import count_models
    from modelkeep.domain.naming import Root
    from modelkeep.settings.comfyui import comfyui_roots
    from modelkeep.settings.model import WatchSettings

    searched: list[Root] = [Root(str(root)) for root in roots]
    if comfyui is not None:
        searched += [root for root in comfyui_roots(comfyui) if Path(root.path).is_dir()]
    with out.status("Reading the folders…"):
        counts = count_models(searched, WatchSettings().extensions)
    for root in searched:
        out.print(f"  {clean(root.path)}")
    if not counts:
        out.print("No model file is there yet.")
        return
    made = table("type", "files", "size", right=("files", "size"))
    for row in counts:
        made.add_row(plain(row.type or "(none)"), f"{row.files:,}", size(row.size_bytes))
    out.print(made)
    total = sum(row.size_bytes for row in counts)
    out.print(f"{count(sum(row.files for row in counts), 'model file')}, {size(total)}")


def _say_next(call: Invocation, target: Path, out: Console) -> None:
    from modelkeep.settings.model import user_configuration_path

    is_found = target == user_configuration_path()
    again = Invocation(None if is_found else call.config)
    out.print(f"Next: {again.command('import', 'hikaze', 'OLD.sqlite3')}   if an older manager knows your models")
    out.print(f"      {again.command('run')}   to watch and hash them")
