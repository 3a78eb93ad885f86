"""The shape of `modelkeep status --json`, from numbers that others count."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelkeep import __version__
from modelkeep.base.troubles import Trouble


def status_report(
    state: str,
    counts: Mapping[str, Any],
    *,
    pid: int = 0,
    uptime_s: float = 0.0,
    paused: bool = False,
    hashing_rows: int = 0,
    hashing: Mapping[str, object] | None = None,
    roots: list[dict[str, object]] | None = None,
    overflows: int = 0,
    journal: Mapping[str, int] | None = None,
    troubles: Sequence[Trouble] = (),
) -> dict[str, object]:
    """Return the status.

    Args:
        state: `running`, `starting`, `paused`, `stopping` or `stopped`.
        counts: what `Catalogue.counts` returns.
        pid: of the daemon, 0 when it does not run.
        uptime_s: seconds since it started.
        paused: whether the owner has paused it.
        hashing_rows: how many of the waiting rows are being hashed.
        hashing: what is being hashed and what waits for a worker.
        roots: path, state and number of folders of each root.
        overflows: how often the kernel dropped events.
        journal: last sequence number, number of segments and their size.
        troubles: what is wrong at this moment; only then is there a key of that name.
    """
    pending = dict(counts["pending"])
    waiting = max(0, pending["waiting"] - hashing_rows)
    report: dict[str, object] = {
        "state": state,
        "version": __version__,
        "pid": pid,
        "uptime_s": round(uptime_s, 3),
        "paused": paused,
        "models": counts["models"],
        "images": counts["images"],
        "tags": counts["tags"],
        "locations": dict(counts["locations"]),
        "pending": {
            "waiting": waiting,
            "hashing": hashing_rows,
            "conflict": pending["conflict"],
            "failed": pending["failed"],
            "missing": pending["missing"],
        },
        "hashing": dict(hashing or {"active": [], "queued": 0, "queued_bytes": 0, "workers": 0}),
        "watch": {"roots": roots or [], "overflows": overflows},
        "journal": dict(journal or {"seq": 0, "segments": 0, "bytes": 0}),
    }
    if troubles:
        report["troubles"] = [
            {"part": trouble.part, "error": trouble.sentence, "since": trouble.since} for trouble in troubles
        ]
    return report


def of_type(asked: str | None) -> str | None:
    """Return the type that a caller means: `others` are the models without one, which no list of types names."""
    return "" if asked == "others" else asked
