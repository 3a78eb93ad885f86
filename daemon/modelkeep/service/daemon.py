"""The daemon: builds the parts, starts them in order, stops them in order."""

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modelkeep.base.clock import JumpWatch, now_ms
from modelkeep.base.log import configure_logging, get_logger
from modelkeep.base.memory import give_back_memory
from modelkeep.base.notify import ServiceManager
from modelkeep.base.patience import within
from modelkeep.base.persistence import persist
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.header_images import HeaderImages
from modelkeep.changes.owner import OwnerActs
from modelkeep.changes.source_images import SourceImages
from modelkeep.changes.successions import Successions
from modelkeep.disk.exported import ExportedFiles
from modelkeep.disk.looks import DiskLooks, apart
from modelkeep.disk.mounts import is_network_file_system
from modelkeep.disk.pressure import look_at_pressure
from modelkeep.disk.roots import Roots
from modelkeep.domain.events import FileAppeared, WatchEvent
from modelkeep.domain.hashing import Hashing
from modelkeep.domain.naming import SHADOW_PREFIX
from modelkeep.domain.values import Record
from modelkeep.errors import CatalogueError, SettingsError
from modelkeep.journal.contents import Indexed, write_next_index
from modelkeep.pipeline.hash_pool import HashPool
from modelkeep.pipeline.manners import Manners
from modelkeep.pipeline.runner import Pipeline, PipelineOptions
from modelkeep.service.holdings import Holdings, identity, open_holdings
from modelkeep.service.operations import Operations
from modelkeep.service.resting import Resting
from modelkeep.service.schedule import Job, Schedule
from modelkeep.service.serving import HttpInterface
from modelkeep.service.status import status_line
from modelkeep.service.supervision import STUCK_SECONDS, supervised
from modelkeep.service.telling import tell
from modelkeep.settings.model import Settings
from modelkeep.watch.context import Context
from modelkeep.watch.coverage import UNWATCH_SECONDS
from modelkeep.watch.intake import EVENTS_MAX, Intake
from modelkeep.watch.roots import RootKeeper
from modelkeep.watch.sidecar_folders import SidecarFolders
from modelkeep.watch.sidecars import Sidecars
from modelkeep.watch.watcher import EventQueue, Watcher

if TYPE_CHECKING:
    from modelkeep.dev.mock_hasher import MockHasher

LOOK_AT_ROOTS_SECONDS = 5.0
IMAGE_WORKERS_IDLE_SECONDS = 60.0
THREAD_TURN_SECONDS = 0.001
END_SECONDS = 1.0
"""How long threads may take to end when all else has."""

_log = get_logger("service")


def run_daemon(settings: Settings, *, announce: Callable[[str], None], log_level: str = "info") -> int:
    """Run until SIGTERM or SIGINT; returns the exit status.

    Args:
        settings: the configuration.
        announce: shows a sentence to whoever started it.
        log_level: from which on the operational log says something.

    Raises:
        DataDirectoryBusy: another daemon holds the data folder.
        SettingsError: the address is in use, or the configuration is wrong.
        CatalogueError: the catalogue cannot be opened.
        JournalError: the journal cannot be opened.
    """
    configure_logging(log_level)
    faulthandler.enable()  # the service manager ends what hangs by SIGABRT: the log then says where it hung
    # A request is handed from the event loop to a thread and back: each time a busy thread may go on for so long.
    sys.setswitchinterval(THREAD_TURN_SECONDS)
    # A file lease that is broken in the instant in which it is asked for sends SIGIO, whose default is to end us.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    threads = ThreadPoolExecutor(thread_name_prefix="work")
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(threads)
        try:
            status = runner.run(_run(settings, announce))
        except Exception as error:
            if _hangs(threads):
                announce(f"ended by an error: {error}")
                _leave(1)
            raise
        if _hangs(threads):
            _leave(status)
    return status


