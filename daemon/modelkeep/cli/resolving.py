"""Have the daemon decide conflicts, one or many, and tell what became of each row."""

from collections.abc import Iterator, Sequence
from typing import Any

from modelkeep.cli.client import DaemonClient, require
from modelkeep.cli.context import Invocation
from modelkeep.cli.exits import Refused, complain
from modelkeep.cli.output import console
from modelkeep.cli.reading import daemon_reader
from modelkeep.cli.wording import clean, count
from modelkeep.errors import Conflict

_DONE = {
    "created": "became a model",
    "merged": "merged",
    "overridden": "replaced what the model said",
    "deleted": "dropped",
    "ignored": "left in the queue",
}


def resolve_one(call: Invocation, row: int, strategy: str, path: str) -> None:
    """Decide one row; `path` says where its file lies now.

    Raises:
        Conflict: it is one still.
    """
    body = {"id": row, "conf_strategy": strategy or None} | ({"path": path} if path else {})
    with require(call.settings, call.command("run")) as client:
        try:
            answer = client.post("/api/migration/import_a_model", body, patient=True)
        except Conflict as error:
            raise Conflict(f"{error}; both sides: {call.command('pending', 'show', str(row))}") from error
    done = _DONE.get(str(answer["action_taken"]), str(answer["action_taken"]))
    console().print(f"Row {row}: {clean(done)}, model {clean(answer['sha256'])[:12]}")


def resolve_many(call: Invocation, rows: Sequence[int] | None, strategy: str) -> None:
    """Decide many rows, None for every row in conflict; each comes to its own end.

    Raises:
        Conflict: some are conflicts still.
        Refused: some failed.
    """
    with require(call.settings, call.command("run")) as client:
        wanted = list(rows) if rows is not None else _in_conflict(client)
        if not wanted:
            console().print("No row is in conflict.")
            return
        body = {"id": wanted, "conflict_strategy": strategy}
        report = client.post("/api/migration/import_models", body, patient=True)
    for line in _lines(report, strategy):
        console().print(line)
    for failed in report["failed"]:
        complain(f"row {failed['id']}: {failed['error']}")
    if report["failed"]:
        raise Refused(f"{count(len(report['failed']), 'row')} of {len(wanted)} could not be decided")
    if report["conflict"]:
        raise Conflict(f"{count(len(report['conflict']), 'row')} of {len(wanted)} stay in conflict")


def _in_conflict(client: DaemonClient) -> list[int]:
    return [int(row["id"]) for row in daemon_reader(client).rows("/api/pending", 0, state="conflict")]


def _lines(report: dict[str, Any], strategy: str) -> Iterator[str]:
    done = {"merge": "merged", "override": "replaced what their models said"}.get(strategy, "decided")
    for rows, what in (
        (report["success"], done),
        (report["deleted"], "dropped"),
        (report["ignored"], "left in the queue"),
    ):
        if rows:
            yield f"{count(len(rows), 'row')} {what}: {', '.join(map(str, sorted(rows)))}"
    for conflict in report["conflict"]:
        yield clean(f"Row {conflict['pending']['id']} stays in conflict: {conflict['pending']['path']}")
