"""What is read of contents besides their SHA-256: kept as soon as it is read, and read later where it is lacking."""

from collections.abc import Callable, Collection, Sequence

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.successions import Successions
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.hashing import Digest
from modelkeep.domain.values import Location
from modelkeep.errors import CatalogueError


class Contents:
    """Keeps what was read, and tells of which files something is still to be read when nothing else is to do.

    Args:
        catalogue: where it is kept.
        wants_tensors: whether files are read again for it.
        successions: is told of contents whose tensors were known, and of images in headers.
        on_read: is told of contents that something was read of, other than for a row of the queue.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        wants_tensors: bool,
        successions: Successions | None,
        on_read: Callable[[Sequence[str]], object],
    ) -> None:
        self._on_read = on_read
        self._catalogue = catalogue
        self._successions = successions
        self._wants_tensors = wants_tensors
        # At first it may be anything: what an older modelkeep has read, or one that computed less.
        self._may_lack = wants_tensors

    async def keep(self, read: Sequence[Digest]) -> None:
        """Keep what was read; what cannot be written now is read again later."""
        rows = {digest.sha256: ContentRow.of(digest.sha256, digest.facts) for digest in read}
        try:
            if rows:
                self.kept(list(rows.values()), await self._catalogue.keep_contents(list(rows.values())))
                self._on_read(list(rows))
        except CatalogueError:
            self.try_again()

    def try_again(self) -> None:
        """Have files asked for again that could not be read."""
        self._may_lack = self._wants_tensors

    def kept(self, rows: Sequence[ContentRow], recognised: Sequence[str]) -> None:
        """Take note of what was kept, and of those contents whose tensors another has too."""
        self._may_lack |= any(map(self.lacks, rows))
        if self._successions is not None:
            self._successions.recognised(recognised)
            if any(row.image_waits for row in rows):
                self._successions.pictured()

    def lacks(self, row: ContentRow) -> bool:
        """Return whether a file of this content is to be read again."""
        return self._wants_tensors and row.tensors is None

    def migrated(self) -> None:
        """Have what was kept looked at: it may have become models."""
        if self._successions is not None:
            self._successions.migrated()

    async def unread(self, limit: int, without_paths: Collection[str], folders: Collection[str]) -> list[Location]:
        """Return locations of which something is to be read; asks the catalogue only while there may be some."""
        if not self._may_lack:
            return []
        self._may_lack = False  # unless something comes while this is answered
        try:
            found = await self._catalogue.unread_contents(limit, without_paths, folders)
        except BaseException:
            self._may_lack = True
            raise
        self._may_lack |= bool(found)
        return found
