"""The short lives: open a data folder, import, migrate until nothing is due, resolve the conflict, close.

Each phase is acknowledged when it is over, by a line in a file that lies elsewhere: from then on the owner counts on
it. A life goes on where a killed one has stopped, so living it again and again until it closes has to come to the
same end as living it once.
"""

import asyncio
import ctypes
import gc
import importlib
import itertools
import json
import os
import random
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from tests.crash import sync_log
from tests.crash.job import Job
from tests.crash.power import cut_power
from tests.crash.tiny_library import make_library
from tests.fakes import followed
from tests.waiting import wait_until

from modelkeep.base import failpoints, workers
from modelkeep.catalogue.upgrade import back_up, upgrade
from modelkeep.dev.hashing_double import StandInHashing
from modelkeep.disk import looks
from modelkeep.disk.durable import make_folder
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.values import PendingState, Priority, Strategy, TierFile
from modelkeep.errors import JournalError, ModelkeepError
from modelkeep.images import tiers  # noqa: F401 - loaded once, before the forks
from modelkeep.images.store import ImageStore
from modelkeep.importers import reading, registry  # noqa: F401 - likewise
from modelkeep.journal.keeper import REOPEN_SECONDS, JournalKeeper
from modelkeep.journal.writer import JournalWriter
from modelkeep.pipeline.hash_pool import HashPool
from modelkeep.pipeline.runner import Pipeline, PipelineOptions
from modelkeep.service import holdings
from modelkeep.service.holdings import Holdings, open_holdings
from modelkeep.service.importing import import_stream
from modelkeep.settings.model import JournalSettings, RootSettings, Settings
from modelkeep.watch.context import Context
from modelkeep.watch.intake import Intake

P = ParamSpec("P")
T = TypeVar("T")

_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
"""PR_SET_PTRACER and PR_SET_PTRACER_ANY of prctl(2)."""

TOLD_FAILURE, UNTOLD_FAILURE = 1, 2
PATIENCE_SECONDS = 60.0
Acknowledge = Callable[[str], bool]
"""Writes down that a phase is over; returns whether the life goes on."""


def main(argument: str) -> None:
    """Live one job, or serve."""
    if argument == "--serve":
        serve()
    else:
        live(Job.from_json(argument))


