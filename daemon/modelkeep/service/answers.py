"""Answer what the HTTP interface and, through it, the command line ask of the running daemon."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from modelkeep.base.clock import now_ms
from modelkeep.base.patience import reached
from modelkeep.changes.owner import OwnerActs
from modelkeep.disk.files import leads_through_link, statuses_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.details import ModelDetails, PendingDetails
from modelkeep.domain.duplicates import Duplicate, find_duplicates
from modelkeep.domain.hashing import Hashing
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Action, Model, PendingImport, Strategy
from modelkeep.errors import NotFound
from modelkeep.journal.query import Query
from modelkeep.journal.reader import read
from modelkeep.pipeline.requested import RequestedPaths
from modelkeep.pipeline.runner import Pipeline
from modelkeep.service.holdings import Holdings
from modelkeep.service.importing import Running, import_stream, is_reading, require_rows
from modelkeep.service.status import of_type, status_report
from modelkeep.watch.roots import RootKeeper, RootState, WatchedRoot
from modelkeep.watch.watcher import Watcher


class Answers:
    """The daemon as the HTTP interface sees it; see `api.backend`, whose protocol this is.

    Args:
        holdings: what is kept.
        pipeline: the stages.
        keeper: the roots.
        watcher: what watches them.
        hasher: reads files.
        extensions: endings of model files.
        looks: looks at paths.
        state: returns the state of the daemon.
        after_import: called when an import has brought new rows.
    """

    def __init__(
        self,
        holdings: Holdings,
        pipeline: Pipeline,
        keeper: RootKeeper,
        watcher: Watcher,
        hasher: Hashing,
        extensions: Sequence[str],
        looks: DiskLooks,
        state: Callable[[], str],
        is_behind: Callable[[], bool],
        after_import: Callable[[], Awaitable[None]],
    ) -> None:
        self._holdings = holdings
        self._catalogue = holdings.catalogue
        self._journal = holdings.journal
        self._pipeline = pipeline
        self._keeper = keeper
        self._watcher = watcher
        self._hasher = hasher
        self._requested = RequestedPaths(holdings.catalogue, extensions, looks)
        self._looks = looks
        self._state = state
        self._is_behind = is_behind
        self._after_import = after_import
        self._acts = OwnerActs(holdings.catalogue, holdings.pictures, holdings.changes, now_ms, looks)
        self._imports = Running()
        self._began = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether start-up is over and the stop has not begun."""
        return self._state() == "running"

    async def status(self) -> dict[str, object]:
        """Return what `modelkeep status --json` prints."""
        counts = await self._catalogue.counts()
        pipeline, journal = self._pipeline, self._journal
        paused = pipeline.hashing.paused
        hashing = {
            "active": [
                {
                    "path": active.path,
                    "bytes_done": active.bytes_done,
                    "bytes_total": active.bytes_total,
                    "bytes_per_s": active.bytes_per_s,
                }
                for active in self._hasher.active()
            ],
            "queued": pipeline.hashing.queued,
            "queued_bytes": pipeline.hashing.queued_bytes,
            "workers": self._hasher.workers,
        }
        return status_report(
            "paused" if paused and self._state() == "running" else self._state(),
            counts,
            pid=os.getpid(),
            uptime_s=time.monotonic() - self._began,
            paused=paused,
            hashing_rows=sum(1 for job in pipeline.hashing.hashing if job.pending_id),
            hashing=hashing,
            roots=[
                {
                    "path": path,
                    "state": self._root_state(watched).value,
                    "directories": watched.folders,
                    **({"reason": watched.reason} if watched.reason else {}),
                }
                for path, watched in self._keeper.watched.items()
            ],
            overflows=self._watcher.overflows,
            journal={"seq": journal.seq, "segments": journal.segments, "bytes": journal.size_bytes},
            troubles=self._holdings.troubles.current(),
        )

    def _root_state(self, watched: WatchedRoot) -> RootState:
        """Return a root's state; while events pile up the catalogue is not what lies there, as during a scan."""
        if watched.state is not RootState.UNREACHABLE and self._is_behind():
            return RootState.SCANNING
        return watched.state

    async def hash_path(self, path: str, *, migrate: bool) -> tuple[str, Action | None]:
        """Return a file's SHA-256, and what became of its pending row when that was asked for."""
        asked = await self._requested.file(path)
        row = await self._catalogue.pending_by_path(asked.path) if migrate else None
        if row is not None:
            return await self._pipeline.migrate_now(row.id, None)
        if asked.known_sha256:
            return asked.known_sha256, None
        digest = await self._pipeline.digest(asked.path)
        asked.require_same(digest)
        return digest.sha256, None

    async def models(
        self,
        *,
        type: str | None,  # noqa: A002 - the column's name
        q: str,
        tag: str,
        limit: int,
        offset: int,
    ) -> list[tuple[Model, int]]:
        """Return models with their numbers of pictures."""
        return await self._catalogue.models(type=of_type(type), q=q, tag=tag, limit=limit, offset=offset)

    async def model(self, sha256: str) -> ModelDetails | None:
        """Return a model with its pictures and locations."""
        return await self._catalogue.model(sha256)

    async def find_models(self, text: str) -> list[Model]:
        """Return the models that a hash, a path or a name means."""
        return await self._catalogue.find_models(text)

    async def duplicates(self) -> list[Duplicate]:
        """Return the contents that lie at several places; looks at the disk."""
        contents = await self._catalogue.contents_at_several_paths()
        paths = {place.path for _, places in contents for place in places}
        links = await self._looks.found(partial(_links, self._looks.roots.configured), paths)
        # Of what does not answer nobody knows what deleting it would free.
        there = await self._looks.found(statuses_of, paths)
        return find_duplicates(contents, lambda path: links.get(path, True), there.get)

    async def types(self) -> list[str]:
        """Return every type in use or configured."""
        configured = {root.type for root in self._looks.roots.configured if root.type}
        return sorted({*await self._catalogue.types(), *configured})

    async def pending(self, *, state: str | None, limit: int, offset: int) -> list[PendingImport]:
        """Return rows of the queue."""
        return await self._catalogue.pending_imports(state, limit, offset)

    async def pending_details(self, pending_id: int) -> PendingDetails | None:
        """Return a row of the queue and the model that has its content already."""
        return await self._catalogue.pending_details(pending_id)

    async def resolve(self, pending_id: int, strategy: Strategy | None, path: str = "") -> tuple[str, Action]:
        """Hash and migrate a row of the queue; `path` says where its file lies now."""
        row = await self._catalogue.pending(pending_id)
        if row is None:
            raise NotFound(f"there is no row {pending_id} in the queue")
        if not path:
            await self._requested.require_row(row.path)
            return await self._pipeline.migrate_now(pending_id, strategy or Strategy.ASK)
        asked = await self._requested.file(path)
        return await self._pipeline.migrate_now(pending_id, strategy, asked.path)

    async def resolve_in_turn(self, pending_id: int, strategy: Strategy | None) -> tuple[str, Action]:
        """Hash and migrate a row of the queue, after what is being done with it at this moment."""
        row = await self._catalogue.pending(pending_id)
        if row is None:
            raise NotFound(f"there is no row {pending_id} in the queue")
        await self._requested.require_row(row.path)
        return await self._pipeline.migrate_in_turn(pending_id, strategy or Strategy.ASK)

    async def retry(self, pending_ids: Sequence[int] | None) -> int:
        """Make rows due now."""
        await require_rows(self._catalogue, pending_ids)
        count = await self._catalogue.wait_again(now_ms(), pending_ids)
        self._pipeline.sweep()
        return count

    async def drop(self, pending_id: int) -> None:
        """Forget a row of the queue and its picture."""
        row = await self._pipeline.drop(pending_id)
        if row.image:
            self._holdings.pictures.remove_pending(row.image)
        self._journal.note("pending.dropped", path=row.path, pending_id=row.id, cause="dropped by the owner")

    async def purge(self, sha256: str) -> None:
        """Forget a model with everything that belongs to it."""
        await self._acts.purge(sha256)
        self._pipeline.sweep()  # a row that was in conflict with it is due

    async def add_picture(self, sha256: str, picture: BinaryIO) -> int:
        """Add a picture to a model; return its number."""
        return await self._acts.add_picture(sha256, picture)

    async def remove_picture(self, sha256: str, seq: int) -> int:
        """Remove a picture of a model; return how many are left."""
        return await self._acts.remove_picture(sha256, seq)

    def picture(self, sha256: str, seq: int, quality: str) -> Path:
        """Return where a picture of a model lies, if there is one."""
        return self._holdings.pictures.published_path(sha256, seq, quality)

    async def pending_picture(self, pending_id: int, name: str) -> Path | None:
        """Return where the picture of a row of the queue lies."""
        row = await self._catalogue.pending(pending_id)
        if row is None or not row.image or name not in ("", row.image):
            return None
        return self._holdings.pictures.pending_path(row.image)

    async def scan(self) -> dict[str, object]:
        """Look through all roots now."""
        before = {row.id for row in await self._catalogue.pending_imports()}
        counts = await self._keeper.rescan_all("asked for")
        after = await self._catalogue.pending_imports()
        return {
            "status": "success",
            "scanned": counts["scanned"],
            "added": counts["added"],
            "pending_ids": [row.id for row in after if row.id not in before],
            "skipped": counts["scanned"] - counts["added"],
        }

    async def pause(self) -> None:
        """Begin no more hashing until `resume`, across restarts too."""
        await self._catalogue.set_paused(True)
        self._pipeline.pause()

    async def resume(self) -> None:
        """Go on hashing."""
        await self._catalogue.set_paused(False)
        self._pipeline.resume()

    async def import_source(
        self,
        kind: str,
        source: str,
        images: str,
        path_map: Sequence[tuple[str, str]],
        dry_run: bool,
        again: bool = False,
    ) -> AsyncIterator[dict[str, object]]:
        """Run stage 1."""
        values = import_stream(
            self._holdings, kind, source, images, path_map, dry_run, self._imports, again=again, looks=self._looks
        )
        async for value in values:
            if not is_reading(value):  # a source that cannot be read is answered with a status of its own
                yield value
        await self._after_import()
        self._pipeline.sweep()

    async def stop_imports(self) -> None:
        """Call running imports off: each has taken everything or nothing afterwards."""
        await self._imports.stop()

    def journal(
        self, *, model: str, event: str, since_ms: int, failed: bool, after: int, limit: int
    ) -> list[dict[str, object]]:
        """Return journal records; reads files."""
        query = Query(model=model, event=event, since_ms=since_ms, failed=failed, after=after, limit=limit)
        return list(read(self._holdings.directory.journal, query))


def _links(roots: Sequence[Root], paths: Sequence[str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for path in paths:
        reached(path)
        found[path] = leads_through_link(path, roots)
    return found
