"""Import what other tools know: from the files that they keep beside models, and from databases of their own."""

from dataclasses import dataclass, field, replace

from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import PathMap
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import DatabaseReader
from modelkeep.importers.sidecars.formats import kinds_of, read_sidecar
from modelkeep.importers.sidecars.walking import sidecars_below


@dataclass(frozen=True, slots=True)
class ToolImporter:
    """Imports what one tool keeps, or what all of them keep beside models.

    Args:
        kind: its name.
        tool: the tool, as people know it.
        beside: which files beside models are its own, in a few words; empty where it keeps nothing there.
        records: kinds of records that are taken of those.
        elsewhere: what is taken of the rest that it keeps, in a few words.
        reader: reads that, if there is any.
    """

    kind: str
    tool: str
    beside: str = ""
    records: frozenset[str] = field(default=frozenset())
    elsewhere: str = ""
    reader: DatabaseReader | None = None

    @property
    def description(self) -> str:
        """What is taken and where people have it."""
        beside = f"{self.beside}, SOURCE a folder of models" if self.beside else ""
        elsewhere = f"{self.elsewhere}, SOURCE {self.reader.places}" if self.reader else ""
        return f"{self.tool}: {'; '.join(filter(None, (beside, elsewhere)))}"

    def read(self, options: SourceOptions) -> SourceContent:
        """Read the whole source; nothing in or beside it is created or changed.

        Raises:
            SourceError: it is not there, or nothing of the tool can lie in it.
        """
        if not options.source.exists():
            raise SourceError(f"{options.source} is not there")
        content = self.reader.read(options) if self.reader else None
        found = content or SourceContent(self.kind, str(options.source), ())
        if self.records and options.source.is_dir():
            found = _joined(found, self._beside_models(options))
        elif content is None:
            raise SourceError(f"{options.source} holds nothing of {self.tool}: SOURCE has to be {self._places}")
        return (
            found
            if found.records or found.refusals
            else replace(found, remarks=(*found.remarks, self._nothing(found)))
        )

    def _beside_models(self, options: SourceOptions) -> tuple[list[SourceRecord], list[Refusal]]:
        below = sidecars_below(str(options.source.absolute()), options.extensions, options.path_map.apply)
        wanted = [found for found in below.found if kinds_of(found) & self.records]
        said = [read_sidecar(found, options.fallback_encoding) for found in wanted]
        records = [_mapped(one, options.path_map) for one in said if isinstance(one, SourceRecord)]
        refusals = [one for one in said if isinstance(one, Refusal)]
        unreadable = [Refusal("", path, f"the folder cannot be read: {reason}") for path, reason in below.unreadable]
        return [record for record in records if record.kind in self.records], refusals + unreadable

    @property
    def _places(self) -> str:
        named = ("a folder of models" if self.records else "", self.reader.places if self.reader else "")
        return ", or ".join(filter(None, named))

    def _nothing(self, found: SourceContent) -> Refusal:
        return Refusal("", found.source, f"nothing of {self.tool} is there; what is taken: {self.description}")


def _joined(content: SourceContent, beside: tuple[list[SourceRecord], list[Refusal]]) -> SourceContent:
    """Put together what lies elsewhere and beside models; of a file that both took, what the reader says counts."""
    keys = {record.key for record in content.records} | {refusal.path for refusal in content.refusals}
    records = [record for record in beside[0] if record.key not in keys]
    refusals = [refusal for refusal in beside[1] if refusal.path not in keys]
    return replace(content, records=(*content.records, *records), refusals=(*content.refusals, *refusals))


def _mapped(record: SourceRecord, path_map: PathMap) -> SourceRecord:
    """Return a record whose models are where the owner says that they are."""
    return replace(record, models=tuple(map(path_map.apply, record.models))) if path_map.pairs else record