def serve() -> None:
    """Live each job of standard input in a fork; answer with its process id, and with its exit status at its end."""
    rehearse()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            live(Job.from_json(line))
        print(json.dumps(child), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def rehearse() -> None:
    """Live once in this process: forks of it find ready what each would make ready anew, statements above all.

    Nothing else is left of it when this returns: no thread, no open file, and no folder.
    """
    with TemporaryDirectory() as folder, ExitStack() as patches:
        for module in (holdings, reading):
            patches.enter_context(patch.object(module, "WorkerPool", InlinePool))
        patches.enter_context(patch.object(looks, "IDLE_SECONDS", 0.0))
        library = make_library(Path(folder))
        data_dir, source, root = (str(path) for path in (Path(folder) / "state", library.source, library.root))
        asyncio.run(life(Job(data_dir, source, root, acknowledgements="", output=""), lambda _: True))
        wait_until(lambda: len(list(Path("/proc/self/task").iterdir())) == 1, what="the rehearsal's threads to end")


def live(job: Job) -> None:
    """Live one job and end this process, as soon as it is over and without any clean-up."""
    output = os.open(job.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(output, number)
    end = os._exit
    if job.gate:
        _wait_at(job.gate)
    _prepare(job)
    try:
        asyncio.run(_program(job.program)(job, _acknowledger(job)))
    except (ModelkeepError, OSError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        end(TOLD_FAILURE)
    except BaseException:
        traceback.print_exc()
        end(UNTOLD_FAILURE)
    end(0)


def _program(name: str) -> "Program":
    for others in ("owner_lives", "exchange_lives"):
        if name not in PROGRAMS:
            PROGRAMS.update(importlib.import_module(f"tests.crash.{others}").PROGRAMS)
    return PROGRAMS[name]


def _wait_at(gate: str) -> None:
    """Wait until somebody opens a named pipe who has taken hold of this process, as whoever wants to may do."""
    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY)  # where Yama would have only its parents trace it
    Path(gate).read_bytes()


def _prepare(job: Job) -> None:
    os.environ["MODELKEEPTEST_FAILPOINT_LOG"] = job.fail_point_log
    _arm("" if job.armed_by else job.fail_point)
    if job.cut:
        _cut_before_ending(job.cut)
    if job.careless:
        for name in ("fsync", "fdatasync"):
            setattr(os, name, lambda _: None)
    if job.inline:
        for module in (holdings, reading):
            setattr(module, "WorkerPool", InlinePool)  # noqa: B010
    if job.names_seed:
        _fix_names(job.names_seed)
    if job.sync_log:
        _note_syncs(job.sync_log)


def _arm(fail_point: str) -> None:
    os.environ["MODELKEEPTEST_FAILPOINT"] = fail_point
    importlib.reload(failpoints)


def _cut_before_ending(mount_point: str) -> None:
    end = os._exit

    def cut_and_end(status: int) -> None:
        cut_power(mount_point)
        end(status)

    setattr(os, "_exit", cut_and_end)  # noqa: B010


def _fix_names(seed: int) -> None:
    bits = random.Random(seed)
    for module in (os, random):
        setattr(module, "urandom" if module is os else "_urandom", bits.randbytes)


def _note_syncs(log: str) -> None:
    """Have each sync of this process, and of its workers, note who asked for it."""
    sync_log.install(log)
    workers.PROGRAM = f"from tests.crash.sync_log import install; install({log!r}); {workers.PROGRAM}"


def _acknowledger(job: Job) -> Acknowledge:
    descriptor = os.open(job.acknowledgements, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def acknowledge(phase: str) -> bool:
        os.write(descriptor, f"{phase}\n".encode())
        if phase == job.armed_by:
            _arm(job.fail_point)
        return phase != job.until

    return acknowledge


class InlinePool:
    """Stands in for a pool of worker processes: what a worker does is done in a thread."""

    def __init__(self, workers: int, _initializer: Callable[[], None] | None = None) -> None:
        self.workers = workers

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def shutdown(self) -> None:
        """Do nothing."""

    def abandon(self, _seconds: float = 0.0) -> bool:
        """Do nothing."""
        return True


# The whole


async def life(job: Job, acknowledge: Acknowledge) -> None:
    """Live the life of a data folder."""
    settings = Settings(
        data_dir=Path(job.data_dir),
        roots=(RootSettings(path=Path(job.root)),),
        journal=JournalSettings(segment_bytes=job.segment_bytes, keep_segments=job.keep_segments),
    )
    async with open_holdings(settings, "a test") as kept:
        if not acknowledge("recovered"):
            return
        async for _ in import_stream(kept, ImportOrder("hikaze", job.source)):
            pass
        if not acknowledge("imported"):
            return
        async with _pipeline(job, kept) as pipeline:
            await _until_idle(kept, pipeline)
            if not acknowledge("idle"):
                return
            for row in await kept.catalogue.pending_imports(PendingState.CONFLICT):
                await pipeline.migrate_now(row.id, Strategy.OVERRIDE)
            if not acknowledge("resolved"):
                return
    acknowledge("closed")


@asynccontextmanager
async def _pipeline(job: Job, kept: Holdings) -> AsyncIterator[Pipeline]:
    own_looks = DiskLooks(followed(job.root))
    pool = HashPool(1, step_back=False)
    pipeline = Pipeline(
        PipelineOptions(settle_seconds=0.0, retry_base_seconds=0.02, strategy=Strategy.AUTO),
        kept.catalogue,
        kept.images,
        kept.journal,
        kept.changes,
        StandInHashing(pool, _digest_of, own_looks) if job.inline else pool,
        own_looks,
        kept.troubles,
        on_touched=lambda _: None,
    )
    context = Context(kept.catalogue, pipeline, kept.journal.append_many, own_looks, (".safetensors",))
    intake = Intake(context, lambda _: None)
    running = asyncio.create_task(pipeline.run())
    try:
        await intake.scans.scan(job.root, Priority.SWEEP)
        yield pipeline
    finally:
        await pipeline.stop_hashing()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()


def _digest_of(path: str) -> str:
    from tests.libraries import sha256_of

    return sha256_of(Path(path))


async def _until_idle(kept: Holdings, pipeline: Pipeline) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await _has_work(kept, pipeline):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not come to rest within {PATIENCE_SECONDS:g} s")
        if pipeline.is_idle:
            pipeline.sweep()
        await asyncio.sleep(0.004)


async def _has_work(kept: Holdings, pipeline: Pipeline) -> bool:
    if not pipeline.is_idle or await kept.catalogue.claims(1):
        return True
    states = (PendingState.WAITING, PendingState.FAILED)
    return any([await kept.catalogue.pending_imports(state, limit=1) for state in states])


# Parts of it, which promise that something is durable when they return


async def write_journal(job: Job, acknowledge: Acknowledge) -> None:
    """Write a journal over some segments; acknowledges the number of the last record that is durable."""
    journal = JournalWriter.open(Path(job.data_dir) / "deep" / "journal", segment_bytes=job.segment_bytes)
    acknowledge(str(journal.seq))
    for _ in range(4):
        for number in range(15):
            journal.write("file.detected", path=f"/models/{number}", note="x" * 60)
        journal.sync()
        acknowledge(str(journal.seq))
    journal.write("daemon.stopped", reason="the end")
    seq = journal.seq
    journal.close()
    acknowledge(str(seq))


async def keep_images(job: Job, acknowledge: Acknowledge) -> None:
    """Copy and render an image; acknowledges each step that shall last."""
    store = ImageStore(Path(job.data_dir) / "images", InlinePool(1))
    source = Path(job.source)
    staged = store.stage_copy(source, "copy")
    store.place_pending(staged, "1.png")
    store.sync_pending()
    acknowledge("kept")
    rendered = await store.render(source, "tier")
    acknowledge("rendered")
    store.publish([TierFile(staged, f"{quality}.webp") for quality, staged in rendered.staged.items()])
    store.sync()
    acknowledge("published")


async def put_orphans_aside(job: Job, acknowledge: Acknowledge) -> None:
    """Put aside an original without a row, and place another."""
    store = ImageStore(Path(job.data_dir) / "images", InlinePool(1))
    store.sweep_pending(())
    store.place_pending(store.stage_copy(Path(job.source), "copy"), "1.png")
    store.sync_pending()
    acknowledge("kept")


async def back_up_catalogue(job: Job, acknowledge: Acknowledge) -> None:
    """Make the copy of a catalogue that precedes an upgrade."""
    acknowledge(back_up(Path(job.data_dir) / "modelkeep.db", "0002"))


async def make_catalogue(job: Job, acknowledge: Acknowledge) -> None:
    """Make a catalogue in a folder that is there."""
    make_folder(Path(job.data_dir))
    upgrade(Path(job.data_dir) / "modelkeep.db")
    acknowledge("made")


async def write_journal_anew(job: Job, acknowledge: Acknowledge) -> None:
    """Write a journal whose syncs may fail; acknowledges the number of the last record that is durable."""
    folder, seconds = Path(job.data_dir) / "deep" / "journal", itertools.count(step=REOPEN_SECONDS)
    journal = JournalKeeper(lambda: JournalWriter.open(folder), clock=lambda: next(seconds))
    for number in range(20):
        journal.write("file.detected", path=f"/models/{number}")
        with suppress(JournalError):
            journal.sync()
            acknowledge(str(journal.seq))


async def repair_folder(job: Job, acknowledge: Acknowledge) -> None:
    """Have `modelkeep doctor --repair` mend a data folder."""
    from modelkeep.doctor.repair import repair

    report = await repair(Settings(data_dir=Path(job.data_dir), roots=(RootSettings(path=Path(job.root)),)))
    print(report)
    acknowledge("repaired")


async def write_configuration(job: Job, acknowledge: Acknowledge) -> None:
    """Have `modelkeep init` write a configuration into folders that are still to be made."""
    from modelkeep.cli.app import app

    config = Path(job.data_dir) / "deep" / "modelkeep.toml"
    app(["--config", str(config), "init", "--root", job.root], standalone_mode=False)
    acknowledge("written")


Program = Callable[[Job, Acknowledge], Coroutine[Any, Any, None]]

PROGRAMS: dict[str, Program] = {
    "life": life,
    "journal": write_journal,
    "images": keep_images,
    "orphans": put_orphans_aside,
    "backup": back_up_catalogue,
    "catalogue": make_catalogue,
    "journal anew": write_journal_anew,
    "repair": repair_folder,
    "init": write_configuration,
}
