"""How the journal looks to people: a line a record, or the story of one model. Pure: the time is an argument."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from modelkeep.cli.journal_story import Chapter, chapters, common_folder
from modelkeep.cli.journal_words import sentence
from modelkeep.cli.wording import ago, clean, count
from modelkeep.domain.naming import in_brief
from modelkeep.journal.query import tells_of_failure

_STYLES = {
    "daemon": "bold",
    "import": "bold",
    "file": "cyan",
    "root": "yellow",
    "hash": "blue",
    "migration": "green",
    "image": "green",
    "recovery": "magenta",
    "claim": "cyan",
    "watch": "yellow",
}
_EVENT_COLUMNS = 20
_AGO_COLUMNS = 10
_TEXT_COLUMNS = 2000
_NAME_COLUMNS = 256
_FOLDED_COLUMNS_MIN = 30
_FAILED = "!"


def day_of(record: Mapping[str, Any]) -> str:
    """Return the local day of a record: `Friday, 2026-11-20`."""
    moment = _moment(record)
    return moment.strftime("%A, %Y-%m-%d") if moment else "no date"


def line_of(record: Mapping[str, Any], out: Console, *, with_day: bool = True) -> Text:
    """Return a record as a paragraph: when, which event, which file, and what happened to it."""
    time, mark, event, name, text = _parts(record, with_day=with_day)
    line = Text.assemble((time, "dim"), f" {mark} ", (event, _style(record)), "  ")
    return _hanging(line, Text.assemble((name, "bold"), (text, "red" if mark == _FAILED else "")), out)


def plain_line(record: Mapping[str, Any]) -> str:
    """Return what `line_of` does, for a file or a program: they may get a million."""
    time, mark, event, name, text = _parts(record, with_day=True)
    return f"{time} {mark} {event}  {name}{text}"


def _parts(record: Mapping[str, Any], *, with_day: bool) -> tuple[str, str, str, str, str]:
    name = _name(record)
    return (
        _time(record, with_day=with_day),
        _FAILED if tells_of_failure(record) else " ",
        clean(record.get("event", "")).ljust(_EVENT_COLUMNS),
        f"{name}: " if name else "",
        _plain(sentence(record)),
    )


def story_of(records: Sequence[Mapping[str, Any]], now: datetime, out: Console) -> Iterator[Text]:
    """Yield the paragraphs of the story of one model, by day.

    Args:
        records: what the journal tells of it, in order.
        now: the present time, with its zone.
        out: where it is written.
    """
    folder = common_folder(records)
    if folder:
        yield Text(f"in {clean(folder)}", style="dim")
    day = since = ""
    for chapter in chapters(records):
        if day_of(chapter.record) != day:
            day = day_of(chapter.record)
            yield Text(day, style="bold underline")
        before, since = since, _since(chapter.record, now)
        yield _paragraph(chapter, since if since != before else "", out)
    yield Text(f"{count(len(records), 'record')}; --json shows them as they are.", style="dim")


def _since(record: Mapping[str, Any], now: datetime) -> str:
    moment = _moment(record)
    return ago((now - moment).total_seconds()) if moment else ""


def _paragraph(chapter: Chapter, since: str, out: Console) -> Text:
    failed = tells_of_failure(chapter.record)
    line = Text.assemble(
        (_time(chapter.record, with_day=False), "dim"),
        (since.rjust(_AGO_COLUMNS + 1), "dim"),
        f" {_FAILED if failed else ' '} ",
    )
    style = "red" if failed else _style(chapter.record)
    about = in_brief(clean(chapter.about), _NAME_COLUMNS)
    body = Text.assemble((f"{about}: " if about else "", "bold"), (_plain(chapter.text), style))
    return _hanging(line, body, out)


def _hanging(head: Text, body: Text, out: Console) -> Text:
    """Return a paragraph whose further lines stand below the first one's text; one line where nobody folds lines."""
    indent = cell_len(head.plain)
    columns = out.width - indent
    if not out.is_terminal or columns < _FOLDED_COLUMNS_MIN:
        return head + body
    lines = body.wrap(out, columns)
    for line in lines:
        line.rstrip()
    return head + Text(f"\n{' ' * indent}").join(lines)


def _style(record: Mapping[str, Any]) -> str:
    event = str(record.get("event", ""))
    if event.endswith((".failed", ".refuted")):
        return "red"
    if event.endswith((".conflicted", ".missing", ".rolled_back")):
        return "yellow"
    return _STYLES.get(event.split(".", 1)[0], "")


def _time(record: Mapping[str, Any], *, with_day: bool) -> str:
    moment = _moment(record)
    if moment is None:
        return clean(record.get("ts", "?"))
    return moment.strftime("%Y-%m-%d %H:%M:%S" if with_day else "%H:%M:%S")


def _moment(record: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(record["ts"])).astimezone()
    except (KeyError, ValueError, OverflowError):
        return None


def _name(record: Mapping[str, Any]) -> str:
    return in_brief(clean(str(record.get("path") or "").rsplit("/", 1)[-1]), _NAME_COLUMNS)


def _plain(text: str) -> str:
    return in_brief(clean(text), _TEXT_COLUMNS)
