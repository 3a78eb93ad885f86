"""A claim that is refuted while the owner removes the image that would have followed the file."""

from collections.abc import Callable, Sequence
from pathlib import Path

from modelkeep.disk.roots import Roots
from modelkeep.domain.claims import ClaimedImage, Judgement, Reading
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.naming import Root
from modelkeep.domain.values import PendingImport, Priority
from modelkeep.errors import ImageError
from modelkeep.pipeline.claims import Claims
from modelkeep.pipeline.jobs import Job

A, B = "a" * 64, "b" * 64


class Claiming:
    """A catalogue with one claim, whose model has an image."""

    def __init__(self) -> None:
        self.suffixes: list[str] = []

    async def image_to_follow(self, reading: Reading) -> ClaimedImage | None:
        return ClaimedImage(reading.claim, 0)

    async def judge_claims(
        self,
        reading: Reading,
        source: ClaimedImage | None,
        image: str,
        roots: Sequence[Root],
        now_ms: int,
        before_commit: Callable[[PendingImport], None],
    ) -> Judgement:
        self.suffixes.append(image)
        return Judgement(reading.path, refuted=(reading.claim,), row=PendingImport(7, reading.path))


class Vanishing:
    """Images of which each is removed before it can be copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def published_path(self, sha256: str, seq: int, quality: str) -> Path:
        path = self._folder / f"{sha256}.webp"
        path.touch()
        return path

    def stage_copy(self, source: Path, stem: str) -> str:
        source.unlink()
        raise ImageError(f"{source.name} is not there (any more)")

    def place_pending(self, staged: str, name: str) -> None:
        raise AssertionError("there is no image")

    def sync_pending(self) -> None:
        raise AssertionError("there is no image")

    def discard(self, staged: Sequence[str]) -> None:
        raise AssertionError("there is no image")


async def test_the_file_is_queued_without_the_image(tmp_path: Path) -> None:
    catalogue = Claiming()
    claims = Claims(catalogue, Vanishing(tmp_path), lambda _: None, Roots([Root("/m")]), lambda: 1)
    row = await claims.judge(Job("/m/a.pt", Priority.CLAIM, claim=A), Digest(B, Fingerprint(1, 2, 3, 4)))
    assert row is not None
    assert row.id == 7
    assert catalogue.suffixes == [""]
