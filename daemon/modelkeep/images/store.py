"""The folder of images: staged by a worker, published by rename, originals kept until their migration is done.

`images/` holds the published tiers, `images/pending/` the originals of pending rows byte for byte, `images/.staging/`
what a migration has prepared. All three lie on one file system, so every move is one atomic rename.
"""

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import ParamSpec, Protocol, TypeVar

from modelkeep.base.failpoints import reach
from modelkeep.disk.durable import free_path, make_folder, sync_folder, write_durably
from modelkeep.domain.values import RenderedImage, TierFile
from modelkeep.errors import ImageError, WorkerDied
from modelkeep.images.files import (
    clear_away,
    image_chunks,
    remove_file,
    require_writable,
    shown_name,
)
from modelkeep.images.links import link_or_copy
from modelkeep.images.paths import ImagePaths, plain_name
from modelkeep.images.render import DECODE_SECONDS, check_image, render, staged_names

P = ParamSpec("P")
T = TypeVar("T")

_ANSWER_SECONDS = DECODE_SECONDS + 30.0
"""How long a worker may take to answer: starting and writing take a moment more. Then it is ended."""

LOST_AND_FOUND = "lost+found"
"""Folder beside the published images, for those that nothing refers to."""

_PLAIN_EXTENSION = re.compile(r"\.[a-z0-9]{1,9}")


class RunsInWorker(Protocol):
    """Runs functions in worker processes."""

    @property
    def workers(self) -> int:
        """Number of functions that run at once."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a worker; `WorkerDied` when the worker was killed meanwhile."""

    def abandon(self) -> bool:
        """Kill the workers, whatever they do; the next call starts new ones. Whether they are gone at once."""