def _hangs(threads: ThreadPoolExecutor) -> bool:
    """Return whether something is left that waits for a disk; the interpreter would wait for it too."""

    def end() -> bool:
        threads.shutdown(cancel_futures=True)
        return bool(multiprocessing.active_children())

    return within(END_SECONDS, end, otherwise=True)


def _leave(status: int) -> NoReturn:
    """End the process now: everything that has to last is closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _run(settings: Settings, announce: Callable[[str], None]) -> int:
    async with (
        supervised(ServiceManager()) as supervision,
        open_holdings(settings, "modelkeep run", tell) as holdings,
    ):
        daemon = Daemon(settings, holdings)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(supervision.reload(daemon.reload)))
        await daemon.start()
        gc.freeze()  # what a start made stays; to look for garbage in it would hold up requests
        roots = len(settings.model_roots())
        watched = f"{roots} root{'' if roots == 1 else 's'}"
        announce(f"ready at {daemon.url}, {watched}, data in {settings.data_dir}")
        supervision.ready(daemon.status_line, daemon.stuck_part)
        await daemon.wait(stop)
        supervision.stopping()
        announce("stopping")
        await daemon.stop()
    announce("stopped")
    return 0


class Daemon:
    """The parts and how they work together."""

    def __init__(self, settings: Settings, holdings: Holdings) -> None:
        self._settings = settings
        self._holdings = holdings
        self._catalogue = holdings.catalogue
        self._journal = holdings.journal
        self._began = time.monotonic()
        self._clock = JumpWatch()
        self._state = "starting"
        self._indexed: set[Indexed] = set()
        self._looked_at_seq = 0
        self._tasks: list[asyncio.Task[None]] = []
        extensions = settings.watch.extensions
        silence_seconds = settings.watch.silence_seconds
        self._roots = Roots(settings.model_roots(), _is_shadow if settings.dev else lambda _: False)
        self._looks = DiskLooks(self._roots, silence_seconds)
        self._mock: MockHasher | None = None
        self._pool = HashPool(
            settings.hashing.workers,
            step_back=settings.hashing.yield_under_pressure,
            with_tensors=settings.hashing.tensor_digests,
            silence_seconds=silence_seconds,
            on_silent=self._roots.ask_check,
        )
        hasher = self._hashing()
        self._events = EventQueue(asyncio.get_running_loop())
        self._watcher = Watcher(self._events.put, extensions, _polling(settings.watch.polling))
        options = PipelineOptions(
            settings.watch.settle_seconds,
            settings.sweep.retry_base_seconds,
            settings.migration.strategy,
            settings.hashing.tensor_digests,
        )
        acts = OwnerActs(holdings.catalogue, holdings.images, holdings.changes, now_ms, self._looks)
        record = holdings.journal.append_many
        images = HeaderImages(holdings.catalogue, acts, self._looks, record)
        self._successions = Successions(holdings.catalogue, acts, record, holdings.troubles, images)
        self._pipeline = Pipeline(
            options,
            holdings.catalogue,
            holdings.images,
            holdings.journal,
            holdings.changes,
            hasher,
            self._looks,
            holdings.troubles,
            on_touched=lambda path: self._events.put(FileAppeared(path)),
            manners=Manners(look_at_pressure) if settings.hashing.yield_under_pressure else None,
            successions=self._successions,
            on_read=lambda hashes: self._sidecars.hear_contents(hashes),
        )
        context = Context(holdings.catalogue, self._pipeline, holdings.journal.append_many, self._looks, extensions)
        self._intake = Intake(context, self._lost_track)
        self._keeper = RootKeeper(
            context, self._watcher, self._intake.scans, holdings.troubles, on_return=self._pipeline.sweep
        )
        self._schedule = Schedule(
            [
                Job("sweep", settings.sweep.interval_seconds, self._sweep),
                Job("rescan", settings.watch.rescan_seconds, self._rescan),
                Job("roots", LOOK_AT_ROOTS_SECONDS, self._look_around),
                Job("house", IMAGE_WORKERS_IDLE_SECONDS, self._keep_house),
            ]
        )
        self._resting = Resting(
            lambda: self._journal.seq + self._operations.library.answered,
            lambda: self._catalogue.database.transactions,
            lambda: self._pipeline.is_idle,
            self._catalogue.database.release_memory,
        )
        self._sidecars = self._beside_models()
        holdings.journal.on_records = self._hear_records
        self._operations = Operations(
            holdings,
            self._pipeline,
            self._keeper,
            self._watcher,
            hasher,
            extensions,
            self._looks,
            state=lambda: self._state,
            url=lambda: self.url,
            is_behind=lambda: self._events.is_behind,
            after_import=self._after_import,
            fallback_encoding=settings.sidecars.fallback_encoding,
        )
        self._http = HttpInterface(settings, self._operations)

    # Life

    async def start(self) -> None:
        """Start the parts in order: nothing is taken in before all that follows can take it on."""
        self._http.bind()
        self._journal.append("daemon.started", **identity(), reason="modelkeep run")
        await self._http.start()
        if await self._catalogue.is_paused():
            self._pipeline.pause()
        await self._learn_hashes()
        self._tasks = [
            asyncio.create_task(part, name=name)
            for name, part in (
                ("pipeline", self._pipeline.run()),
                ("intake", self._apply_events()),
                ("sidecars", self._sidecars.run(lambda act: persist(act, self._holdings.troubles))),
                ("roots", self._keeper.run()),
                ("successions", self._successions.run()),
            )
        ]
        await self._keeper.start()
        self._schedule.start()
        self._pipeline.sweep()
        self._successions.look()
        self._state = "running"

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait until asked to stop, or until a part ends by an error, which is raised."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            self._journal.append("daemon.stopped", **identity(), reason=f"{task.get_name()} ended by an error")
            await task

    async def stop(self) -> None:
        """Stop in order: no new work, running hashes called off, the migration in hand finished, journal closed."""
        self._state = "stopping"
        self._looks.hasten()
        self._pool.hasten()
        await self._schedule.stop()
        await self._operations.stop_imports()
        await apart(UNWATCH_SECONDS, self._watcher.stop)
        await self._pipeline.stop_hashing()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.stop()
        await self._pool.close()
        self._journal.append("daemon.stopped", **identity(), reason="asked to stop")

    async def reload(self) -> None:
        """Read the configuration again: roots are added and removed; what else changed needs a restart."""
        try:
            fresh = await asyncio.to_thread(self._settings.reloaded)
            roots = await asyncio.to_thread(fresh.model_roots)
        except SettingsError as error:
            _log.error("settings.refused", reason=str(error), kept="the settings of before")
            return
        await self._keeper.change(roots)
        _log.info("settings.reloaded", roots=[root.path for root in roots])

    @property
    def url(self) -> str:
        """Where the HTTP interface is."""
        return self._http.url

    def status_line(self) -> str:
        """Return one line about what it is doing."""
        return status_line(self._operations.activity())

    def stuck_part(self) -> str:
        """Return the name of a part that comes no further and does not say why; empty when there is none."""
        if self._holdings.troubles.current():
            return ""  # it waits for a disk or for the owner: a restart would help nobody
        if self._events.stalled_seconds > STUCK_SECONDS:
            return "intake"
        # The others walk through roots, which takes as long as their disks want; silent ones are noticed as such.
        return self._schedule.hung(("sweep", "house"), STUCK_SECONDS)

    async def _apply_events(self) -> None:
        while True:
            await self._apply(await self._events.take(EVENTS_MAX))

    async def _apply(self, events: Sequence[WatchEvent]) -> None:
        self._sidecars.hear(events)
        # Taking the same events in twice is fine: they only say where to look.
        await persist(partial(self._intake.apply, events), self._holdings.troubles)

    def _lost_track(self, root: str) -> None:
        self._journal.append("watch.overflowed", root=root, overflows=self._watcher.overflows)
        self._roots.ask_rescan(root)

    async def _sweep(self) -> None:
        jump = self._clock.look()
        if jump is not None:
            # Set forward, it makes rows due early, and that is all. Set back, what was due has to be so by it too.
            back_ms = min(0, jump.shift_ms)
            rows = await self._catalogue.shift_due(jump.before_ms + back_ms, back_ms) if back_ms else 0
            self._journal.append("clock.jumped", shift_ms=jump.shift_ms, rows=rows)
        before = len(self._pipeline.in_hand)
        self._pipeline.sweep()
        await self._keeper.look_outside()
        # Counting all that there is would bring back each minute what was given back of memory.
        counts = await self._catalogue.pending_counts()
        if before or counts["waiting"]:  # rows that wait for the owner are no news
            self._journal.append("sweep.finished", in_hand=before, **counts)

    async def _rescan(self) -> None:
        await self._keeper.rescan_all("scheduled")
        self._sidecars.look_everywhere(self._keeper.watched)

    async def _look_around(self) -> None:
        await self._keeper.check()
        if self._journal.seq != self._looked_at_seq:  # a file may be gone whose weights lie under another header
            self._looked_at_seq = self._journal.seq
            self._successions.look()
        await self._resting.look()

    async def _keep_house(self) -> None:
        with suppress(CatalogueError):  # its troubles are told by whoever has something to write
            await self._catalogue.prove_writer()
        await self._holdings.changes.tend()
        self._successions.look()
        if self._pipeline.is_idle:
            await asyncio.to_thread(self._holdings.image_pool.release)
            if await asyncio.to_thread(write_next_index, self._holdings.directory.journal, self._indexed):
                await asyncio.to_thread(give_back_memory)

    def _hashing(self) -> Hashing:
        """Return what hashes: the pool, in a developer's daemon with a double before it that knows stand-in files."""
        if not self._settings.dev:
            return self._pool
        # Nobody else needs what developers do.
        from modelkeep.dev.hashing_double import StandInHashing
        from modelkeep.dev.mock_hasher import MockHasher

        self._mock = MockHasher()
        return StandInHashing(self._pool, self._mock.digest, self._looks)

    def _beside_models(self) -> Sidecars:
        """Return what takes in what other tools keep beside models."""
        kept, settings = self._holdings, self._settings
        record = kept.journal.append_many
        acts = OwnerActs(kept.catalogue, kept.images, kept.changes, now_ms, self._looks)
        adoption = Adoption(kept.catalogue, kept.changes, now_ms)
        folders = SidecarFolders(
            kept.catalogue,
            adoption,
            self._looks,
            settings.watch.extensions,
            settings.sidecars.kinds,
            record,
            ExportedFiles(kept.directory.exported).holds,
            settings.sidecars.fallback_encoding,
        )
        images = SourceImages(kept.catalogue, kept.images, acts, record)
        return Sidecars(kept.catalogue, adoption, images.take, folders)

    def _hear_records(self, records: Sequence[Record]) -> None:
        tell(records)
        self._sidecars.hear_records(records)

    async def _after_import(self) -> None:
        await self._learn_hashes()
        await self._pipeline.order_by_claims()
        self._sidecars.look_everywhere([])

    async def _learn_hashes(self) -> None:
        """Let the mock hasher of a developer's daemon know the hashes that older databases hold."""
        if self._mock is not None:
            self._mock.learn(await self._catalogue.hashes_by_file_name())


def _is_shadow(path: str) -> bool:
    return Path(path).name.startswith(SHADOW_PREFIX)


def _polling(mode: str) -> Callable[[str], bool]:
    return {"always": lambda _: True, "never": lambda _: False}.get(mode, is_network_file_system)
