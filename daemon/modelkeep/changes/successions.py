"""The same weights under a new header: what is known of the old content follows them when its file is gone.

What follows is a copy, made as an act of the owner is; the old content keeps all that is known of it. Which contents
are concerned is told by the catalogue at any time, so nothing is lost by a stop.
"""

import asyncio
from collections.abc import Callable, Sequence

from modelkeep.base.log import get_logger
from modelkeep.base.persistence import PASSING, persist
from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.header_images import HeaderImages
from modelkeep.changes.owner import OwnerActs
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.values import LocationState, Record
from modelkeep.errors import ModelkeepError

_log = get_logger("successions")

_NEWS_MAX = 1_000


class Successions:
    """Has models take over from others of the same tensors, and tells where the owner may decide that.

    Args:
        catalogue: knows the tensors.
        acts: carries out what follows.
        record: appends records to the journal.
        troubles: holds a report while the catalogue cannot be read or written.
        images: takes images from headers, after images were taken over.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        acts: OwnerActs,
        record: Callable[[Sequence[Record]], object],
        troubles: Troubles,
        images: HeaderImages,
    ) -> None:
        self._images = images
        self._has_images = False
        self._catalogue = catalogue
        self._acts = acts
        self._record = record
        self._troubles = troubles
        self._asked = asyncio.Event()
        self._news: dict[str, None] = {}
        self._told: set[tuple[str, str]] = set()
        self._settled_at = -1

    def recognised(self, hashes: Sequence[str]) -> None:
        """Take note of contents that were just read and whose tensors were known; they may be no models yet."""
        self._news |= dict.fromkeys(hashes)
        while len(self._news) > _NEWS_MAX:
            self._news.pop(next(iter(self._news)))

    def pictured(self) -> None:
        """Take note that there are images in headers that were just read."""
        self._has_images = True

    def migrated(self) -> None:
        """Look at what was recognised, for it may have become models."""
        if self._news or self._has_images:
            self._asked.set()

    def look(self) -> None:
        """Look at all: files may be gone by now."""
        self._asked.set()

    async def run(self) -> None:
        """Look whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await persist(self._look, self._troubles)

    async def _look(self) -> None:
        changes = self._catalogue.changes  # before asking: what is committed meanwhile is asked for again
        if changes != self._settled_at:
            found = await self._catalogue.successions()
            for origin, heir in found:
                await self._follow(origin, heir)
            self._settled_at = -1 if found else changes
        for sha256 in list(self._news):
            known = await self._catalogue.model(sha256)
            if known is not None:
                self._news.pop(sha256, None)
                self._offer(known)
        self._has_images = False
        await self._images.take()

    async def _follow(self, origin: str, heir: str) -> None:
        try:
            plan = await self._acts.inherit(heir, origin, by_owner=False)
        except PASSING:
            raise
        except ModelkeepError:  # it is looked at again, and may be another case by then
            return
        except Exception:
            _log.exception("unforeseen.error", about=repr((origin, heir)))
            return
        if plan.differing and (origin, heir) not in self._told:
            self._told.add((origin, heir))
            fields = {"path": plan.model.path, "sha256": heir, "same_tensors_as": [origin]}
            self._record([("model.recognised", {**fields, "differing": list(plan.differing)})])

    def _offer(self, known: ModelDetails) -> None:
        """Tell that other files hold the same tensors: the owner may have the one take over from the other."""
        there = [sibling.sha256 for sibling in known.siblings if sibling.state is not LocationState.MISSING]
        if there:
            fields = {"path": known.model.path, "sha256": known.model.sha256, "same_tensors_as": there}
            self._record([("model.recognised", {**fields, "cause": "both files are there"})])
