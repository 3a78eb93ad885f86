"""What the owner reads about a row of the queue that waits for a decision."""

from collections.abc import Sequence

from modelkeep.domain.planning import Decision
from modelkeep.domain.values import Action, Model, PendingImport, Strategy


def conflict_reason(sha256: str, existing: Model | None, decision: Decision) -> str:
    """Return why a row waits for the owner though its content is in the catalogue."""
    name = (existing.name or existing.path) if existing else sha256[:12]
    if decision.action is Action.IGNORED:
        return f"the same content is in the catalogue as {name}; the strategy '{Strategy.IGNORE}' keeps this row"
    if decision.lost_keys:
        differing = ", ".join(decision.lost_keys)
        return f"the same content is in the catalogue as {name}, and these differ: {differing}; choose a strategy"
    return f"the same content is in the catalogue as {name}; choose a strategy"


def replaced_reason(pending: PendingImport, existing: Model | None, lost: Sequence[str]) -> str:
    """Return why a row waits at whose path another file lies than the one that it is about."""
    if existing is None:
        return (
            f"its file had the content {pending.sha256[:12]}, and another one lies at its path now; "
            f"say where it lies: modelkeep pending resolve {pending.id} --at PATH, or drop the row"
        )
    differing = f" and differs in {', '.join(lost)}" if lost else ""
    return (
        f"another file lies at its path now; the content that it is about is in the catalogue as "
        f"{existing.name or existing.path}{differing}; choose a strategy"
    )
