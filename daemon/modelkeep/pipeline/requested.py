"""Find the file that a caller means by a path; nothing outside the roots is opened because somebody names it."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelkeep.domain.naming import Root
from modelkeep.domain.requested import NamedFile, name_file, plain_path, require_model_name
from modelkeep.domain.values import Fingerprint
from modelkeep.errors import FileChanged, NotAModel, OutsideRoots
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.pipeline.looking import fingerprint_of
from modelkeep.pipeline.reach import unseen
from modelkeep.pipeline.requests import KnowsLocations


@dataclass(frozen=True, slots=True)
class RequestedFile:
    """A file that a caller may name: its path below a root and what lay there when it was named.

    `known_sha256` is set for a file outside that a link in a root leads to, which is answered and not opened.
    """

    path: str
    fingerprint: Fingerprint
    known_sha256: str = ""

    def require_same(self, digest: Digest) -> None:
        """Raise FileChanged when something else was read: a link may have taken the file's place meanwhile."""
        read = digest.fingerprint
        if (read.device, read.inode) != (self.fingerprint.device, self.fingerprint.inode):
            raise FileChanged("another file took its place while it was read: ask again")


class RequestedPaths:
    """Judges the paths that callers name.

    Args:
        catalogue: knows what was hashed.
        roots: returns the configured roots.
        extensions: endings of model files.
    """

    def __init__(
        self, catalogue: KnowsLocations, roots: Callable[[], Sequence[Root]], extensions: Sequence[str]
    ) -> None:
        self._catalogue = catalogue
        self._roots = roots
        self._extensions = extensions

    async def file(self, path: str) -> RequestedFile:
        """Return the model file that a caller names.

        Raises:
            OutsideRoots: no root contains it, links resolved; nothing is told about what is there.
            NotAModel: it is not named like a model.
            HashError: no regular file is there, or nobody can tell.
        """
        named, fingerprint = await self._look(path)
        if named.leads_out:
            return await self._known(named, fingerprint)
        require_model_name(named, self._extensions)
        if fingerprint is None:
            raise await asyncio.to_thread(unseen, named.path)
        return RequestedFile(named.path, fingerprint)

    async def require_row(self, path: str) -> None:
        """Raise OutsideRoots for a row whose file is none that the daemon reads of its own accord.

        A link in a root that leads out of it is hashed when a scan finds it, so its row may be decided, too.
        """
        named, _ = await self._look(path)
        if named.leads_out:
            try:
                require_model_name(named, self._extensions)
            except NotAModel as error:
                raise OutsideRoots("that path lies in none of the configured roots") from error

    async def _known(self, named: NamedFile, fingerprint: Fingerprint | None) -> RequestedFile:
        """Return a file outside that the daemon has hashed through a link, while it is still the same."""
        place = (await self._catalogue.locations_at([named.path])).get(named.path)
        if (
            fingerprint is None
            or place is None
            or place.claimed
            or not fingerprint.same_file_at_same_path(place.fingerprint)
        ):
            raise OutsideRoots("that path lies in none of the configured roots")
        return RequestedFile(named.path, fingerprint, place.sha256)

    async def _look(self, path: str) -> tuple[NamedFile, Fingerprint | None]:
        return await asyncio.to_thread(_look_at, plain_path(path), self._roots())


def _look_at(path: str, roots: Sequence[Root]) -> tuple[NamedFile, Fingerprint | None]:
    target = os.path.realpath(path)
    named = name_file(path, target, {root: os.path.realpath(root.path) for root in roots})
    # Of the target, not of the path: a link that is put there in this moment is another file.
    return named, fingerprint_of(target)