class ImageStore(ImagePaths):
    """Keeps the images of models and of pending rows.

    Args:
        folder: `<data_dir>/images`; made when it is not there.
        pool: decodes images outside of this process.
        answer_seconds: a worker that takes longer to answer counts as hanging.
    """

    def __init__(self, folder: Path, pool: RunsInWorker, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        super().__init__(folder)
        self._staging = folder / ".staging"
        for each in (self._folder, self._pending, self._staging):
            make_folder(each)
        self._pool = pool
        self._answer_seconds = answer_seconds
        # As many as the pool runs at once: time spent waiting for a worker must not count as time spent decoding.
        self._slots = asyncio.Semaphore(pool.workers)
        self._second_tries = asyncio.Lock()
        self.turn = asyncio.Lock()
        """Held by whoever commits images to the catalogue, until they have their names: of two that did so at once,
        one could take the files of the other's images for its own."""

    async def render(self, source: Path, stem: str) -> RenderedImage:
        """Write the tiers of an image to the staging folder, durably.

        Args:
            source: the image.
            stem: beginning of the staged files' names; no two calls at a time may share one.

        Raises:
            ImageError: the image cannot be used.
            OSError: the tiers cannot be written. In both cases nothing is left in the staging folder.
        """
        plain_name(stem)
        try:
            return await self._in_worker(source, render, str(source), str(self._staging), stem)
        except ImageError:
            # A worker that was killed in the middle has not cleared away behind itself.
            self.discard(staged_names(stem).values())
            raise

    def stage_copy(self, source: Path, stem: str) -> str:
        """Copy an image byte for byte to the staging folder, fsync it, and return the copy's base name.

        Raises:
            ImageError: the source is missing, unreadable, no regular file, empty or too large.
            OSError: the copy cannot be written. In both cases nothing is left in the staging folder.
        """
        staged = plain_name(stem + _plain_extension(source.name))
        write_durably(self._staging / staged, image_chunks(str(source)))
        return staged

    async def check(self, source: Path) -> None:
        """Make sure that a file decodes as an image within the limits; nothing is written.

        Raises:
            ImageError: it does not, or it cannot be read.
        """
        await self._in_worker(source, check_image, str(source), shown_name(str(source)))

    async def check_copy(self, staged: str, source: Path) -> None:
        """Make sure that a staged copy decodes as an image within the limits: what is none is shown to nobody.

        Args:
            staged: base name of the copy.
            source: of which image it is, for the error's sentence.

        Raises:
            ImageError: it is no such image; the copy has been deleted.
        """
        path = self._staging / plain_name(staged)
        try:
            await self._in_worker(source, check_image, str(path), shown_name(str(source)))
        except ImageError:
            self.discard([staged])
            raise

    def place_pending(self, staged: str, name: str) -> None:
        """Move a staged copy to its name among the originals of pending rows."""
        reach("pending_image.place.before")
        (self._staging / plain_name(staged)).replace(self.pending_path(name))
        reach("pending_image.place.after")

    def sync_pending(self) -> None:
        """Make the names of the pending originals outlast a power cut."""
        reach("pending_folder.sync.before")
        sync_folder(self._pending)
        reach("pending_folder.sync.after")

    def publish(self, files: Sequence[TierFile]) -> None:
        """Move staged files to their published names; those that an earlier try has moved are left as they are.

        Raises:
            FileNotFoundError: a file is neither staged nor published.
            OSError: a file that is staged cannot be moved.
        """
        for file in files:
            staged, final = self._staging / plain_name(file.staged), self._folder / plain_name(file.final)
            reach("image.publish.before")
            try:
                staged.replace(final)
                reach("image.publish.after")
            except OSError as error:
                # A file system that is mounted read-only says so before it has looked for the file.
                if os.path.lexists(staged):
                    raise
                if not final.exists():
                    message = f"{file.final} is neither published nor staged as {file.staged}"
                    raise FileNotFoundError(errno.ENOENT, message, str(final)) from error

    def require_writable(self) -> None:
        """Raise OSError when published images or pending originals cannot be put in their place or removed."""
        for folder in (self._folder, self._pending):
            require_writable(folder)

    def lost_files(self, names: Iterable[str]) -> set[str]:
        """Return those of these base names of published files under which nothing lies."""
        return {name for name in names if not (self._folder / plain_name(name)).exists()}

    def stage_links(self, links: Mapping[str, str]) -> None:
        """Give published images a second, staged name each, durably; a copy where there are no links.

        Args:
            links: published base name by staged base name.

        Raises:
            FileNotFoundError: an image is not published.
            OSError: it cannot be done. What was staged is left to the caller to discard.
        """
        for staged, published in links.items():
            reach("image.link.before")
            link_or_copy(self._folder / plain_name(published), self._staging / plain_name(staged))
            reach("image.link.after")
        if links:
            reach("staging.sync.before")
            sync_folder(self._staging)
            reach("staging.sync.after")

    def sync_staging(self) -> None:
        """Make the names of staged files outlast a power cut."""
        sync_folder(self._staging)

    def remove_published(self, names: Iterable[str]) -> None:
        """Remove published images; it is fine when some are gone already. `sync` makes it last."""
        for name in names:
            reach("image.remove.before")
            remove_file(self._folder / plain_name(name))
            reach("image.remove.after")

    def sync(self) -> None:
        """Make the names of the published images outlast a power cut."""
        reach("image_folder.sync.before")
        sync_folder(self._folder)
        reach("image_folder.sync.after")

    def remove_pending(self, name: str) -> None:
        """Remove the original of a pending row; it is fine when it is gone already."""
        reach("pending_image.remove.before")
        remove_file(self.pending_path(name))
        reach("pending_image.remove.after")

    def staged_path(self, name: str) -> Path:
        """Return where a staged file lies; `ValueError` when the name is no base name."""
        return self._staging / plain_name(name)

    def discard(self, staged: Iterable[str]) -> None:
        """Delete staged files as far as that can be done: what is left over is swept at the next start."""
        clear_away([self._staging / plain_name(name) for name in staged])

    def sweep_staging(self, keep: Collection[str]) -> list[str]:
        """Delete the staged files that are not named in `keep`, and return their base names."""
        swept = _unnamed(self._staging, keep)
        for name in swept:
            reach("staging.sweep.before")
            (self._staging / name).unlink(missing_ok=True)
            reach("staging.sweep.after")
        return swept

    def sweep_pending(self, keep: Collection[str]) -> list[str]:
        """Put aside the originals that are not named in `keep`, and return their base names.

        A crash before the commit of an import leaves originals of rows that there never were, and a power cut may
        bring one back whose row has been migrated. But so does a catalogue that was lost, or put back from an old
        copy: then these are all that is left. So they go to `lost+found`, and the owner decides.
        """
        swept = _unnamed(self._pending, keep)
        if swept:
            make_folder(self._folder / LOST_AND_FOUND)
        for name in swept:
            reach("pending_folder.sweep.before")
            (self._pending / name).replace(free_path(self._folder / LOST_AND_FOUND, name))
            reach("pending_folder.sweep.after")
        return swept

    async def _in_worker(self, source: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with contextlib.suppress(WorkerDied):
            async with self._slots:
                return await self._answer(source, function, *args, **kwargs)
        # Memory that one image takes may have the worker of another killed. The second try has the pool to itself, so
        # that only the image that is to blame is refused.
        async with self._whole_pool():
            try:
                return await self._answer(source, function, *args, **kwargs)
            except WorkerDied as error:
                name = shown_name(str(source))
                raise ImageError(f"{name} made the decoder crash, or run out of memory, twice") from error

    async def _answer(self, source: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            async with asyncio.timeout(self._answer_seconds) as limit:
                return await self._pool.run(function, *args, **kwargs)
        except TimeoutError as error:
            if not limit.expired():  # the disk's own ETIMEDOUT
                raise
            # What runs in a worker cannot be called off, so the workers are ended; what others run is tried again.
            await asyncio.to_thread(self._pool.abandon)
            name = shown_name(str(source))
            raise ImageError(f"{name} could not be decoded within {self._answer_seconds:.0f} s") from error

    @contextlib.asynccontextmanager
    async def _whole_pool(self) -> AsyncIterator[None]:
        # One at a time: two would each hold some of the slots and wait for the rest for ever.
        async with self._second_tries, contextlib.AsyncExitStack() as held:
            for _ in range(self._pool.workers):
                await held.enter_async_context(self._slots)
            yield


def _unnamed(folder: Path, keep: Collection[str]) -> list[str]:
    """Return the base names of the files of a folder that are not named in `keep`."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if entry.name not in keep and not entry.is_dir(follow_symlinks=False)
        )


def _plain_extension(name: str) -> str:
    extension = PurePath(name).suffix.lower()
    return extension if _PLAIN_EXTENSION.fullmatch(extension) else ""
