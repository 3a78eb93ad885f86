"""`modelkeep scan`, `pause`, `resume`: tell the running daemon what to do."""

from typing import Any

import typer

from modelkeep.cli.context import AsJson, invocation
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import count


def scan(context: typer.Context, as_json: AsJson = False) -> None:
    """Look through all roots now.

    It finds files that are new, changed, moved or gone; the daemon does so by itself, too.
    """
    result = _ask(context, "/api/scan")
    if as_json:
        print_json(result)
        return
    scanned, added = int(result.get("scanned") or 0), int(result.get("added") or 0)
    console().print(f"Scanned {count(scanned, 'file')}: {count(added, 'new row')} in the queue.")


def pause(context: typer.Context) -> None:
    """Stop hashing until `modelkeep resume`.

    It stays so across a restart. Files are still noticed.
    """
    _ask(context, "/api/migration/pause")
    again = invocation(context).command("resume")
    console().print(f"Paused: files are still noticed, but nothing is hashed until `{again}`.")


def resume(context: typer.Context) -> None:
    """Continue hashing after `modelkeep pause`."""
    _ask(context, "/api/migration/resume")
    console().print(f"Hashing continues; `{invocation(context).command('status', '--watch')}` shows it.")


def _ask(context: typer.Context, path: str) -> dict[str, Any]:
    from modelkeep.cli.client import require

    call = invocation(context)
    with require(call.settings, call.command("run")) as client:
        answer: dict[str, Any] = client.post(path, patient=True)
        return answer
