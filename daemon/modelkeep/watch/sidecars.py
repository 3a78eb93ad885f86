"""Adopt what other tools keep beside models while the daemon runs.

Events, finished migrations and rescans only say where to look: a folder is looked at as a whole, what differs from
what is kept of its files is read and taken in, and then what waits for a content is attached to it. So it ends the
same in whatever order a model, its sidecar and its preview come.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from modelkeep.base.log import get_logger
from modelkeep.base.persistence import persist
from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.adoption import Adoption
from modelkeep.domain.events import (
    EventsLost,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    SidecarsTouched,
    WatchEvent,
)
from modelkeep.domain.values import Record
from modelkeep.watch.sidecar_folders import SidecarFolders

SETTLE_SECONDS = 0.4
"""How long nothing may happen before folders are looked at, and at most so many times that."""
SETTLE_TIMES_MAX = 10
PATHS_AT_ONCE = 500
REST_FACTOR = 4.0
"""So many times as long as a pass took the next one is put off, that hashing does not starve meanwhile."""
REST_SECONDS_MAX = 10.0


_log = get_logger("sidecars")


class Sidecars:
    """Takes in what lies beside models.

    Args:
        catalogue: what is kept.
        adoption: takes records in.
        take_images: brings the images of records into their models.
        sidecars: takes in what lies in folders.
        troubles: holds a report while the catalogue cannot be read or written.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        adoption: Adoption,
        take_images: Callable[[], Awaitable[None]],
        sidecars: SidecarFolders,
        troubles: Troubles,
    ) -> None:
        self._troubles = troubles
        self._catalogue = catalogue
        self._adoption = adoption
        self._take_images = take_images
        self._sidecars = sidecars
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._folders: set[str] = set()
        self._trees: set[str] = set()
        self._paths: set[str] = set()
        self._contents: set[str] = set()
        self._everywhere = True

    # What is told

    def hear(self, events: Iterable[WatchEvent]) -> None:
        """Look where events say that something happened."""
        for event in events:
            match event:
                case SidecarsTouched(paths):
                    self._folders.update(map(os.path.dirname, paths))
                case FolderMoved(old, new) | FolderExchanged(old, new):
                    self._trees |= {old, new}
                case FolderAppeared(path) | FolderGone(path) | EventsLost(path):
                    self._trees.add(path)
                case _:
                    continue
            self._asked.set()

    def hear_records(self, records: Iterable[Record]) -> None:
        """Look where records of the journal say that contents are known now; from any thread."""
        trees: set[str] = set()
        imported: set[str] = set()
        paths: dict[str, str] = {}
        for event, fields in records:
            if event == "rescan.finished":
                trees.add(str(fields["root"]))
            elif (
                "sha256" in fields and "path" in fields and "image" not in fields and not event.startswith("source.")
            ):
                path = str(fields["path"])
                if "source" in fields:  # of an import, which may have brought a million
                    imported.add(_folder_of(path))
                else:
                    paths[path] = str(fields["sha256"])
        if trees or imported or paths:
            with suppress(RuntimeError):  # the loop is closed: the daemon has stopped
                self._loop.call_soon_threadsafe(self._note, trees, imported, paths)

    def hear_contents(self, hashes: Iterable[str]) -> None:
        """Have contents speak of which something was read: a header, or a digest by which they are known."""
        self._contents.update(hashes)
        self._asked.set()

    def look_everywhere(self, roots: Iterable[str]) -> None:
        """Look through roots, and attach whatever waits."""
        self._trees.update(roots)
        self._everywhere = True
        self._asked.set()

    def _note(self, trees: set[str], imported: set[str], paths: Mapping[str, str]) -> None:
        new = paths.keys() - self._paths  # each is told of again with every step of its migration
        self._trees |= trees
        self._folders |= imported
        self._everywhere = self._everywhere or bool(imported)
        self._paths |= new
        self._contents.update(paths.values())
        self._folders.update(map(_folder_of, new))
        self._asked.set()

    # What is done

    async def run(self) -> None:
        """Look and take in, until cancelled."""
        self._asked.set()
        while True:
            await self._settled()
            began = time.monotonic()
            await self._take_pass()
            await asyncio.sleep(min(REST_SECONDS_MAX, (time.monotonic() - began) * REST_FACTOR))

    async def _take_pass(self) -> None:
        """Look once at all that is asked for by now; nothing of it is kept while nothing is asked for."""
        folders, trees, everywhere = self._folders, self._trees, self._everywhere
        paths, contents = self._paths, self._contents
        self._folders, self._trees, self._paths, self._contents = set(), set(), set(), set()
        self._everywhere = False
        try:
            carry_out = partial(self._carry_out, folders, trees, paths, contents, everywhere)
            await persist(carry_out, self._troubles)
        except Exception as error:  # nobody foresaw it: it must not end the daemon, nor be tried without end
            _log.exception("unforeseen.error", about=sorted(trees | folders)[:5], error=str(error))

    async def _settled(self) -> None:
        """Wait until something is asked for, and a moment more while more of it comes."""
        await self._asked.wait()
        for _ in range(SETTLE_TIMES_MAX):
            self._asked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self._asked.wait()
            if not self._asked.is_set():
                return
        self._asked.clear()

    async def _carry_out(
        self, folders: set[str], trees: set[str], paths: set[str], contents: set[str], everywhere: bool
    ) -> None:
        await self._sidecars.take_in(folders, trees)
        if everywhere:
            await self._adoption.attach()
            while unheard := await self._catalogue.unheard():
                await self._adoption.attach([], unheard)
        elif (paths or contents) and await self._catalogue.may_attach(sorted(paths), sorted(contents)):
            known, read = sorted(paths), sorted(contents)
            for start in range(0, max(len(known), len(read)), PATHS_AT_ONCE):
                chosen = slice(start, start + PATHS_AT_ONCE)
                await self._adoption.attach(known[chosen], read[chosen])
        await self._take_images()


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"
