"""The library: whatever is only read of the catalogue, the images and the journal, in the shapes of the interface.

The daemon answers its HTTP interface from it, and a command that finds no daemon answers itself from it: what is
asked, at which path of the interface, and what the answer looks like stands here, for long lists in `listing`, and
nowhere else.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from modelkeep.api import shapes
from modelkeep.api.shapes import Shape
from modelkeep.base.patience import reached
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.files import leads_through_link, statuses_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.roots import Roots
from modelkeep.domain.browsing import Order
from modelkeep.domain.details import ModelDetails, PendingDetails
from modelkeep.domain.duplicates import Duplicate, find_duplicates
from modelkeep.domain.naming import Root
from modelkeep.errors import NotFound
from modelkeep.images.paths import ImagePaths
from modelkeep.journal.query import Query
from modelkeep.journal.reader import read
from modelkeep.journal.segments import list_segments
from modelkeep.service.listing import Lists, stored_type, wanted
from modelkeep.service.status import Activity, status_report
from modelkeep.settings.model import Settings


class Library:
    """Answers questions; changes nothing. A `limit` of 0 means all.

    Args:
        catalogue: what is known.
        directory: the data folder, for images and journal.
        looks: returns what looks at paths, and knows the roots: few questions need it.
        activity: returns what the daemon is doing, None when it does not run.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        directory: DataDirectory,
        looks: Callable[[], DiskLooks],
        activity: Callable[[], Activity | None] = lambda: None,
    ) -> None:
        self._catalogue = catalogue
        self._journal = directory.journal
        self._images = ImagePaths(directory.images)
        self._looks = looks
        self._activity = activity
        self.answered = 0
        """How many questions were: whoever looks through a large library has much of it in memory."""
        self._lists = Lists(catalogue)
        self._answers: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "/api/status": self.status,
            "/api/migration/status": self.work,
            "/api/models": self.models,
            "/api/models/find": self.find_models,
            "/api/models/browse": self.browse,
            "/api/models/count": self.count_models,
            "/api/models/get_types": self.types,
            "/api/models/{sha256}": self.model,
            "/api/models/{sha256}/details": self.model_details,
            "/api/orphans": self.orphans,
            "/api/orphans/{record_id}": self.orphan,
            "/api/tags": self.tags,
            "/api/tags/details": self.carried_tags,
            "/api/images/get_img_count": self.image_count,
            "/api/images/get_sample_imgs": self.image_names,
            "/api/duplicates": self.duplicates,
            "/api/pending": self.pending,
            "/api/pending/{pending_id}": self.pending_details,
            "/api/migration/pending_models": self.pending_models,
            "/api/migration/pending_model": self.pending_model,
            "/api/journal": self.journal,
        }

    async def ask(self, path: str, **parameters: Any) -> Any:
        """Answer a question of the HTTP interface.

        Args:
            path: of the interface, with the names of parameters in braces.
            parameters: of the path and of the query, checked already.

        Raises:
            NotFound: there is no such thing.
        """
        self.answered += 1
        return await self._answers[path](**parameters)

    def portions(self, path: str, **parameters: Any) -> AsyncIterator[Sequence[Shape]]:
        """Return what `ask` answers a question with a list, in portions."""
        self.answered += 1
        return self._lists.portions(path, **parameters)

    # What is done

    async def status(self) -> Shape:
        """What `modelkeep status --json` prints."""
        # Work goes from scans through the queue to the stages: looked at in that order, nothing of it is missed.
        before = self._activity()
        counts = await self._catalogue.counts()
        activity = self._activity() or await self._at_rest()
        return status_report(counts, activity if before is None else replace(activity, roots=before.roots))

    async def work(self) -> Shape:
        """Whether the daemon is at work, and what is left."""
        known = await self.status()
        return {"status": "success", **{key: known[key] for key in ("state", "paused", "pending", "hashing")}}

    # Models

    async def models(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the column's name
        q: str = "",
        tag: str = "",
        limit: int = 0,
        offset: int = 0,
    ) -> Shape:
        """Models of a type (`others`: those without one), whose name or path holds a text, which carry a tag."""
        rows = await self._catalogue.models(type=stored_type(type), q=q, tag=tag, limit=limit, offset=offset)
        return {"models": [shapes.model_listed(model, images_count) for model, images_count in rows]}

    async def browse(self, *, order: Order = Order.NAME, limit: int = 0, offset: int = 0, **looked_for: Any) -> Shape:
        """A page of the models that somebody looks for; `looked_for`: see `domain.browsing.Wanted`."""
        rows = await self._catalogue.browse(wanted(**looked_for), order, limit, offset)
        return {"models": [shapes.model_listed(model, images_count) for model, images_count in rows]}

    async def count_models(self, **looked_for: Any) -> Shape:
        """How many models somebody looks for: altogether, and of each type."""
        return shapes.model_counts(await self._catalogue.count_by_type(wanted(**looked_for)))

    async def find_models(self, *, q: str) -> Shape:
        """The models that a hash or its beginning (6 digits or more), a path, a name or a text means."""
        return {"models": [shapes.model_found(model) for model in await self._catalogue.find_models(q)]}

    async def types(self) -> Shape:
        """Every type in use or configured."""
        configured = {root.type for root in self._looks().roots.configured if root.type}
        return {"types": sorted({*await self._catalogue.types(), *configured})}

    async def model(self, *, sha256: str) -> Shape:
        """One model."""
        details = await self._known_model(sha256)
        return shapes.model_full(details.model, details.images_count)

    async def model_details(self, *, sha256: str) -> Shape:
        """One model with its images, locations and sources."""
        known = await self._known_model(sha256)
        return shapes.model_details(known, await self._catalogue.sources(sha256))

    async def orphans(self, *, limit: int = 0, offset: int = 0) -> Shape:
        """The source records without a model, and what is offered to each."""
        portions = self._lists.portions("/api/orphans", limit=limit, offset=offset)
        return {"orphans": [orphan async for some in portions for orphan in some]}

    async def orphan(self, *, record_id: int) -> Shape:
        """A source record without a model, whole."""
        for found in await self._catalogue.orphans([record_id]):
            return shapes.orphan_details(found)
        raise NotFound(f"There is no orphan {record_id}.")

    async def tags(self) -> Shape:
        """Every tag by name."""
        return {"tags": [shapes.tag(tag) for tag in await self._catalogue.tags()]}

    async def carried_tags(self) -> Shape:
        """Every tag by name, with its colour and how many carry it."""
        return {"tags": [shapes.carried_tag(tag) for tag in await self._catalogue.carried_tags()]}

    async def duplicates(self) -> Shape:
        """The contents that lie at several places, and what could be freed; looks at the disk."""
        return shapes.duplicates(await self.find_duplicates(), await self._catalogue.families())

    async def find_duplicates(self) -> list[Duplicate]:
        """Return the contents that lie at several places, those that free the most first."""
        contents = await self._catalogue.contents_at_several_paths()
        paths = {location.path for _, locations in contents for location in locations}
        links = await self._looks().found(partial(_links, self._looks().roots.configured), paths)
        # Of what does not answer nobody knows what deleting it would free.
        there = await self._looks().found(statuses_of, paths)
        return find_duplicates(contents, lambda path: links.get(path, True), there.get)

    # Images

    async def image_count(self, *, sha256: str) -> Shape:
        """How many images a model has."""
        known = await self._catalogue.model(sha256)
        return {"count": known.images_count if known else 0}

    async def image_names(self, *, sha256: str) -> list[str]:
        """The names under which a model's images can be had."""
        known = await self._catalogue.model(sha256)
        return [f"{image.sha256}_{image.seq}.webp" for image in known.images] if known else []

    def image(self, sha256: str, seq: int, quality: str) -> Path:
        """Return where an image of a model lies, if there is one."""
        return self._images.published_path(sha256, seq, quality)

    async def pending_image(self, pending_id: int, name: str) -> Path | None:
        """Return where the image of a row of the queue lies; None when it has none, or one of another name.

        Args:
            pending_id: the row.
            name: base name that the image has to have; empty: whatever it is called.
        """
        row = await self._catalogue.pending(pending_id)
        if row is None or not row.image or name not in ("", row.image):
            return None
        return self._images.pending_path(row.image)

    # The queue

    async def pending(self, *, state: str | None = None, limit: int = 0, offset: int = 0) -> Shape:
        """Rows of the queue, those of one state or all."""
        rows = await self._catalogue.pending_imports(state, limit, offset)
        return {"pending": [shapes.queue_row(row) for row in rows]}

    async def pending_details(self, *, pending_id: int) -> Shape:
        """A row of the queue, the model that has its content already, and what each strategy would do."""
        details = await self._known_row(pending_id)
        image = self._images.pending_path(details.pending.image) if details.pending.image else None
        digest = await asyncio.to_thread(_digest_of, image) if image and details.existing else None
        return shapes.pending_details(details, digest)

    async def pending_models(self) -> Shape:
        """Every row of the queue, in short."""
        return {"models": [shapes.pending_listed(row) for row in await self._catalogue.pending_imports()]}

    async def pending_model(self, *, pending_id: int) -> Shape:
        """One row of the queue."""
        return shapes.pending_full((await self._known_row(pending_id)).pending)

    # The journal

    async def journal(self, *, after: int | None = None, limit: int = 0, **wanted: Any) -> Shape:
        """Journal records: the last ones that fit, or the first ones after one; `wanted`: see `journal.query`."""
        query = Query(limit=limit, **wanted) if after is None else Query(after=after, **wanted)
        return {"records": await asyncio.to_thread(self.records, query, limit)}

    def records(self, query: Query, most: int) -> list[dict[str, object]]:
        """Return journal records, at most so many, 0 for all; reads files."""
        return list(islice(read(self._journal, query), most or None))

    async def _known_model(self, sha256: str) -> ModelDetails:
        details = await self._catalogue.model(sha256)
        if details is None:
            raise NotFound("There is no model of that hash.")
        return details

    async def _known_row(self, pending_id: int) -> PendingDetails:
        details = await self._catalogue.pending_details(pending_id)
        if details is None:
            raise NotFound(f"There is no row {pending_id} in the queue.")
        return details

    async def _at_rest(self) -> Activity:
        """Return what can be said of a daemon that does not run."""
        segments = list_segments(self._journal)
        last = next(iter(read(self._journal, Query(limit=1))), {"seq": 0}) if segments else {"seq": 0}
        size_bytes = sum(segment.path.stat().st_size for segment in segments)
        journal = {"seq": int(str(last["seq"])), "segments": len(segments), "bytes": size_bytes}
        return Activity("stopped", paused=await self._catalogue.is_paused(), journal=journal)


@contextmanager
def resting_library(settings: Settings) -> Iterator[Library]:
    """Open the library of a data folder that no daemon has open; creates and changes nothing.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    directory = DataDirectory(settings.data_dir)
    catalogue = Catalogue(directory.catalogue, read_only=True)

    @cache
    def looks() -> DiskLooks:
        return DiskLooks(Roots(settings.model_roots()), settings.watch.silence_seconds)

    try:
        yield Library(catalogue, directory, looks)
    finally:
        catalogue.close()


def _digest_of(image: Path) -> str | None:
    """Return the digest by which an image is known; None when it is not there."""
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _links(roots: Sequence[Root], paths: Sequence[str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for path in paths:
        reached(path)
        found[path] = leads_through_link(path, roots)
    return found
