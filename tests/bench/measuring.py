"""What is measured, beside whom, and how it compares: medians of runs in turn, A B A B …"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

Run = Callable[[], float]
"""Does the work once and returns the seconds that it took."""


@dataclass(frozen=True)
class Peer:
    """Another program at the same work; without a figure it is not installed here."""

    name: str
    value: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    `cost` is what one item costs (seconds, bytes): growth compares it between two sizes of the same work.
    """

    work: str
    size: str
    value: float
    unit: str
    cost: float
    goal: str = ""
    is_met: bool | None = None
    peers: tuple[Peer, ...] = ()
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the line for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Compared:
    """The median seconds of our runs, those of each peer, and the medians of the ratios (our time to theirs)."""

    seconds: float
    peers: Mapping[str, float | None]
    ratios: Mapping[str, float | None]

    def told(self, value: Callable[[float], float], *, as_throughput: bool) -> tuple[Peer, ...]:
        """Return the peers with their figures; the ratio is that of throughputs, or that of times."""
        return tuple(
            Peer(name)
            if seconds is None or ratio is None
            else Peer(name, value(seconds), 1 / ratio if as_throughput else ratio)
            for name, seconds, ratio in ((name, self.peers[name], self.ratios[name]) for name in self.peers)
        )


def side_by_side(ours: Run, peers: Mapping[str, Run | None], rounds: int) -> Compared:
    """Run our work and that of the peers in turn; a peer that is None is not installed."""
    taken: list[float] = []
    others: dict[str, list[float]] = {name: [] for name, run in peers.items() if run is not None}
    for _ in range(rounds):
        taken.append(ours())
        for name, run in peers.items():
            if run is not None:
                others[name].append(run())
    return Compared(
        statistics.median(taken),
        {name: statistics.median(others[name]) if name in others else None for name in peers},
        {
            name: statistics.median(a / b for a, b in zip(taken, others[name], strict=True))
            if name in others
            else None
            for name in peers
        },
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which so many percent of all lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
