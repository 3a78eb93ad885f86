"""Change the data folder while no daemon runs, under its lock."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from modelkeep.api.shapes import Shape
from modelkeep.base.clock import now_ms
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.owner import OwnerActs
from modelkeep.changes.tag_acts import TagActs
from modelkeep.disk.roots import Roots
from modelkeep.domain.edits import Edit
from modelkeep.domain.legacy import ImportOrder
from modelkeep.errors import NotFound
from modelkeep.pipeline.confirming import Confirming
from modelkeep.service.editing import edit_model
from modelkeep.service.holdings import Holdings, identity, open_holdings
from modelkeep.service.importing import import_stream, require_rows
from modelkeep.settings.model import Settings


class OfflineWriter:
    """Writes under the lock of the data folder: imports, rows, tags, models that are edited or forgotten."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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

    def import_source(self, order: ImportOrder) -> AsyncIterator[dict[str, object]]:
        """Run stage 1; yields progress, and at last the report."""
        roots = [root.path for root in self._settings.model_roots()]
        return import_stream(
            self._open,
            order,
            roots=roots,
            extensions=self._settings.watch.extensions,
            fallback_encoding=self._settings.sidecars.fallback_encoding,
        )

    async def retry(self, pending_ids: Sequence[int] | None) -> int:
        """Make rows due at the daemon's next start."""
        await require_rows(self._open.catalogue, pending_ids)
        return await self._open.catalogue.wait_again(now_ms(), pending_ids)

    async def drop(self, pending_id: int) -> None:
        """Forget a row of the queue and its image."""
        holdings = self._open
        row = await holdings.catalogue.pending(pending_id)
        if row is None:
            raise NotFound(f"there is no row {pending_id} in the queue")
        await holdings.catalogue.drop_pending(pending_id)
        if row.image:
            holdings.images.remove_pending(row.image)
        holdings.journal.write("pending.dropped", path=row.path, pending_id=row.id, cause="dropped by the owner")

    async def inherit(self, sha256: str, origin: str) -> None:
        """Have a model take over what is known of another with the same tensors."""
        await self._acts.inherit(sha256, origin)

    async def confirm(self, sha256: str) -> None:
        """Read a model's file for its BLAKE3, unless that is known."""
        kept, roots = self._open, Roots(self._settings.model_roots())
        await Confirming(kept.catalogue, roots, kept.journal.append_many).confirm(sha256)

    async def purge(self, sha256: str) -> None:
        """Forget a model with everything that belongs to it."""
        await self._acts.purge(sha256)

    async def edit(self, sha256: str, edit: Edit, is_current: Callable[[Shape], bool]) -> Shape:
        """Change what a model says; return it as it is then."""
        return await edit_model(self._acts, self._settings.model_roots(), sha256, edit, is_current)

    async def resolve_orphans(self, record_ids: Sequence[int], sha256: str) -> None:
        """Give source records to a model, or drop them when none is named."""
        kept = self._open
        await Adoption(kept.catalogue, kept.changes, now_ms).resolve(record_ids, sha256)

    @property
    def tags(self) -> TagActs:
        """What is done to tags."""
        return TagActs(self._open.catalogue, self._open.changes, now_ms)

    @property
    def _acts(self) -> OwnerActs:
        kept = self._open
        return OwnerActs(kept.catalogue, kept.images, kept.changes, now_ms)
