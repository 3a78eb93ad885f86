"""The daemon: builds the parts, starts them in order, stops them in order."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.base.clock import now_ms
from modelkeep.base.log import get_logger
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
from modelkeep.domain.events import FileAppeared, FileGone, WatchEvent
from modelkeep.domain.hashing import Hashing
from modelkeep.domain.naming import SHADOW_PREFIX
from modelkeep.domain.values import Record
from modelkeep.errors import SettingsError
from modelkeep.journal.contents import write_next_index
from modelkeep.pipeline.hash_pool import HashPool
from modelkeep.pipeline.manners import Manners
from modelkeep.pipeline.runner import Pipeline, PipelineOptions
from modelkeep.service.holdings import Holdings, identity
from modelkeep.service.operations import Operations
from modelkeep.service.resting import Resting
from modelkeep.service.schedule import Schedule
from modelkeep.service.serving import HttpInterface
from modelkeep.service.status import status_line
from modelkeep.service.supervision import STUCK_SECONDS
from modelkeep.service.telling import tell
from modelkeep.service.upkeep import Upkeep
from modelkeep.settings.model import Settings
from modelkeep.watch.context import Context
from modelkeep.watch.coverage import UNWATCH_SECONDS
from modelkeep.watch.event_queue import EventQueue
from modelkeep.watch.intake import EVENTS_MAX, Intake
from modelkeep.watch.roots import RootKeeper
from modelkeep.watch.sidecar_folders import SidecarFolders
from modelkeep.watch.sidecars import Sidecars
from modelkeep.watch.watcher import Watcher

if TYPE_CHECKING:
    from modelkeep.dev.mock_hasher import MockHasher

_log = get_logger("service")


class Daemon:
    """The parts and how they work together.

    Args:
        settings: the configuration.
        holdings: what is kept in the data folder.
        renew_threads: has other threads take the place of those that work for the event loop.
    """

    def __init__(self, settings: Settings, holdings: Holdings, renew_threads: Callable[[], None]) -> None:
        self._settings = settings
        self._holdings = holdings
        self._catalogue = holdings.catalogue
        self._journal = holdings.journal
        self._state = "starting"
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
            on_touched=lambda path: self._events.put_again(FileAppeared(path)),
            manners=Manners(look_at_pressure) if settings.hashing.yield_under_pressure else None,
            successions=self._successions,
            on_read=lambda hashes: self._sidecars.hear_contents(hashes),
            on_absent=lambda path: self._events.put_again(FileGone(path)),
        )
        context = Context(holdings.catalogue, self._pipeline, record, self._looks, extensions)
        self._intake = Intake(context, self._lost_track)
        self._keeper = RootKeeper(
            context, self._watcher, self._intake.scans, holdings.troubles, on_return=self._pipeline.try_anew
        )
        self._sidecars = self._beside_models(acts)
        resting = Resting(
            lambda: self._journal.seq + self._operations.library.answered,
            lambda: self._catalogue.database.transactions,
            lambda: self._pipeline.is_idle and not self._operations.is_importing,
            partial(write_next_index, holdings.directory.journal, set()),
            self._catalogue.database.release_memory,
            renew_threads,
        )
        upkeep = Upkeep(holdings, self._pipeline, self._keeper, self._sidecars, self._successions, resting)
        self._schedule = Schedule(upkeep.jobs(settings.sweep.interval_seconds, settings.watch.rescan_seconds))
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
            is_behind=lambda: self._events.is_behind or self._pipeline.will_look_again,
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
                ("sidecars", self._sidecars.run()),
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

    def _hashing(self) -> Hashing:
        """Return what hashes: the pool, in a developer's daemon with a double before it that knows stand-in files."""
        if not self._settings.dev:
            return self._pool
        # Nobody else needs what developers do.
        from modelkeep.dev.hashing_double import StandInHashing
        from modelkeep.dev.mock_hasher import MockHasher

        self._mock = MockHasher()
        return StandInHashing(self._pool, self._mock.digest, self._looks)

    def _beside_models(self, acts: OwnerActs) -> Sidecars:
        """Return what takes in what other tools keep beside models."""
        kept, settings = self._holdings, self._settings
        record = kept.journal.append_many
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
        return Sidecars(kept.catalogue, adoption, images.take, folders, kept.troubles)

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
