"""`modelkeep journal`: what happened to every model. It reads the files, so it works with and without the daemon."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelkeep.cli.context import LastOnly, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, print_json_line
from modelkeep.cli.wording import since as moment_of
from modelkeep.domain.requested import plain_path
from modelkeep.errors import NotFound

if TYPE_CHECKING:
    from rich.console import Console

    from modelkeep.journal.query import Query

EXAMPLES = examples(
    "modelkeep journal --model juggernautXL_v9",
    "modelkeep journal --since 2h --event 'migration.*'",
    "modelkeep journal --failed --limit 20",
    "modelkeep journal --follow",
    "modelkeep journal --json | jq .path",
)

_BEFORE_FOLLOWING = 10
_MOST_ON_A_TERMINAL = 100

Records = Iterable[Mapping[str, Any]]


def journal(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until Ctrl-C.")] = False,
    model: Annotated[
        str,
        typer.Option("--model", metavar="NAME|HASH|PATH", help="The story of one model, through renames and moves."),
    ] = "",
    event: Annotated[str, typer.Option("--event", metavar="GLOB", help="Only these events: 'migration.*'.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="From 2h ago (s m h d w), 2026-11-20, or an ISO time.")
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only what went wrong.")] = False,
    limit: LastOnly = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one record a line.")] = False,
) -> None:
    """Read the journal: what happened to every model, and when.

    Works with the daemon and without. With --model it tells the story of one model from its detection to now; a part
    of a name, a path, or the first six digits of a hash say which.
    """
    from modelkeep.journal.reader import Query, read
    from modelkeep.journal.reader import follow as followed

    folder = invocation(context).settings.data_dir / "journal"
    query = Query(model=_as_path(model), event=event, since_ms=_since_ms(since), failed=failed, limit=limit or 0)
    out = console()
    if follow:
        before = query.limit if limit is not None or since else _BEFORE_FOLLOWING
        show(followed(folder, replace(query, limit=before)), out, as_json=as_json, flush=True)
    elif model:
        _tell_story(list(read(folder, query)), out, model, as_json=as_json, narrowed=bool(event or since or failed))
    else:
        cut = limit is None and not as_json and out.is_terminal
        _show_list(folder, replace(query, limit=_MOST_ON_A_TERMINAL) if cut else query, out, as_json=as_json, cut=cut)


def show(records: Records, out: "Console", *, as_json: bool, flush: bool = False) -> int:
    """Print records as they come and return how many there were; `flush`: each at once, for whoever follows."""
    from modelkeep.cli.journal_view import day_of, line_of, plain_line

    number, day = 0, ""
    for record in records:
        number += 1
        if as_json:
            print_json_line(record, flush=flush)
            continue
        if out.is_terminal and day_of(record) != day:
            day = day_of(record)
            out.print(day, style="bold underline")
        if out.is_terminal:
            out.print(line_of(record, out, with_day=False), soft_wrap=True)
        else:
            print(plain_line(record), flush=flush)
    return number


def _show_list(folder: Path, query: "Query", out: "Console", *, as_json: bool, cut: bool) -> None:
    from modelkeep.journal.reader import read

    number = show(read(folder, query), out, as_json=as_json)
    if number == 0 and not as_json:
        out.print("No record fits." if query.is_narrow else _why_empty(folder))
    elif cut and number == _MOST_ON_A_TERMINAL:
        out.print(f"These are the last {number}; --limit 0 shows all.", style="dim")


def _tell_story(
    records: list[dict[str, object]], out: "Console", model: str, *, as_json: bool, narrowed: bool
) -> None:
    from modelkeep.cli.journal_view import story_of

    if not records:
        raise NotFound(f"the journal has no record of {model}{' that fits' if narrowed else ''}")
    if as_json:
        show(records, out, as_json=True)
        return
    for paragraph in story_of(records, datetime.now(UTC), out):
        out.print(paragraph, soft_wrap=True)


def _why_empty(folder: Path) -> str:
    from modelkeep.journal.mark import read_mark

    last_seq = read_mark(folder).seq
    if last_seq:
        return f"The journal in {folder} is gone; its last record was {last_seq:,}. `modelkeep doctor` says more."
    return f"The journal is empty: nothing has happened in {folder} yet."


def _as_path(model: str) -> str:
    """Return a path as the journal knows it; a name or a hash stays as it is."""
    return plain_path(str(Path(model).absolute())) if "/" in model else model


def _since_ms(text: str) -> int:
    if not text:
        return 0
    moment = moment_of(text, datetime.now(UTC))
    if moment is None:
        raise WrongUse(
            f"--since {text}: neither a span (90s, 30m, 2h, 3d, 1w) nor a date (2026-11-20) nor an ISO time"
        )
    return moment
