"""What stages need of catalogue and images where tests hand in doubles, that note, hold up or refuse each step."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from modelkeep.domain.claims import ClaimedImage, Judgement, Reading
from modelkeep.domain.migration import MigrationOrder, MigrationResult
from modelkeep.domain.naming import Root
from modelkeep.domain.planning import Decision
from modelkeep.domain.values import PendingImport, RenderedImage


class Migrations(Protocol):
    """The catalogue as what carries migrations out."""

    async def preview(self, orders: Sequence[MigrationOrder]) -> dict[str, Decision]:
        """Return what migrations would do now, by their ids."""

    async def migrate(
        self,
        orders: Sequence[MigrationOrder],
        finished: Sequence[str],
        now_ms: int,
        before_commit: Callable[[Sequence[MigrationResult]], None],
    ) -> list[MigrationResult]:
        """Carry out orders in one transaction."""


class PendingImages(Protocol):
    """The images of pending rows."""

    async def render(self, source: Path, stem: str) -> RenderedImage:
        """Render the tiers of an image into the staging folder."""

    def pending_path(self, name: str) -> Path:
        """Return where a pending image lies."""


class JudgesClaims(Protocol):
    """The catalogue as what knows which hashes came from elsewhere."""

    async def image_to_follow(self, reading: Reading) -> ClaimedImage | None:
        """Return the image that has to follow a file when what was read refutes a claim on it."""

    async def judge_claims(
        self,
        reading: Reading,
        source: ClaimedImage | None,
        image: str,
        roots: Sequence[Root],
        now_ms: int,
        before_commit: Callable[[PendingImport], None],
    ) -> Judgement:
        """Hold what was read against the claims on that very file."""


class CopiesImages(Protocol):
    """The images as what copies one of a model for a pending row."""

    def published_path(self, sha256: str, seq: int, quality: str) -> Path:
        """Return where a published image lies."""

    def stage_copy(self, source: Path, stem: str) -> str:
        """Copy an image into the staging folder; returns its base name."""

    def place_pending(self, staged: str, name: str) -> None:
        """Give a staged copy its name among the pending originals."""

    def sync_pending(self) -> None:
        """Make the names of the pending originals durable."""

    def discard(self, staged: Sequence[str]) -> None:
        """Remove staged files."""
