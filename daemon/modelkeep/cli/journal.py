"""`modelkeep journal`: what happened to every model. It reads the files, so it works with and without the daemon."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from modelkeep.cli.context import LIMIT_MAX, invocation
from modelkeep.cli.exits import WrongUse
from modelkeep.cli.output import console, print_json_line
from modelkeep.cli.wording import since as moment_of
from modelkeep.domain.requested import plain_path
from modelkeep.errors import NotFound

EXAMPLES = (
    "modelkeep journal --model juggernautXL_v9.safetensors   the story of one model\n\n"
    "modelkeep journal --since 2h --event 'migration.*'"
)

_BEFORE_FOLLOWING = 10

Records = Iterable[Mapping[str, Any]]


def journal(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until Ctrl-C.")] = False,
    model: Annotated[str, typer.Option("--model", metavar="NAME|HASH|PATH", help="The story of one model.")] = "",
    event: Annotated[str, typer.Option("--event", metavar="GLOB", help="Only these events: 'migration.*'.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="From 2h ago, 2026-11-20, or an ISO time.")
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only what went wrong.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, max=LIMIT_MAX, metavar="N", help="Only the last N; 0 = all.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one record a line.")] = False,
) -> None:
    """Read the journal: what happened to every model, and when."""
    from modelkeep.journal.reader import Query, read
    from modelkeep.journal.reader import follow as followed

    folder = invocation(context).settings.data_dir / "journal"
    query = Query(model=_as_path(model), event=event, since_ms=_since_ms(since), failed=failed, limit=limit)
    if follow:
        show(followed(folder, replace(query, limit=limit or _BEFORE_FOLLOWING)), as_json=as_json)
        return
    if show(read(folder, query), as_json=as_json, by_day=bool(model)) == 0:
        _explain_nothing(model, folder, narrowed=bool(event or since or failed), as_json=as_json)


def show(records: Records, *, as_json: bool, by_day: bool = False) -> int:
    """Print records as they come and return how many there were."""
    from modelkeep.cli.journal_view import day_of, line_of

    out = console()
    number, day = 0, ""
    for record in records:
        number += 1
        if as_json:
            print_json_line(record)
            continue
        if by_day and day_of(record) != day:
            day = day_of(record)
            out.print(day, style="bold underline")
        out.print(line_of(record, with_day=not by_day), soft_wrap=True)
    return number


def _explain_nothing(model: str, folder: Path, *, narrowed: bool, as_json: bool) -> None:
    if model:
        raise NotFound(f"the journal has no record of {model}{' that fits' if narrowed else ''}")
    if not as_json:
        console().print("No record fits." if narrowed else _why_empty(folder))


def _why_empty(folder: Path) -> str:
    from modelkeep.journal.mark import read_mark

    last_seq = read_mark(folder).seq
    if last_seq:
        return (
            f"The journal in {folder} is gone: it was there up to record {last_seq:,}. `modelkeep doctor` says more."
        )
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
