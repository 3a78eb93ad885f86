"""`modelkeep doctor`: look at everything that goes wrong on workstations, and repair what can safely be repaired."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from modelkeep.cli.context import AsJson, Invocation, invocation
from modelkeep.cli.exits import Status, terminated_in_order
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, plain, print_json
from modelkeep.cli.wording import clean, count

if TYPE_CHECKING:
    from modelkeep.doctor.findings import Finding
    from modelkeep.doctor.repair import RepairReport

EXAMPLES = examples("modelkeep doctor", "modelkeep doctor --repair")

_SIGNS: Mapping[str, str] = {"ok": "✓", "note": "·", "warning": "!", "problem": "✗"}
_ASCII_SIGNS: Mapping[str, str] = {"ok": "+", "note": "-", "warning": "!", "problem": "x"}
_STYLES: Mapping[str, str] = {"ok": "green", "note": "cyan", "warning": "bold yellow", "problem": "bold red"}
_WORDS = {"ok": ("fine", "fine"), "note": ("note", "notes"), "warning": ("warning", "warnings")}
_WORDS["problem"] = ("problem", "problems")


def doctor(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what can be repaired safely; the daemon has to be off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check what often goes wrong, and say what to do.

    The exit status is 1 if something is wrong.
    """
    from modelkeep.doctor.examination import examine

    call = invocation(context)
    with _patience_asked():
        report = _repair(call) if repair else None
        examination = examine(call.settings)
    if as_json:
        print_json(examination.as_json() | (report.as_json() if report else {}))
    else:
        show(examination.findings, report, call.command("doctor", "--repair"), console())
    if not examination.is_fine:
        raise typer.Exit(Status.FAILED)


def _repair(call: Invocation) -> "RepairReport":
    import asyncio

    from modelkeep.doctor.repair import repair

    with terminated_in_order():
        return asyncio.run(repair(call.settings))


@contextmanager
def _patience_asked() -> Iterator[None]:
    """Show on a terminal that something goes on: a large library takes half a minute."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status("Checking…"):
        yield


def show(findings: Sequence["Finding"], report: "RepairReport | None", repair_command: str, out: Console) -> None:
    """Write findings for people.

    Args:
        findings: what the checks say.
        report: what was repaired before; None when nobody asked for that.
        repair_command: what to type for that.
        out: where to write.
    """
    signs = signs_for(out.encoding)
    if report is not None:
        _show_repairs(report, signs, out)
    for finding in findings:
        severity = str(finding.severity)
        _show_line(signs[severity], _STYLES[severity], f"{finding.check}: {finding.sentence}", out)
        if finding.remedy:
            _show_line(" ", "", f"  {finding.remedy}", out, style="dim")
    out.print(Text(summary(findings), style="bold"))
    mendable = sum(finding.repairable for finding in findings)
    if mendable and report is None:
        out.print(plain(f"{repair_command}   repairs {mendable} of them, with the daemon off"))


def signs_for(encoding: str) -> Mapping[str, str]:
    """Return the sign of each severity in characters that an output takes."""
    try:
        "".join(_SIGNS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _ASCII_SIGNS
    return _SIGNS


def summary(findings: Sequence["Finding"]) -> str:
    """Return how many findings there are of each severity."""
    counts = Counter(str(finding.severity) for finding in findings)
    parts = [
        f"{counts[severity]} {_WORDS[severity][counts[severity] != 1]}" for severity in _SIGNS if counts[severity]
    ]
    return f"{count(len(findings), 'check')}: {', '.join(parts)}"


def _show_repairs(report: "RepairReport", signs: Mapping[str, str], out: Console) -> None:
    for sentence in report.done:
        _show_line(signs["ok"], _STYLES["ok"], f"repaired: {sentence}", out)
    for sentence in report.failed:
        _show_line(signs["problem"], _STYLES["problem"], f"not repaired: {sentence}", out)
    if not (report.done or report.failed):
        _show_line(signs["note"], _STYLES["note"], "nothing had to be repaired", out)


def _show_line(sign: str, sign_style: str, text: str, out: Console, style: str = "") -> None:
    """Write a sign and a text whose further lines stand below its first."""
    indent = " " * (len(text) - len(text.lstrip()))
    lines = wrap(clean(text.strip()), max(out.width - 2 - len(indent), 20), break_on_hyphens=False)
    for number, line in enumerate(lines):
        out.print(Text.assemble((" " if number else sign, sign_style), " ", (indent + line, style)))
