"""Doubles and helpers that tests of several parts share."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelkeep.disk.roots import Roots, identity_at
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Fingerprint
from modelkeep.errors import HashCancelled, HashError, NoWorkers
from modelkeep.pipeline.hash_worker import Digest

NOT_UTF8 = "caf\udce9 模型.safetensors"
"""A base name whose bytes are no UTF-8."""

NOBODY = 65534

HOLD_OPEN = "import sys; file = open(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"

HoldsOpen = Callable[[Path, str], "subprocess.Popen[bytes]"]


def let_go(process: "subprocess.Popen[bytes]") -> None:
    """Have a process close its file and end."""
    with suppress(ValueError):  # it was closed already
        process.communicate(timeout=10)


@contextmanager
def without_rights() -> Iterator[None]:
    """Run as a user to whom nothing belongs, if we are root: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def followed(*paths: Path | str, accepts_empty: Callable[[str], bool] = lambda _: False) -> Roots:
    """Return roots that are followed as the folders that lie there now."""
    roots = Roots([Root(str(path)) for path in paths], accepts_empty)
    for path in map(str, paths):
        identity = identity_at(path)
        assert identity is not None
        roots.follow(path, identity)
    return roots


class GatedPool:
    """Begins what it is given and ends it when the test says how."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.begun: list[str] = []
        self.running: dict[str, asyncio.Future[Digest]] = {}

    async def digest(self, path: str, size_bytes: int) -> Digest:
        assert len(self.running) < self.workers, "more work than workers"
        self.begun.append(path)
        self.running[path] = asyncio.get_running_loop().create_future()
        try:
            return await self.running[path]
        finally:
            del self.running[path]

    def cancel_all(self) -> None:
        for path in list(self.running):
            self.end(path, HashCancelled("called off"))

    def end(self, path: str, error: HashError | NoWorkers | None = None, digest: Digest | None = None) -> None:
        """End the reading of a file, with a made-up digest unless one is given."""
        if error is None:
            self.running[path].set_result(digest or Digest(path * 2, Fingerprint(0, 0, 0, 0)))
        else:
            self.running[path].set_exception(error)


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(20):
        await asyncio.sleep(0)
