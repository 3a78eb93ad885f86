"""What an export did, file by file, and how many there were."""

from collections.abc import Iterable

from modelkeep.cli.output import console, named, plain, print_json, table
from modelkeep.cli.wording import count
from modelkeep.exporters.exporting import FAILED, SKIPPED, UNCHANGED, FileOutcome, counts_of

_STYLES = {"created": "green", "changed": "yellow", "skipped": "dim", "unchanged": "dim", "failed": "red"}


def print_outcomes(outcomes: Iterable[FileOutcome], *, as_json: bool, dry_run: bool) -> bool:
    """Print what was done with each file, or would be; returns whether none failed."""
    found = list(outcomes)
    counts = counts_of(found)
    if as_json:
        print_json({"dry_run": dry_run, "counts": counts, "files": [outcome.as_json() for outcome in found]})
        return not counts[FAILED]
    out = console()
    shown = [outcome for outcome in found if outcome.outcome != UNCHANGED]
    if shown:
        rows = table("what", "file", "why")
        for outcome in shown:
            rows.add_row(plain(outcome.outcome, _STYLES[outcome.outcome]), named(outcome.path), plain(outcome.reason))
        out.print(rows)
    would = "would be " if dry_run else ""
    said = [
        f"{counts[name]:,} {would if name not in (SKIPPED, FAILED) else ''}{name}" for name in counts if counts[name]
    ]
    out.print(f"{count(len(found), 'file')}: {', '.join(said)}." if found else "There is nothing to write.")
    return not counts[FAILED]
