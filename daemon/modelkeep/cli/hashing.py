"""`modelkeep hash`: the SHA-256 of files, through the daemon's catalogue and hashing processes."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelkeep.cli.context import AsJson, invocation
from modelkeep.cli.exits import complain
from modelkeep.cli.help import examples
from modelkeep.cli.output import print_json
from modelkeep.cli.wording import clean
from modelkeep.domain.requested import plain_path
from modelkeep.errors import ModelkeepError

if TYPE_CHECKING:
    from modelkeep.cli.client import DaemonClient

EXAMPLES = examples("modelkeep hash model.safetensors", "modelkeep hash *.safetensors --json")

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
"""A line with any of them begins with a backslash; all else stands as it is (coreutils, "md5sum invocation")."""

_AT_ONCE = 8
"""Files that are asked for side by side; the daemon hashes as many as it has processes."""


def hash_(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Model files below a root.")],
    as_json: AsJson = False,
) -> None:
    """Print the SHA-256 of files, as sha256sum does.

    What the daemon has hashed already is not read again; anything else goes before all that waits.
    """
    from modelkeep.cli.client import require

    call = invocation(context)
    with require(call.settings, call.command("run")) as client, ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = list(threads.map(partial(_ask, client), paths))
    errors = [answer for answer in answers if isinstance(answer, ModelkeepError)]
    if as_json:
        print_json([_as_json(path, answer) for path, answer in zip(paths, answers, strict=True)])
    else:
        for path, answer in zip(paths, answers, strict=True):
            if isinstance(answer, str):
                typer.echo(f"{answer}  {clean(path)}" if sys.stdout.isatty() else _checkable(answer, path))
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]


def _checkable(digest: str, path: Path) -> bytes:
    """Return a line that `sha256sum -c` takes, whatever the name."""
    escaped = str(path).translate(_ESCAPES)
    mark = "" if escaped == str(path) else "\\"
    return os.fsencode(f"{mark}{digest}  {escaped}")


def _ask(client: "DaemonClient", path: Path) -> str | ModelkeepError:
    body = {"path": plain_path(str(path.absolute())), "pending_status": "ignore"}
    try:
        return str(client.post("/api/models/sha256", body, patient=True)["sha256"])
    except ModelkeepError as error:
        return type(error)(f"{path}: {error}")


def _as_json(path: Path, answer: str | ModelkeepError) -> dict[str, str]:
    return {"path": str(path)} | ({"sha256": answer} if isinstance(answer, str) else {"error": str(answer)})
