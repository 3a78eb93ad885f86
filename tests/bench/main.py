"""Measure whole daemons beside other programs, and print one table: `make bench`, `make bench ROW=S3 SCALE=1`.

Each pair runs in turn (A B A B …), the medians count: machines are noisy, ratios are not. Every file and every
database is on disk, every commit durable, and the daemon is the program itself, asked from outside.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.bench import browsing, hashing, images, importing, machine, migrating, resting, watching
from tests.bench.measuring import Measured
from tests.bench.scene import Scene
from tests.program_forks import only_by_exec

_COLUMNS = 140
"""Of the table where there is no terminal."""


@dataclass(frozen=True)
class Row:
    """A row of the table: what measures it, and the scale that a small machine does in a minute or so."""

    name: str
    measure: Callable[[Scene], Iterator[Measured]]
    scale: float


ROWS = (
    Row("S1", hashing.large_files, 0.25),
    Row("S2", migrating.known_rows, 0.3),
    Row("S2", migrating.unknown_files, 0.3),
    Row("S3", importing.first_and_second, 1),
    Row("S3", importing.by_command, 1),
    Row("S4", watching.rescan, 0.15),
    Row("S5", watching.renames, 0.25),
    Row("S6", watching.closed_files, 1),
    Row("S7", resting.idle, 0.2),
    Row("S8", resting.answers, 1),
    Row("S9", images.tiers, 0.2),
    Row("S10", hashing.memory, 0.25),
    Row("S11", browsing.looking_through, 1),
)


@dataclass(frozen=True)
class Line:
    """One line of the table: a figure, and what an item costs at another size, if that was asked."""

    row: str
    measured: Measured
    growth: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the line for programs."""
        return {"row": self.row, **self.measured.as_json(), "growth": self.growth}


def main() -> int:
    """Run what was asked for and print it."""
    options = _options()
    lines: list[Line] = []
    failed: list[str] = []
    # By an exception, so that no daemon and no file is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    out = Console(width=None if sys.stdout.isatty() else _COLUMNS)
    for row in ROWS:
        if options.row and row.name not in options.row:
            continue
        out.print(f"{row.name} …", style="dim")
        try:
            for line in _measure(row, options):
                lines.append(line)
                out.print(
                    f"{line.measured.work}: {_number(line.measured.value)} {line.measured.unit}", highlight=False
                )
        except (AssertionError, OSError) as error:
            failed.append(row.name)
            out.print(f"{row.name} could not be measured: {error}", style="red", markup=False)
    out.print(_table(lines, options.grow))
    if options.json:
        told = {"machine": machine.facts(), "rows": [line.as_json() for line in lines], "failed": failed}
        options.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({row.name for row in ROWS}, key=lambda name: int(name[1:]))
    parser.add_argument("--row", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument("--scale", type=float, help="of the sizes in the table of goals, for all rows; 1 = as there")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side")
    parser.add_argument("--grow", type=float, help="measure at so many times the size as well, and compare")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--folder", type=Path, help="where files are made (default: that for temporary files)")
    return parser.parse_args()


def _measure(row: Row, options: argparse.Namespace) -> Iterator[Line]:
    scale = options.scale or row.scale
    small = _at_scale(row, scale, options)
    if not options.grow:
        yield from (Line(row.name, measured) for measured in small)
        return
    costs = {measured.work: measured.cost for measured in small}
    for measured in _at_scale(row, scale * options.grow, options):
        yield Line(row.name, measured, measured.cost / costs[measured.work] if costs.get(measured.work) else None)


def _at_scale(row: Row, scale: float, options: argparse.Namespace) -> list[Measured]:
    # By exec, as everybody starts it: a fork shares memory with what it was forked from.
    with only_by_exec(), tempfile.TemporaryDirectory(prefix="modelkeep-bench-", dir=options.folder) as folder:
        return list(row.measure(Scene(Path(folder), scale, options.rounds)))


def _table(lines: Sequence[Line], grow: float | None) -> Table:
    columns = ["", "work", "modelkeep", "peer", "ratio", "goal", ""]
    table = Table(*columns, *([f"an item at {grow:g} x the size"] if grow else []))
    for line in lines:
        measured = line.measured
        peers = measured.peers
        told = [f"{peer.name}: {_number(peer.value)}" for peer in peers if peer.value is not None]
        told += [f"{peer.name}: not installed" for peer in peers if peer.value is None]
        ratios = ["" if peer.ratio is None else f"{peer.ratio:.2f}" for peer in peers]
        cells = [
            line.row,
            "\n".join(filter(None, (measured.work, measured.size, measured.note))),
            f"{_number(measured.value)} {measured.unit}",
            "\n".join(told),
            "\n".join(ratios),
            measured.goal,
            {True: "met", False: "not met", None: ""}[measured.is_met],
        ]
        table.add_row(*cells, *([f"{line.growth:.2f} x" if line.growth else ""] if grow else []))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
