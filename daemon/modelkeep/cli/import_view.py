"""What an import did, for people."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from modelkeep.cli.context import Invocation
from modelkeep.cli.output import facts, named, table
from modelkeep.cli.path_guess import common_folder, folders_to_try, guess_mapping
from modelkeep.cli.wording import clean, count
from modelkeep.domain.legacy import ImportOrder

if TYPE_CHECKING:
    from modelkeep.settings.model import Settings

_MOST_LISTED = 50
_COLUMNS = 120
_FILE_COLUMNS_MIN = 24
_KEY_COLUMNS = 20
_REASON_COLUMNS = 600


def print_report(report: Mapping[str, Any], out: Console) -> None:
    """Print what was taken, what is pending, and every row that was refused or is odd, with the reason."""
    verb = "Would import" if report["dry_run"] else "Imported"
    out.print(f"{verb} from {clean(report['source'])}: {count(report['rows'], 'row')}", style="bold")
    out.print(facts([(name, text) for name, text in _counts(report) if text]))
    for title, key in (("Refused", "refusals"), ("Images not imported", "image_errors"), ("Remarks", "remarks")):
        _print_reasons(title, report[key], out)


def after_import(
    call: Invocation, order: ImportOrder, report: Mapping[str, Any], out: Console, *, through_daemon: bool
) -> None:
    """Tell what to do next."""
    waiting = report["pending"] + report["updated"]
    if waiting and not through_daemon and not order.dry_run:
        out.print(f"{count(waiting, 'row')} will be hashed by: {call.command('run')}")
    # What brings nothing new asks nothing of its owner.
    lost = report.get("not_found", []) if report["rows"] > report["unchanged"] else []
    if lost and not any(map(os.path.lexists, lost)):  # a sidecar that was refused is no model that is elsewhere
        out.print(_mapping_advice(call, order, lost), style="yellow")


def _counts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    dropped = int(report.get("dropped", 0))  # a daemon of before an update does not tell it
    taken, orphans = (int(report.get(name, 0)) for name in ("taken", "orphans"))
    return [
        ("taken", f"{taken:,}  records of what a tool knows" if taken else ""),
        ("models", f"{report['migrated']:,}  their hash was known" if report["migrated"] else ""),
        ("pending", f"{report['pending']:,}  wait for their file to be hashed" if report["pending"] else ""),
        (
            "updated",
            f"{report['updated']:,}  waited already, and now have what the source knows" if report["updated"] else "",
        ),
        ("unchanged", f"{report['unchanged']:,}  known from an earlier import" if report["unchanged"] else ""),
        (
            "dropped",
            f"{dropped:,}  of the unchanged were dropped since; --again imports them" if dropped else "",
        ),
        ("orphans", f"{orphans:,}  have no model here: modelkeep orphans list" if orphans else ""),
        ("images", f"{report['images_processed']:,}" if report["images_processed"] else ""),
        ("refused", f"{len(report['refusals']):,}" if report["refusals"] else ""),
    ]


def _print_reasons(title: str, entries: Sequence[Mapping[str, Any]], out: Console) -> None:
    if not entries:
        return
    out.print(title, style="bold")
    made = table("row", "file", "why")
    for short in made.columns[:2]:
        short.no_wrap = True
    columns = min(out.width, _COLUMNS)
    for entry in entries[:_MOST_LISTED]:
        file = named(entry["path"], columns=max(columns // 3, _FILE_COLUMNS_MIN))
        made.add_row(named(entry["key"], columns=_KEY_COLUMNS), file, named(entry["reason"], columns=_REASON_COLUMNS))
    out.print(made, width=columns)
    if len(entries) > _MOST_LISTED:
        out.print(f"and {len(entries) - _MOST_LISTED:,} more; --json shows all")


def guessed_mapping(settings: "Settings", order: ImportOrder, lost: Sequence[str]) -> tuple[str, str] | None:
    """Return the (old, new) prefixes under which files are found that are not at the paths of the source."""
    roots = [root.path for root in settings.model_roots()]
    return guess_mapping(lost, folders_to_try(roots, str(order.source)))


def _mapping_advice(call: Invocation, order: ImportOrder, lost: Sequence[str]) -> str:
    """Return how to say where the files are now: the daemon would otherwise wait for paths that never come."""
    guessed = guessed_mapping(call.settings, order, lost)
    old, new = guessed or (common_folder(lost) or lost[0], "/where/they/are/now")
    again = call.command("import", order.kind, Invocation.quoted(str(order.source)))
    option = Invocation.quoted(f"{old}={new}")
    found = "They seem to be here" if guessed else "If they are somewhere else"
    return clean(f"None of these files is at its path, e.g. {lost[0]}. {found}: {again} --map {option}")
