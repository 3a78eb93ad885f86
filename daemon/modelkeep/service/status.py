"""The shape of `modelkeep status --json`, from numbers that others count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelkeep import __version__
from modelkeep.base.troubles import Trouble


@dataclass(frozen=True, slots=True)
class Activity:
    """What the daemon is doing; the defaults are those of one that does not run.

    Args:
        state: `running`, `starting`, `paused`, `stopping` or `stopped`.
        pid: of the daemon, 0 when it does not run.
        uptime_s: seconds since it started.
        paused: whether the owner has paused it.
        hashing_rows: how many rows are being hashed or migrated; one whose images are published waits no more.
        hashing: what is being hashed and what waits for a worker.
        roots: path, state and number of folders of each root.
        overflows: how often the kernel dropped events.
        journal: last sequence number, number of segments and their size.
        troubles: what is wrong at this moment; only then is there a key of that name.
    """

    state: str
    pid: int = 0
    uptime_s: float = 0.0
    paused: bool = False
    hashing_rows: int = 0
    hashing: Mapping[str, object] = field(
        default_factory=lambda: {
            "active": [],
            "queued": 0,
            "queued_bytes": 0,
            "stepped_back": "",
            "workers": 0,
            "implementation": "",
        }
    )
    roots: Sequence[Mapping[str, object]] = ()
    overflows: int = 0
    journal: Mapping[str, int] = field(default_factory=dict)
    troubles: Sequence[Trouble] = ()


def status_report(counts: Mapping[str, Any], activity: Activity) -> dict[str, Any]:
    """Return the status.

    Args:
        counts: what `Catalogue.counts` returns.
        activity: what the daemon is doing.
    """
    pending = dict(counts["pending"])
    report: dict[str, Any] = {
        "state": activity.state,
        "version": __version__,
        "pid": activity.pid,
        "uptime_s": round(activity.uptime_s, 3),
        "paused": activity.paused,
        "models": counts["models"],
        "images": counts["images"],
        "tags": counts["tags"],
        "locations": dict(counts["locations"]),
        "pending": {
            "waiting": max(0, pending["waiting"] - activity.hashing_rows),
            "hashing": activity.hashing_rows,
            "conflict": pending["conflict"],
            "failed": pending["failed"],
            "missing": pending["missing"],
        },
        "hashing": dict(activity.hashing),
        "watch": {"roots": list(activity.roots), "overflows": activity.overflows},
        "journal": dict(activity.journal),
    }
    if activity.troubles:
        report["troubles"] = [
            {"part": trouble.part, "error": trouble.sentence, "since": trouble.since} for trouble in activity.troubles
        ]
    return report


def status_line(activity: Activity) -> str:
    """Return one line about what the daemon is doing, for `systemctl status`."""
    parts = [f"{trouble.part}: {trouble.sentence}" for trouble in activity.troubles]
    return "; ".join([*parts, _work(activity), _watched(activity.roots)])


def _work(activity: Activity) -> str:
    active: Any = activity.hashing["active"]
    queued, queued_bytes = _number(activity.hashing["queued"]), _number(activity.hashing["queued_bytes"])
    waiting = f", {queued:,} waiting ({_gigabytes(queued_bytes)})" if queued else ""
    if active:
        done, total = (sum(file[key] for file in active) for key in ("bytes_done", "bytes_total"))
        share = f"{100 * done // total} % of {_gigabytes(total)}" if total else "0 GB"
        speed = sum(file["bytes_per_s"] for file in active) / 1e6
        doing = f"hashing {len(active)} ({share}, {speed:,.0f} MB/s)"
    else:
        doing = "paused" if activity.paused else "idle" if not queued else "hashing"
    reason = activity.hashing["stepped_back"]
    return f"{doing}{waiting}{f', stepping back: {reason}' if reason else ''}"


def _watched(roots: Sequence[Mapping[str, object]]) -> str:
    if not roots:
        return "no root is configured"
    away = sum(1 for root in roots if root["state"] == "unreachable")
    return f"{len(roots) - away} of {len(roots)} roots watched"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB"
