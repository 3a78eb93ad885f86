"""What a short life of a data folder is to do; travels as JSON between a test and the process that lives it."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

PHASES = ("recovered", "imported", "idle", "resolved", "closed")
"""What a life acknowledges, in this order."""


@dataclass(frozen=True)
class Job:
    """One life: open, import, migrate until nothing is due, resolve the conflict, close.

    Args:
        data_dir: the data folder.
        source: the legacy database.
        root: the folder of models.
        acknowledgements: file to which each phase is written when it is over.
        output: file that takes standard output and error.
        until: the last phase.
        fail_point: `name@n` at which the process ends.
        armed_by: the phase from whose end on the fail point counts; empty: from the beginning.
        fail_point_log: file that takes the points that are reached.
        cut: mount point whose power is cut at the fail point.
        careless: the program's own syncs do nothing, to show that a cut of the power is one.
        inline: decode and hash in threads of the one process, so that a kill at a point ends all at once.
        names_seed: lets ids and names of staged files come out the same in every run; 0: they are random.
        segment_bytes, keep_segments: of the journal; the segments are as small as the settings allow.
        program: which part lives; see `lives.py`.
        gate: named pipe at which it waits until somebody has taken hold of it and opens that; empty: for nobody.
        sync_log: file that takes, before each fsync, which functions of the program asked for it.
    """

    data_dir: str
    source: str
    root: str
    acknowledgements: str
    output: str
    until: str = "closed"
    fail_point: str = ""
    armed_by: str = ""
    fail_point_log: str = ""
    cut: str = ""
    careless: bool = False
    inline: bool = True
    names_seed: int = 0
    segment_bytes: int = 4096
    keep_segments: int = 1000
    program: str = "life"
    gate: str = ""
    sync_log: str = ""

    def but(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it from a line."""
        return cls(**json.loads(text))
