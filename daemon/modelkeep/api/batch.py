"""Migrate many rows of the queue at once; each comes to its own end."""

import asyncio
from collections.abc import Sequence

import structlog

from modelkeep.api.backend import Backend
from modelkeep.api.failures import UNEXPECTED, sentence_of
from modelkeep.api.pending import conflict_of
from modelkeep.api.shapes import Shape
from modelkeep.domain.values import Action, Strategy
from modelkeep.errors import Conflict, ModelkeepError

log = structlog.get_logger("modelkeep.api")

AT_ONCE = 64
"""Rows that are on their way at a time: enough for every hashing process, and for migrations that share a commit."""

_LISTS = {Action.IGNORED: "ignored", Action.DELETED: "deleted"}


async def import_rows(backend: Backend, ids: Sequence[int], strategy: Strategy | None) -> Shape:
    """Hash and migrate rows side by side; return what became of each.

    Args:
        backend: the daemon.
        ids: the rows.
        strategy: what to do when a content is known; None: that row is a conflict.
    """
    wanted = list(dict.fromkeys(ids))
    report: Shape = {
        "total": len(wanted),
        **{name: [] for name in ("success", "conflict", "ignored", "deleted", "failed")},
    }
    places = asyncio.Semaphore(AT_ONCE)

    async def import_one(row_id: int) -> tuple[str, object]:
        async with places:
            return await _outcome(backend, row_id, strategy)

    for name, told in await asyncio.gather(*(import_one(row_id) for row_id in wanted)):
        report[name].append(told)
    return report


async def _outcome(backend: Backend, row_id: int, strategy: Strategy | None) -> tuple[str, object]:
    """Migrate one row; return the list in which it is told of, and what is told."""
    try:
        _, action = await backend.resolve_in_turn(row_id, strategy)
    except Conflict as conflict:
        return await _conflict(backend, row_id, conflict)
    except ModelkeepError as error:
        return "failed", {"id": row_id, "error": sentence_of(error)}
    except Exception:
        # Nobody foresaw it; the other rows have to come to their ends all the same.
        log.exception("import.failed", id=row_id)
        return "failed", {"id": row_id, "error": UNEXPECTED}
    return _LISTS.get(action, "success"), row_id


async def _conflict(backend: Backend, row_id: int, conflict: Conflict) -> tuple[str, object]:
    sides = await conflict_of(backend.library, row_id)
    if sides is None:
        return "failed", {"id": row_id, "error": sentence_of(conflict)}
    model = sides["existing"]["model"]
    return "conflict", {
        "pending": {"id": row_id, "path": sides["pending"]["path"]},
        "existing": {"id": model["sha256"], "path": model["path"]},
    }
