"""Find the file that a caller means by a path; nothing outside the roots is opened because somebody names it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import unseen
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.naming import Root, root_of
from modelkeep.domain.requested import NamedFile, name_file, plain_path, require_model_name
from modelkeep.errors import FileChanged, NotAModel, OutsideRoots


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
        extensions: endings of model files.
        looks: looks at paths of the roots.
    """

    def __init__(self, catalogue: Catalogue, extensions: Sequence[str], looks: DiskLooks) -> None:
        self._looks = looks
        self._catalogue = catalogue
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
            raise await self._looks.run(named.path, unseen, named.path)
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
        location = (await self._catalogue.locations_at([named.path])).get(named.path)
        if fingerprint is None or location is None or not location.tells_of(fingerprint):
            raise OutsideRoots("that path lies in none of the configured roots")
        return RequestedFile(named.path, fingerprint, location.sha256)

    async def _look(self, path: str) -> tuple[NamedFile, Fingerprint | None]:
        """Resolve a path; other roots than its own are asked only if it leads out of that, and if they answer."""
        path, roots = plain_path(path), self._looks.roots.configured
        target, fingerprint = await self._looks.run(path, _look_at, path)
        own = root_of(path, roots)
        if own is not None:
            bases = {own: await self._looks.run(path, os.path.realpath, own.path)}
            if Root(bases[own]).contains(target):
                return name_file(path, target, bases), fingerprint
        found = await self._looks.found(_all_resolved, [root.path for root in roots])
        return name_file(path, target, {root: found[root.path] for root in roots if root.path in found}), fingerprint


def _look_at(path: str) -> tuple[str, Fingerprint | None]:
    target = os.path.realpath(path)
    # Of the target, not of the path: a link that is put there in this moment is another file.
    return target, fingerprint_of(target)


def _all_resolved(paths: Sequence[str]) -> dict[str, str]:
    return {path: os.path.realpath(path) for path in paths}
