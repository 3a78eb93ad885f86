"""Doubles and helpers that tests of several parts share."""

import asyncio
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store.locations import location_of
from modelkeep.disk.roots import Roots, identity_at
from modelkeep.domain.detection import Found
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.migration import MigrationOrder
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Location, Strategy

NOT_UTF8 = "caf\udce9 模型.safetensors"
"""A base name whose bytes are no UTF-8."""

NOBODY = 65534

HOLD_OPEN = "import sys; file = open(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"

HoldsOpen = Callable[[Path, str], "subprocess.Popen[bytes]"]


def let_go(process: "subprocess.Popen[bytes]") -> None:
    """Have a process close its file and end."""
    with suppress(ValueError):  # it was closed already
        process.communicate(timeout=60)


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


async def location_at(catalogue: Catalogue, path: str) -> Location | None:
    """Return what the catalogue says of a path."""
    return await catalogue.database.read(location_of, path)


def followed(*paths: Path | str, accepts_empty: Callable[[str], bool] = lambda _: False) -> Roots:
    """Return roots that are followed as the folders that lie there now."""
    roots = Roots([Root(str(path)) for path in paths], accepts_empty)
    for path in map(str, paths):
        identity = identity_at(path)
        assert identity is not None
        roots.follow(path, identity)
    return roots


@contextmanager
def limited(which: int, soft: int) -> Iterator[None]:
    """Lower a limit of this process (`resource.RLIMIT_...`)."""
    before = resource.getrlimit(which)
    resource.setrlimit(which, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, before)


async def put_into_catalogue(catalogue: Catalogue, path: str, sha256: str, fingerprint: Fingerprint) -> None:
    """Bring a file into the catalogue as one that was found and hashed."""
    ((row, _),) = await catalogue.detect([Found(path, 1)], [], 0)
    order = MigrationOrder(f"m{row.id}", row.id, path, sha256, fingerprint, Strategy.AUTO)
    await catalogue.migrate([order], [], 0, lambda _: None)


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(20):
        await asyncio.sleep(0)
