"""Adopt what other tools keep beside models while the daemon runs.

Events, finished migrations and rescans only say where to look: a folder is looked at as a whole, what differs from
what is kept of its files is read and taken in, and then what waits for a content is attached to it. So it ends the
same in whatever order a model, its sidecar and its preview come.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from modelkeep.base.log import get_logger
from modelkeep.base.persistence import do_for_all, unforeseen
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.adoption import Adoption
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.walk import Tour
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.events import (
    EventsLost,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    SidecarsTouched,
    WatchEvent,
)
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import is_hidden_below
from modelkeep.domain.source_images import KeptFile
from modelkeep.domain.values import Record
from modelkeep.errors import RootSilent
from modelkeep.importers.sidecars.looking import FolderLook, SeenSidecar, look_into, read_all

SETTLE_SECONDS = 0.4
"""How long nothing may happen before folders are looked at, and at most so many times that."""
SETTLE_TIMES_MAX = 10
FOLDERS_AT_ONCE = 100
FILES_AT_ONCE = 200
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
        looks: looks at paths of the roots.
        extensions: endings of model files.
        kinds: of the records that are taken; None: all.
        record: appends records to the journal.
        is_own: tells by its digest what the owner had written by this program: that is no news.
        fallback_encoding: in which texts are read that are no UTF-8.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        adoption: Adoption,
        take_images: Callable[[], Awaitable[None]],
        looks: DiskLooks,
        extensions: Sequence[str],
        kinds: Collection[str] | None,
        record: Callable[[Sequence[Record]], object],
        is_own: Callable[[str], bool] = lambda _: False,
        fallback_encoding: str = FALLBACK_ENCODING,
    ) -> None:
        self._fallback_encoding = fallback_encoding
        self._is_own = is_own
        self._catalogue = catalogue
        self._adoption = adoption
        self._take_images = take_images
        self._looks = looks
        self._extensions = extensions
        self._kinds = kinds
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._folders: set[str] = set()
        self._trees: set[str] = set()
        self._paths: set[str] = set()
        self._contents: set[str] = set()
        self._everywhere = True
        self._passed_by: dict[str, tuple[int, int, tuple[str, ...]]] = {}

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
        paths: dict[str, str] = {}
        for event, fields in records:
            if event == "rescan.finished":
                trees.add(str(fields["root"]))
            elif (
                "sha256" in fields and "path" in fields and "image" not in fields and not event.startswith("source.")
            ):
                paths[str(fields["path"])] = str(fields["sha256"])
        if trees or paths:
            with suppress(RuntimeError):  # the loop is closed: the daemon has stopped
                self._loop.call_soon_threadsafe(self._note, trees, paths)

    def hear_contents(self, hashes: Iterable[str]) -> None:
        """Have contents speak of which something was read: a header, or a digest by which they are known."""
        self._contents.update(hashes)
        self._asked.set()

    def look_everywhere(self, roots: Iterable[str]) -> None:
        """Look through roots, and attach whatever waits."""
        self._trees.update(roots)
        self._everywhere = True
        self._asked.set()

    def _note(self, trees: set[str], paths: Mapping[str, str]) -> None:
        new = paths.keys() - self._paths  # each is told of again with every step of its migration
        self._trees |= trees
        self._paths |= new
        self._contents.update(paths.values())
        self._folders.update(map(os.path.dirname, new))
        self._asked.set()

    # What is done

    async def run(self, persist: Callable[[Callable[[], Awaitable[None]]], Awaitable[object]]) -> None:
        """Look and take in, until cancelled; `persist` carries a pass out again while the catalogue cannot be had."""
        self._asked.set()
        while True:
            await self._settled()
            began = time.monotonic()
            await self._take_pass(persist)
            await asyncio.sleep(min(REST_SECONDS_MAX, (time.monotonic() - began) * REST_FACTOR))

    async def _take_pass(self, persist: Callable[[Callable[[], Awaitable[None]]], Awaitable[object]]) -> None:
        """Look once at all that is asked for by now; nothing of it is kept while nothing is asked for."""
        folders, trees, everywhere = self._folders, self._trees, self._everywhere
        paths, contents = self._paths, self._contents
        self._folders, self._trees, self._paths, self._contents = set(), set(), set(), set()
        self._everywhere = False
        try:
            await persist(partial(self._carry_out, folders, trees, paths, contents, everywhere))
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
        inside = [folder for folder in folders if self._is_visible(folder)]
        every = sorted({*inside, *await self._folders_of(trees)})
        for start in range(0, len(every), FOLDERS_AT_ONCE):
            await self._compare(every[start : start + FOLDERS_AT_ONCE])
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

    def _is_visible(self, folder: str) -> bool:
        root = self._looks.roots.of(folder)
        if root is None:
            return False
        from modelkeep.importers.sidecars.finding import is_download_folder

        return is_download_folder(folder) or not is_hidden_below(os.path.join(folder, "file"), root.path)

    async def _folders_of(self, trees: Iterable[str]) -> set[str]:
        """Return the folders below some, and those of whose files something is kept."""
        found: set[str] = set()
        for tree in trees:
            if not self._is_visible(tree):
                continue
            with suppress(RootSilent):  # it is looked through when it answers again
                root = self._looks.roots.of(tree)
                assert root is not None  # noqa: S101 - it is visible
                found.update(await self._looks.run(tree, _folders_below, tree, root.path))
                found.update(await self._catalogue.source_folders_below(tree))
        return found

    async def _compare(self, folders: Sequence[str]) -> None:
        """Take in what differs in folders from what is kept of their files."""
        looks = []
        for root, own in self._by_root(folders).items():
            with suppress(RootSilent):
                looks.append(await self._looks.run(root, look_into, own, self._extensions, self._is_certain))
        look = FolderLook([folder for each in looks for folder in each.folders])
        for each in looks:
            look.seen.update(each.seen)
        if not look.folders:
            return
        kept = await self._catalogue.source_files_in(look.folders)
        changed, gone = self._differences(look, kept)
        of_key: dict[str, list[KeptFile]] = {}
        for file in kept:
            of_key.setdefault(file.key, []).append(file)
        for start in range(0, max(len(changed), 1), FILES_AT_ONCE):
            await self._take(changed[start : start + FILES_AT_ONCE], gone if start == 0 else [], of_key)

    def _by_root(self, folders: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder in folders:
            root = self._looks.roots.of(folder)
            if root is not None:
                found.setdefault(root.path, []).append(folder)
        return found

    def _is_certain(self, folder: str) -> bool:
        """Return whether a folder that is not there is gone, and not its root; looks at the disk."""
        root = self._looks.roots.of(folder)
        return root is not None and self._looks.roots.is_same(root)

    def _differences(self, look: FolderLook, kept: Sequence[KeptFile]) -> tuple[list[SeenSidecar], list[int]]:
        """Return the files that are to be read, and the ids of the records whose file is there no more."""
        known = {file.key: (file.size_bytes, file.mtime_ns, file.models) for file in kept}
        changed = [
            seen
            for path, seen in look.seen.items()
            if seen.facts != known.get(path) and seen.facts != self._passed_by.get(path)
        ]
        return changed, [file.id for file in kept if file.key not in look.seen]

    async def _take(
        self, changed: Sequence[SeenSidecar], gone: list[int], of_key: Mapping[str, Sequence[KeptFile]]
    ) -> None:
        """Read files, and take in what they say."""
        arrivals: list[Arrival] = []
        refused: list[Record] = []
        for seen, said in await self._read(changed):
            path = seen.found.path
            if isinstance(said, SourceRecord) and self._is_wanted(said):
                self._passed_by.pop(path, None)
                arrivals.append(Arrival(said, seen.size_bytes, seen.mtime_ns))
                # What was a file of one tool may be one of another now.
                gone = [*gone, *(file.id for file in of_key.get(path, ()) if file.kind != said.kind)]
                continue
            self._passed_by[path] = seen.facts
            if isinstance(said, Refusal):
                refused.append(("source.refused", {"path": path, "error": said.reason}))
        if refused:
            self._record(refused)
        if gone:
            await self._adoption.take([], gone)

        async def give_up(arrival: Arrival, error: Exception) -> None:
            path = arrival.record.key
            self._passed_by[path] = next(seen.facts for seen in changed if seen.found.path == path)
            self._record([("source.refused", {"path": path, "error": unforeseen(error)})])

        if arrivals:
            await do_for_all(self._adoption.take, arrivals, give_up)

    def _is_wanted(self, said: SourceRecord) -> bool:
        return (self._kinds is None or said.kind in self._kinds) and not self._is_own(said.digest)

    async def _read(self, changed: Sequence[SeenSidecar]) -> list[tuple[SeenSidecar, SourceRecord | Refusal | None]]:
        said: list[tuple[SeenSidecar, SourceRecord | Refusal | None]] = []
        by_root: dict[str, list[SeenSidecar]] = {}
        for seen in changed:
            root = self._looks.roots.of(seen.found.path)
            by_root.setdefault(root.path if root is not None else "", []).append(seen)
        for root_path, own in by_root.items():
            with suppress(RootSilent):
                said += await self._looks.run(root_path, _read, own, self._fallback_encoding)
        return said


def _read(
    changed: Sequence[SeenSidecar], fallback_encoding: str
) -> list[tuple[SeenSidecar, SourceRecord | Refusal | None]]:
    return list(read_all(changed, fallback_encoding))


def _folders_below(folder: str, root: str) -> list[str]:
    return [current for current, _ in Tour(folder, root)]
