"""What the tour says at the end: what is known now, what needs you, and what to try next."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from modelkeep.base.clock import now_ms
from modelkeep.cli.context import Invocation
from modelkeep.cli.output import facts
from modelkeep.cli.page import address_of
from modelkeep.cli.pending_view import both_sides, how_to_resolve, pending_table
from modelkeep.cli.reading import Reader
from modelkeep.cli.status_view import status_view
from modelkeep.cli.wording import clean, count
from modelkeep.errors import NotFound

_MOST_PENDING = 10


def print_summary(
    reader: Reader, status: Mapping[str, Any], url: str, announced: Sequence[str], call: Invocation, out: Console
) -> None:
    """Print the summary of a daemon that has nothing left to do, or does not get on; its page is at `url`."""
    waiting = status["pending"]["waiting"]
    if waiting:
        out.print(f"{count(waiting, 'row')} in the queue, but nothing is being done", style="bold yellow")
    else:
        out.print("Done: what could be hashed is hashed", style="bold green")
    out.print(status_view(status, out, call.command))
    rows = reader.rows("/api/pending", _MOST_PENDING)
    if rows:
        out.print("Still in the queue:", style="bold")
        out.print(pending_table(rows))
    _explain_one_conflict(reader, call, out)
    out.print("Try, in another terminal:", style="bold")
    out.print(facts(_commands(call, rows)))
    for sentence in announced:
        out.print(clean(sentence))
    out.print("The daemon keeps watching. Ctrl-C stops it.", style="bold")
    out.print(f"The page: {address_of(url)}", style="bold")


def _explain_one_conflict(reader: Reader, call: Invocation, out: Console) -> None:
    for row in reader.rows("/api/pending", 1, state="conflict"):
        try:
            details = reader.get("/api/pending/{pending_id}", pending_id=row["id"])
        except NotFound:  # somebody decided it meanwhile
            return
        out.print("One conflict: two sources describe the same content differently.", style="bold")
        out.print(both_sides(details, now_ms()))
        out.print(how_to_resolve(details, call.command))


def _commands(call: Invocation, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    commands = [
        (call.command("status", "--watch"), "what the daemon does"),
        (call.command("models", "list"), "the catalogue"),
        (call.command("journal", "--limit", "20"), "what happened"),
        (call.command("pending", "list"), "what waits"),
    ]
    if rows:
        commands.append((call.command("pending", "show", str(rows[0]["id"])), "one row of the queue"))
    return commands
