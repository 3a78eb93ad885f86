"""What a check says."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from modelkeep.domain.naming import in_brief

_EXAMPLE_COLUMNS = 240


class Severity(StrEnum):
    """How much a finding matters to the owner."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    WARNING = "warning"
    """Something works worse than it could, or will not work for long."""
    PROBLEM = "problem"
    """Something does not work, or what is kept is not whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says in one sentence, and what can be done about it.

    `repairable` tells that `modelkeep doctor --repair` mends it.
    """

    check: str
    severity: Severity
    sentence: str
    remedy: str = ""
    repairable: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether something should be done about it."""
        return self.severity in (Severity.WARNING, Severity.PROBLEM)

    def as_json(self) -> dict[str, object]:
        """Return the shape in which programs get it."""
        return asdict(self)


def fine(check: str, sentence: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(check, Severity.OK, sentence)


FIRST_START = (
    "nothing to do: the daemon creates it when it first starts; one that is elsewhere is named with --data-dir"
)


def note(check: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(check, Severity.NOTE, sentence, remedy)


def warning(check: str, sentence: str, remedy: str, *, repairable: bool = False) -> Finding:
    """Return a finding that something works worse than it could."""
    return Finding(check, Severity.WARNING, sentence, remedy, repairable)


def problem(check: str, sentence: str, remedy: str, *, repairable: bool = False) -> Finding:
    """Return a finding that something is broken."""
    return Finding(check, Severity.PROBLEM, sentence, remedy, repairable)


def are_fine(findings: Iterable[Finding]) -> bool:
    """Return whether nothing has to be done."""
    return not any(finding.is_wrong for finding in findings)


def examples(names: Sequence[str], most: int = 5) -> str:
    """Return the first of many names as a text, and how many more there are."""
    shown = ", ".join(in_brief(name, _EXAMPLE_COLUMNS) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 image`, `1,204 images`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
