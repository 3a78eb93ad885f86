"""Work on the data folder while no daemon runs: read its files, or write them under its lock."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Self

from modelkeep.base.clock import now_ms
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.owner import OwnerActs
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.files import fingerprint_of, leads_through_link
from modelkeep.domain.details import ModelDetails, PendingDetails
from modelkeep.domain.duplicates import Duplicate, find_duplicates
from modelkeep.domain.values import LocationState, Model, PendingImport, PendingState
from modelkeep.errors import NotFound
from modelkeep.journal.query import Query
from modelkeep.journal.reader import read
from modelkeep.journal.segments import list_segments
from modelkeep.service.holdings import Holdings, identity, open_holdings
from modelkeep.service.importing import import_stream, require_rows
from modelkeep.service.status import of_type, status_report
from modelkeep.settings.model import Settings

NOTHING: dict[str, Any] = {
    "models": 0,
    "images": 0,
    "tags": 0,
    "locations": {state.value: 0 for state in LocationState},
    "pending": {state.value: 0 for state in PendingState},
}
"""The counts of a data folder that no daemon has used yet."""


class OfflineReader:
    """Answers questions from the files; creates and changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = DataDirectory(settings.data_dir)
        self._catalogue: Catalogue | None = None

    async def __aenter__(self) -> Self:
        """Open the catalogue, if there is one."""
        if self._directory.catalogue.exists():
            self._catalogue = Catalogue(self._directory.catalogue, read_only=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._catalogue is not None:
            self._catalogue.close()

    async def status(self) -> dict[str, object]:
        """Return what `modelkeep status --json` prints."""
        counts = await self._catalogue.counts() if self._catalogue else NOTHING
        paused = await self._catalogue.is_paused() if self._catalogue else False
        segments = list_segments(self._directory.journal)
        last = next(iter(read(self._directory.journal, Query(limit=1))), {"seq": 0}) if segments else {"seq": 0}
        size_bytes = sum(segment.path.stat().st_size for segment in segments)
        journal = {"seq": int(str(last["seq"])), "segments": len(segments), "bytes": size_bytes}
        return status_report("stopped", counts, paused=paused, journal=journal)

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
        if self._catalogue is None:
            return []
        return await self._catalogue.models(type=of_type(type), q=q, tag=tag, limit=limit, offset=offset)

    async def model(self, sha256: str) -> ModelDetails | None:
        """Return a model with its pictures and locations."""
        return await self._catalogue.model(sha256) if self._catalogue else None

    async def find_models(self, text: str) -> list[Model]:
        """Return the models that a hash, a path or a name means."""
        return await self._catalogue.find_models(text) if self._catalogue else []

    async def duplicates(self) -> list[Duplicate]:
        """Return the contents that lie at several places; looks at the disk."""
        contents = await self._catalogue.contents_at_several_paths() if self._catalogue else []
        is_link = partial(leads_through_link, roots=self._settings.model_roots())
        return find_duplicates(contents, is_link, fingerprint_of)

    async def types(self) -> list[str]:
        """Return every type in use."""
        return await self._catalogue.types() if self._catalogue else []

    async def pending(self, *, state: str | None, limit: int, offset: int) -> list[PendingImport]:
        """Return rows of the queue."""
        return await self._catalogue.pending_imports(state, limit, offset) if self._catalogue else []

    async def pending_details(self, pending_id: int) -> PendingDetails | None:
        """Return a row of the queue and the model that has its content already."""
        return await self._catalogue.pending_details(pending_id) if self._catalogue else None

    def journal(
        self, *, model: str, event: str, since_ms: int, failed: bool, after: int, limit: int
    ) -> list[dict[str, object]]:
        """Return journal records."""
        query = Query(model=model, event=event, since_ms=since_ms, failed=failed, after=after, limit=limit)
        return list(read(self._directory.journal, query))


class OfflineWriter:
    """Writes under the lock of the data folder: imports, the queue's rows, and models that are forgotten."""

    def __init__(self, settings: Settings) -> None:
        self._opening: AbstractAsyncContextManager[Holdings] = open_holdings(settings, "modelkeep, a command")
        self._holdings: Holdings | None = None

    async def __aenter__(self) -> Self:
        """Lock and open the data folder.

        Raises:
            DataDirectoryBusy: somebody else holds it.
        """
        self._holdings = await self._opening.__aenter__()
        self._holdings.journal.write("daemon.started", **identity(), reason="a command while no daemon runs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close and unlock it."""
        self._open.journal.write("daemon.stopped", **identity(), reason="the command is done")
        await self._opening.__aexit__(kind, error, trace)

    @property
    def _open(self) -> Holdings:
        assert self._holdings is not None, "use it as a context manager"  # noqa: S101
        return self._holdings

    def import_source(
        self,
        kind: str,
        source: str,
        images: str,
        path_map: Sequence[tuple[str, str]],
        dry_run: bool,
        again: bool = False,
    ) -> AsyncIterator[dict[str, object]]:
        """Run stage 1; yields progress, and at last the report."""
        return import_stream(self._open, kind, source, images, path_map, dry_run, again=again)

    async def retry(self, pending_ids: Sequence[int] | None) -> int:
        """Make rows due at the daemon's next start."""
        await require_rows(self._open.catalogue, pending_ids)
        return await self._open.catalogue.wait_again(now_ms(), pending_ids)

    async def drop(self, pending_id: int) -> None:
        """Forget a row of the queue and its picture."""
        holdings = self._open
        row = await holdings.catalogue.pending(pending_id)
        if row is None:
            raise NotFound(f"there is no row {pending_id} in the queue")
        await holdings.catalogue.drop_pending(pending_id)
        if row.image:
            holdings.pictures.remove_pending(row.image)
        holdings.journal.write("pending.dropped", path=row.path, pending_id=row.id, cause="dropped by the owner")

    async def purge(self, sha256: str) -> None:
        """Forget a model with everything that belongs to it."""
        kept = self._open
        await OwnerActs(kept.catalogue, kept.pictures, kept.changes, now_ms).purge(sha256)
