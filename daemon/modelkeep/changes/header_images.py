"""An image in the header of a model's file becomes the model's first, if it has none: checked as any other."""

import io
from collections.abc import Callable, Sequence
from functools import partial

from modelkeep.base.persistence import PASSING
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.owner import OwnerActs
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.opening import close_file, open_and_see, read_at
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.header_images import header_images
from modelkeep.domain.values import Location, LocationState, Record
from modelkeep.errors import ImageError, ModelkeepError, RootSilent

_AT_ONCE = 100


class HeaderImages:
    """Takes the images of headers, each once: one that the owner removes does not come back.

    Args:
        catalogue: knows in which headers there is one.
        acts: add images to models.
        looks: read the headers.
        record: appends records to the journal.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        acts: OwnerActs,
        looks: DiskLooks,
        record: Callable[[Sequence[Record]], object],
    ) -> None:
        self._catalogue = catalogue
        self._acts = acts
        self._looks = looks
        self._record = record

    async def take(self) -> None:
        """Look at all that were not looked at yet and whose files are there.

        Raises:
            CatalogueError: it cannot be read or written.
        """
        last = ""
        while hashes := await self._catalogue.waiting_header_images(_AT_ONCE, last):
            for sha256 in hashes:
                known = await self._catalogue.model(sha256)
                if known is None or known.images or await self._take_one(known):
                    await self._catalogue.settle_header_image(sha256)
            last = hashes[-1]

    async def _take_one(self, known: ModelDetails) -> bool:
        """Take the first image in a header that can be used; returns whether all is done that can be."""
        places = (place for place in known.locations if place.state is LocationState.PRESENT and place.is_read)
        place = next(places, None)
        found = await self._read(place) if place is not None else None
        if found is None or place is None:
            return False
        refused = ""
        for image in found:
            try:
                await self._acts.add_header_image(known.model.sha256, io.BytesIO(image))
            except ImageError as error:
                refused = refused or str(error)
            except PASSING:
                raise
            except ModelkeepError:  # the disk of the images, or no process to render it: it is tried again
                return False
            else:
                return True
        if refused:
            fields = {"path": place.path, "sha256": known.model.sha256, "error": refused}
            self._record([("image.refused", {**fields, "cause": "from the header of its file"})])
        return True

    async def _read(self, place: Location) -> list[bytes] | None:
        """Return the images in the header of the file that was read; None when that cannot be looked at now."""
        try:
            return await self._looks.run(place.path, _images_in, place.path, place.fingerprint)
        except (OSError, RootSilent):
            return None


def _images_in(path: str, known: Fingerprint | None) -> list[bytes] | None:
    descriptor, seen = open_and_see(path)
    try:
        if not seen.fingerprint.is_untouched_since(known):
            return None
        return header_images(seen.fingerprint.size_bytes, partial(read_at, descriptor))
    finally:
        close_file(descriptor)
