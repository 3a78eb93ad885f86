"""Carry out what the HTTP interface and, through it, the command line ask the running daemon to do."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import BinaryIO

from modelkeep.api.shapes import Shape
from modelkeep.base.clock import now_ms
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.owner import OwnerActs
from modelkeep.changes.tag_acts import TagActs
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.edits import Edit
from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.hashing import Hashing
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.notices import Notice
from modelkeep.domain.values import Action, Strategy, Tag
from modelkeep.errors import NotFound
from modelkeep.pipeline.confirming import Confirming
from modelkeep.pipeline.requested import RequestedPaths
from modelkeep.pipeline.runner import Pipeline
from modelkeep.pipeline.sha256 import implementation
from modelkeep.service.editing import edit_model
from modelkeep.service.holdings import Holdings
from modelkeep.service.importing import Running, import_stream, is_reading, require_rows
from modelkeep.service.library import Library
from modelkeep.service.listening import Listening
from modelkeep.service.status import Activity
from modelkeep.watch.roots import RootKeeper
from modelkeep.watch.watched_root import RootState, WatchedRoot
from modelkeep.watch.watcher import Watcher


class Operations:
    """The daemon as the HTTP interface sees it; see `api.backend`, whose protocol this is.

    What is only read is answered by `library`.

    Args:
        holdings: what is kept.
        pipeline: the stages.
        keeper: the roots.
        watcher: what watches them.
        hasher: reads files.
        extensions: endings of model files.
        looks: looks at paths.
        state: returns the state of the daemon.
        url: returns where the HTTP interface is.
        after_import: called when an import has brought new rows.
        fallback_encoding: of texts beside models that are no UTF-8.
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
        url: Callable[[], str],
        is_behind: Callable[[], bool],
        after_import: Callable[[], Awaitable[None]],
        fallback_encoding: str = FALLBACK_ENCODING,
    ) -> None:
        self._fallback_encoding = fallback_encoding
        self._holdings = holdings
        self._catalogue = holdings.catalogue
        self._journal = holdings.journal
        self._pipeline = pipeline
        self._keeper = keeper
        self._watcher = watcher
        self._hasher = hasher
        self._extensions = extensions
        self._requested = RequestedPaths(holdings.catalogue, extensions, looks)
        self._looks = looks
        self._state = state
        self._url = url
        self._is_behind = is_behind
        self._after_import = after_import
        self._acts = OwnerActs(holdings.catalogue, holdings.images, holdings.changes, now_ms, looks)
        self._tag_acts = TagActs(holdings.catalogue, holdings.changes, now_ms)
        self._adoption = Adoption(holdings.catalogue, holdings.changes, now_ms)
        self._imports = Running()
        self._confirming = Confirming(holdings.catalogue, looks.roots, holdings.journal.append_many)
        self._began = time.monotonic()
        self._listening = Listening(
            holdings.directory.journal,
            lambda: holdings.journal.seq,
            self._active,
            lambda: state() == "stopping",
        )
        self.library = Library(holdings.catalogue, holdings.directory, lambda: looks, self.activity)

    @property
    def ready(self) -> bool:
        """Whether start-up is over and the stop has not begun."""
        return self._state() == "running"

    @property
    def url(self) -> str:
        """Where the HTTP interface is on TCP."""
        return self._url()

    def activity(self) -> Activity:
        """Return what the status says of the daemon at this moment."""
        pipeline, journal = self._pipeline, self._journal
        paused = pipeline.hashing.paused
        return Activity(
            "paused" if paused and self.ready else self._state(),
            pid=os.getpid(),
            uptime_s=time.monotonic() - self._began,
            paused=paused,
            hashing_rows=pipeline.rows_at_work,
            hashing=self._hashing(),
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

    def _active(self) -> list[dict[str, object]]:
        return [
            {
                "path": active.path,
                "bytes_done": active.bytes_done,
                "bytes_total": active.bytes_total,
                "bytes_per_s": active.bytes_per_s,
            }
            for active in self._hasher.active()
        ]

    def _hashing(self) -> dict[str, object]:
        hashing = self._pipeline.hashing
        return {
            "active": self._active(),
            "queued": hashing.queued,
            "queued_bytes": hashing.queued_bytes,
            "stepped_back": hashing.stepped_back,
            "workers": self._hasher.workers,
            "implementation": implementation().name,
        }

    def _root_state(self, watched: WatchedRoot) -> RootState:
        """Return a root's state; while events pile up the catalogue is not what lies there, as during a scan."""
        if watched.state is not RootState.UNREACHABLE and self._is_behind():
            return RootState.SCANNING
        return watched.state

    async def hash_path(self, path: str, *, migrate: bool) -> tuple[str, Action | None]:
        """Return a file's SHA-256, and what became of its pending row when that was asked for."""
        asked = await self._requested.file(path)
        migrated = await self._pipeline.migrate_at(asked.path) if migrate else None
        if migrated is not None:
            return migrated
        if asked.known_sha256:
            return asked.known_sha256, None
        digest = await self._pipeline.digest(asked.path)
        asked.require_same(digest)
        return digest.sha256, None

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
        self._pipeline.try_anew()
        return count

    async def drop(self, pending_id: int) -> None:
        """Forget a row of the queue and its image."""
        row = await self._pipeline.drop(pending_id)
        if row.image:
            self._holdings.images.remove_pending(row.image)
        self._journal.append("pending.dropped", path=row.path, pending_id=row.id, cause="dropped by the owner")

    async def edit(self, sha256: str, edit: Edit, is_current: Callable[[Shape], bool]) -> Shape:
        """Change what a model says; return it as it is then."""
        return await edit_model(self._acts, self._looks.roots.configured, sha256, edit, is_current)

    async def add_tags(self, names: Sequence[str]) -> Sequence[Tag]:
        """Make tags, and return them."""
        return await self._tag_acts.add(*names)

    async def change_tag(self, tag_id: int, name: str | None, color: str | None) -> Tag:
        """Give a tag another name or colour, and return it."""
        return await self._tag_acts.change(tag_id, name, color)

    async def remove_tag(self, tag_id: int) -> int:
        """Delete a tag, and return how many models carried it."""
        return await self._tag_acts.remove(tag_id)

    async def inherit(self, sha256: str, origin: str) -> None:
        """Have a model take over what is known of another with the same tensors."""
        await self._acts.inherit(sha256, origin)

    async def confirm(self, sha256: str) -> None:
        """Read a model's file for its BLAKE3, unless that is known."""
        await self._confirming.confirm(sha256)

    async def purge(self, sha256: str) -> None:
        """Forget a model with everything that belongs to it."""
        await self._acts.purge(sha256)
        self._pipeline.sweep()  # a row that was in conflict with it is due

    async def resolve_orphans(self, record_ids: Sequence[int], sha256: str) -> None:
        """Give source records to a model, or drop them when none is named."""
        await self._adoption.resolve(record_ids, sha256)
        await self._after_import()

    async def add_image(self, sha256: str, image: BinaryIO) -> int:
        """Add an image to a model; return its number."""
        return await self._acts.add_image(sha256, image)

    async def remove_image(self, sha256: str, seq: int) -> int:
        """Remove an image of a model; return how many are left."""
        return await self._acts.remove_image(sha256, seq)

    async def scan(self) -> dict[str, object]:
        """Look through all roots now."""
        newest = await self._catalogue.newest_pending_id()
        counts = await self._keeper.rescan_all("asked for")
        return {
            "status": "success",
            "scanned": counts["scanned"],
            "added": counts["added"],
            "pending_ids": await self._catalogue.pending_ids_above(newest),
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

    def notices(self, after: int | None) -> AsyncIterator[Notice]:
        """Return what happens, until the daemon stops."""
        return self._listening.notices(after)

    async def import_source(self, order: ImportOrder) -> AsyncIterator[dict[str, object]]:
        """Run stage 1."""
        async for value in import_stream(
            self._holdings,
            order,
            self._imports,
            self._looks,
            roots=list(self._keeper.watched),
            extensions=self._extensions,
            fallback_encoding=self._fallback_encoding,
        ):
            if not is_reading(value):  # a source that cannot be read is answered with a status of its own
                yield value
        await self._after_import()
        self._pipeline.sweep()

    @property
    def is_importing(self) -> bool:
        """Whether an import is at work."""
        return self._imports.is_any

    async def stop_imports(self) -> None:
        """Call off running imports, each of which has taken everything or nothing afterwards, and what is read."""
        self._confirming.stop()
        await self._imports.stop()
