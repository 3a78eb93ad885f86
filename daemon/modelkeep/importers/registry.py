"""Every importer by the name of its kind."""

from collections.abc import Mapping

from modelkeep.errors import SourceError
from modelkeep.importers.base import Importer
from modelkeep.importers.hikaze import HikazeImporter

IMPORTERS: Mapping[str, Importer] = {importer.kind: importer for importer in (HikazeImporter(),)}


def importer_for(kind: str) -> Importer:
    """Return the importer of a kind.

    Raises:
        SourceError: there is none of that name.
    """
    importer = IMPORTERS.get(kind)
    if importer is None:
        raise SourceError(f"{kind!r} is no kind of legacy source; the kinds are: {', '.join(sorted(IMPORTERS))}")
    return importer
