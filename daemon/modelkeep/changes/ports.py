"""What the commit protocol and imports need of catalogue, images and journal.

The tests of their order hand in doubles that note, hold up or refuse each step.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import StagedRow, Survey, TakenRows
from modelkeep.domain.values import Record, RenderedImage, TierFile


class Records(Protocol):
    """The journal."""

    def write(self, event: str, **fields: object) -> int:
        """Write a record."""

    def write_many(self, records: Sequence[Record]) -> int:
        """Append records."""

    def append_many(self, records: Sequence[Record]) -> bool:
        """Append records now, or later when that is not possible; returns whether they are written."""

    def sync(self) -> None:
        """Make what was written durable."""


class Commits(Protocol):
    """The catalogue as what knows which changes it has."""

    async def landed_migrations(self, asked: Sequence[str]) -> set[str]:
        """Return which of these migrations are committed; the others never will be."""


class Images(Protocol):
    """The images of models; names are base names."""

    @property
    def turn(self) -> asyncio.Lock:
        """Held from a commit until its images have their names."""

    def discard(self, staged: Iterable[str]) -> None:
        """Delete staged files as far as that can be done."""

    def publish(self, files: Sequence[TierFile]) -> None:
        """Give staged files their names."""

    def remove_published(self, names: Sequence[str]) -> None:
        """Remove published images; gone already is fine."""

    def sync(self) -> None:
        """Make the published names durable."""

    def remove_pending(self, name: str) -> None:
        """Remove a pending image."""


class ImportImages(Protocol):
    """The images as an import uses them; names are base names."""

    async def render(self, source: Path, stem: str) -> RenderedImage:
        """Render the tiers of an image into the staging folder; raises ImageError."""

    def stage_copy(self, source: Path, stem: str) -> str:
        """Copy an image byte for byte into the staging folder and return its name there; raises ImageError."""

    async def check(self, source: Path) -> None:
        """Raise ImageError when a file does not decode as an image within the limits."""

    async def check_copy(self, staged: str, source: Path) -> None:
        """Delete a staged copy that does not decode as an image within the limits, and raise ImageError."""

    def place_pending(self, staged: str, name: str) -> None:
        """Move a staged copy to its name among the pending images."""

    def sync_pending(self) -> None:
        """Make the names of pending images durable."""

    def remove_pending(self, name: str) -> None:
        """Remove a pending image; one that is missing is fine."""

    def discard(self, staged: Iterable[str]) -> None:
        """Delete staged files; those that are missing are fine."""


class TakesRows(Protocol):
    """The catalogue as what takes the rows of a source."""

    async def survey(self, kind: str, source: str, prepared: Path, *, again: bool = False) -> Survey:
        """Return what is known of the rows of a source that a file holds; `again`: as for `import_rows`."""

    async def import_rows(
        self,
        kind: str,
        source: str,
        rows: Sequence[StagedRow],
        now_ms: int,
        before_commit: Callable[[TakenRows], None],
        *,
        dry_run: bool = False,
        again: bool = False,
        finished: Sequence[str] = (),
        prepared: Path | None = None,
        on_disk: Mapping[int, Fingerprint] = MappingProxyType({}),
    ) -> TakenRows:
        """Take rows in one transaction, and drop finished ids; `again`: also what the owner dropped since.

        `prepared` is a file that holds all rows of the source, of which `rows` are taken one by one, and all others
        at once; `on_disk` are the files of those by their numbers.
        `before_commit` is called inside it; when that raises, everything is rolled back, as in a dry run.
        """
