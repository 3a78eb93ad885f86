"""Decide whether background work steps back, for the machine is wanted for something else.

The kernel tells in percent of the last ten seconds how long some process waited, or all of them that had something to
do: for a processor, for a disk, for memory (https://docs.kernel.org/accounting/psi.html).
"""

import re
from dataclasses import dataclass

_AVERAGE = re.compile(r"^(some|full) avg10=(\d+(?:\.\d+)?) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pressure:
    """What was seen of the machine, in percent; None where the kernel does not tell.

    `processor` and `memory`: some process waited. `disk`: all did that had something to do, for a single reader
    always waits for its own reads.
    """

    processor: float | None = None
    disk: float | None = None
    memory: float | None = None
    on_battery: bool = False


@dataclass(frozen=True, slots=True)
class _Bound:
    """From which percentage on background work steps back, and below which it goes on: these lie apart."""

    begin: float
    end: float
    sentence: str


_BOUNDS = {
    "memory": _Bound(15, 5, "memory is short"),
    "processor": _Bound(60, 30, "other programs want the processors"),
    "disk": _Bound(70, 40, "programs wait for the disks"),
}


def average(text: str, kind: str) -> float | None:
    """Return the percentage of the last ten seconds in a file of `/proc/pressure`; `kind` is `some` or `full`."""
    return next((float(percent) for found, percent in _AVERAGE.findall(text) if found == kind), None)


def reason_to_step_back(seen: Pressure, *, is_back: bool) -> str:
    """Return why background work steps back, empty when it need not.

    Args:
        seen: the machine as it is.
        is_back: whether it has stepped back already.
    """
    if seen.on_battery:
        return "the machine runs on battery"
    for name, bound in _BOUNDS.items():
        percent = getattr(seen, name)
        if percent is not None and percent >= (bound.end if is_back else bound.begin):
            return f"{bound.sentence} ({percent:.0f} % of the time)"
    return ""
