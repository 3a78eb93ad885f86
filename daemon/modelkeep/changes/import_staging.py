"""Make the images of legacy rows ready, before anything about the rows is written down.

A row that becomes a model gets its image rendered, one that will be pending gets it copied byte for byte. What was
made ready and is not used in the end is discarded.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modelkeep.changes.ports import ImportImages
from modelkeep.changes.protocol import to_the_end
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, Refusal, StagedRow, TakenRows
from modelkeep.domain.values import RenderedImage
from modelkeep.errors import ImageError

_NOT_IN_A_STEM = re.compile(r"[^A-Za-z0-9_-]")
_KEY_LENGTH_MAX = 40


class Form(StrEnum):
    """What is made of an image."""

    RENDERING = "rendering"
    COPY = "copy"


Need = tuple[str, Form]
"""The key of a row and what is to be made of its image."""


def needs_of(taken: TakenRows) -> set[Need]:
    """Return what the catalogue wants of the rows' images."""
    needs: set[Need] = set()
    for row in taken.rows:
        if row.wants_rendering:
            needs.add((row.row.key, Form.RENDERING))
        if row.wants_copy:
            needs.add((row.row.key, Form.COPY))
    return needs


@dataclass(slots=True)
class StagedImage:
    """What has been made of one row's image so far."""

    rendered: RenderedImage | None = None
    copied: str = ""

    def files(self) -> Iterator[str]:
        """Yield the names of its files in the staging folder."""
        if self.rendered is not None:
            yield from self.rendered.staged.values()
        if self.copied:
            yield self.copied


class ImageStaging:
    """Makes images ready, some at a time, and knows what it made.

    Args:
        images: where they are made.
        concurrency: how many at a time.
    """

    def __init__(self, images: ImportImages, concurrency: int) -> None:
        self.errors: list[Refusal] = []
        self._images = images
        self._concurrency = concurrency
        self._staged: dict[str, StagedImage] = {}
        self._run = secrets.token_hex(4)
        self._count = 0

    async def stage(self, needs: Mapping[Need, LegacyRow], on_done: Callable[[int], None]) -> None:
        """Make images ready; one that cannot be used is recorded in `errors` and left out.

        Args:
            needs: what is to be made, of the images of which rows.
            on_done: called with the number of images that are done, after each.
        """
        await self._each(needs, self._stage_one, on_done)

    async def check(self, needs: Mapping[Need, LegacyRow], on_done: Callable[[int], None]) -> None:
        """Record images in `errors` as `stage` would, and make nothing; the arguments are as there."""
        await self._each(needs, self._check_one, on_done)

    async def _each(
        self,
        needs: Mapping[Need, LegacyRow],
        step: Callable[[LegacyRow, Form], Awaitable[None]],
        on_done: Callable[[int], None],
    ) -> None:
        waiting = iter(needs.items())
        done = 0

        async def work() -> None:
            nonlocal done
            for (_, form), row in waiting:
                try:
                    await step(row, form)
                except ImageError as error:
                    self.errors.append(Refusal(row.key, row.image, str(error)))
                done += 1
                on_done(done)

        with _first_error_alone():
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(needs))):
                    group.create_task(work())

    def staged_row(self, row: LegacyRow, on_disk: Fingerprint | None, number: int) -> StagedRow:
        """Return a row with what was made ready for it."""
        image = self._staged.get(row.key, StagedImage())
        return StagedRow(row, image.rendered, image.copied, on_disk, number)

    def copy_of(self, row: LegacyRow) -> str:
        """Return the name of the staged copy of a row's image, or empty."""
        image = self._staged.get(row.key)
        return image.copied if image else ""

    def discard_except(self, used: Set[str]) -> None:
        """Delete every staged file that is not named."""
        made = (file for image in self._staged.values() for file in image.files())
        self._images.discard([file for file in made if file not in used])

    async def _stage_one(self, row: LegacyRow, form: Form) -> None:
        staged = self._staged.setdefault(row.key, StagedImage())
        source, stem = Path(row.image), self._next_stem(row.key)
        try:
            if form is Form.RENDERING:
                staged.rendered = await self._images.render(source, stem)
            else:
                await to_the_end(self._copy(staged, source, stem))
                await self._images.check_copy(staged.copied, source)
        except ImageError:
            staged.copied = "" if form is Form.COPY else staged.copied
            raise

    async def _check_one(self, row: LegacyRow, _: Form) -> None:
        await self._images.check(Path(row.image))

    async def _copy(self, staged: StagedImage, source: Path, stem: str) -> None:
        # A thread cannot be called off: what it makes has to be known, or nobody would discard it.
        staged.copied = await asyncio.to_thread(self._images.stage_copy, source, stem)

    def _next_stem(self, key: str) -> str:
        # The number keeps stems apart whose keys differ in nothing but characters that a stem cannot have.
        self._count += 1
        return f"import-{self._run}-{self._count}-{_NOT_IN_A_STEM.sub('_', key)[:_KEY_LENGTH_MAX]}"


@contextlib.contextmanager
def _first_error_alone() -> Iterator[None]:
    """Raise the first error of a task group as itself: callers wait for a full disk, not for a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
