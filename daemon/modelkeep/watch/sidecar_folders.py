"""Compare folders with what is kept of the sidecars in them, and take in what differs."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from modelkeep.base.persistence import do_for_all, unforeseen
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.adoption import Adoption
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.walk import Tour
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import is_hidden_below
from modelkeep.domain.source_images import KeptFile, RefusedFile
from modelkeep.domain.values import Record
from modelkeep.errors import RootSilent
from modelkeep.importers.sidecars.finding import is_download_folder
from modelkeep.importers.sidecars.looking import FolderLook, SeenSidecar, look_into, read_all

FOLDERS_AT_ONCE = 100
FILES_AT_ONCE = 200


class SidecarFolders:
    """Takes in what lies in folders.

    Args:
        catalogue: what is kept.
        adoption: takes records in.
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
        looks: DiskLooks,
        extensions: Sequence[str],
        kinds: Collection[str] | None,
        record: Callable[[Sequence[Record]], object],
        is_own: Callable[[str], bool] = lambda _: False,
        fallback_encoding: str = FALLBACK_ENCODING,
    ) -> None:
        self._catalogue = catalogue
        self._adoption = adoption
        self._looks = looks
        self._extensions = extensions
        self._kinds = kinds
        self._record = record
        self._is_own = is_own
        self._fallback_encoding = fallback_encoding
        self._passed_by: dict[str, object] = {}
        self._refused: dict[str, RefusedFile] | None = None
        """What the journal says already of files that cannot be taken, across a stop."""

    async def take_in(self, folders: Iterable[str], trees: Iterable[str]) -> None:
        """Take in what differs in folders, and in all folders of trees, from what is kept of their files."""
        inside = [folder for folder in folders if self._is_visible(folder)]
        every = sorted({*inside, *await self._folders_of(trees)})
        if not every:
            return
        if self._refused is None:
            self._refused = await self._catalogue.refused_sidecars()
        before = dict(self._refused)
        for start in range(0, len(every), FOLDERS_AT_ONCE):
            await self._compare(every[start : start + FOLDERS_AT_ONCE], self._refused)
        if self._refused != before:
            await self._catalogue.keep_refused_sidecars(self._refused)

    def _is_visible(self, folder: str) -> bool:
        root = self._looks.roots.of(folder)
        if root is None:
            return False
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

    async def _compare(self, folders: Sequence[str], refused: dict[str, RefusedFile]) -> None:
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
        for noted in (self._passed_by, refused):
            _forget_lost(noted, look)
        kept = await self._catalogue.source_files_in(look.folders)
        changed = self._changed(look, kept)
        gone = await self._gone([file for file in kept if file.key not in look.seen])
        of_key: dict[str, list[KeptFile]] = {}
        for file in kept:
            of_key.setdefault(file.key, []).append(file)
        for start in range(0, max(len(changed), 1), FILES_AT_ONCE):
            await self._take(changed[start : start + FILES_AT_ONCE], gone if start == 0 else [], of_key, refused)

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

    def _changed(self, look: FolderLook, kept: Sequence[KeptFile]) -> list[SeenSidecar]:
        """Return the files that are to be read."""
        known = {file.key: (file.size_bytes, file.mtime_ns, file.models) for file in kept}
        return [
            seen
            for path, seen in look.seen.items()
            if seen.facts != known.get(path) and seen.state != self._passed_by.get(path)
        ]

    async def _gone(self, unseen: Sequence[KeptFile]) -> list[int]:
        """Return the ids of the records whose file is there no more.

        One that is there as it was is not gone when its name tells of no model any more, for that was renamed.
        """
        there = await self._looks.told(fingerprints_of, {file.key for file in unseen})
        return [file.id for file in unseen if not _is_there(file, there.get(file.key))]

    async def _take(
        self,
        changed: Sequence[SeenSidecar],
        gone: list[int],
        of_key: Mapping[str, Sequence[KeptFile]],
        refused: dict[str, RefusedFile],
    ) -> None:
        """Read files, and take in what they say."""
        arrivals: list[Arrival] = []
        told: list[Record] = []
        for seen, said in await self._read(changed):
            path = seen.found.path
            if isinstance(said, SourceRecord) and self._is_wanted(said):
                self._passed_by.pop(path, None)
                refused.pop(path, None)
                arrivals.append(Arrival(said, seen.size_bytes, seen.mtime_ns))
                # What was a file of one tool may be one of another now.
                gone = [*gone, *(file.id for file in of_key.get(path, ()) if file.kind != said.kind)]
                continue
            self._passed_by[path] = seen.state
            before = refused.pop(path, None)
            if isinstance(said, Refusal):
                refused[path] = RefusedFile(seen.size_bytes, seen.mtime_ns, said.reason)
                if refused[path] != before:
                    told.append(("source.refused", {"path": path, "error": said.reason}))
        if told:
            self._record(told)
        if gone:
            await self._adoption.take([], gone)

        async def give_up(arrival: Arrival, error: Exception) -> None:
            path = arrival.record.key
            self._passed_by[path] = next(seen.state for seen in changed if seen.found.path == path)
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


def _forget_lost(noted: dict[str, Any], look: FolderLook) -> None:
    """Forget what was noted of files that are seen no more in folders that were looked at."""
    folders = {*look.folders}
    for path in [path for path in noted if path not in look.seen and os.path.dirname(path) in folders]:
        del noted[path]


def _is_there(file: KeptFile, found: Fingerprint | RootSilent | None) -> bool:
    """Return whether a file is as it was, or nobody can tell."""
    if isinstance(found, Fingerprint):
        return (found.size_bytes, found.mtime_ns) == (file.size_bytes, file.mtime_ns)
    return found is not None


def _read(
    changed: Sequence[SeenSidecar], fallback_encoding: str
) -> list[tuple[SeenSidecar, SourceRecord | Refusal | None]]:
    return list(read_all(changed, fallback_encoding))


def _folders_below(folder: str, root: str) -> list[str]:
    return [current for current, _ in Tour(folder, root)]
