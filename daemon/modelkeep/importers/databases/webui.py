"""The folders of A1111, Forge and SD.Next: where their hash caches lie, and the models that these speak of."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkeep.domain.legacy import Refusal
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.hash_caches import (
    STORES,
    CacheEntry,
    entries_of_database,
    entries_of_json,
    record_of,
)
from modelkeep.importers.databases.json_files import read_object
from modelkeep.importers.databases.model_files import ModelFiles
from modelkeep.importers.databases.tables import resolved_database
from modelkeep.importers.sqlite_copy import opened_copy

_DISK_CACHE = "cache.db"
_JSON_CACHE = "cache.json"


@dataclass(frozen=True, slots=True)
class HashCacheReader:
    """Reads the hash caches of a tool: `cache.json`, and disk caches a store.

    Args:
        kind: the tool.
        places: what SOURCE may be.
        json_places: where below its folder the `cache.json` lies, the first that is there counts.
    """

    kind: str
    places: str
    json_places: tuple[str, ...]

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read the caches at the source; None when there are none."""
        caches = list(self._caches(options.source))
        if not caches:
            return None
        found = Found(self.kind)
        files = ModelFiles(_folders_of_models(options))
        taken: set[tuple[str, str]] = set()
        # The cache.json stays where it was when the tool went over to disk caches: it is read last, and only fills.
        for store, cache in caches:
            try:
                entries = list(_entries(store, cache, options))
            except SourceError as error:
                if cache == options.source:
                    raise
                found.refuse(cache, error)
                continue
            for entry in entries:
                if isinstance(entry, Refusal):
                    found.add([entry])
                elif (entry.store, entry.key) not in taken:
                    taken.add((entry.store, entry.key))
                    found.add([record_of(self.kind, entry, cache, files)])
        return found.content(options.source)

    def _caches(self, source: Path) -> Iterator[tuple[str, Path]]:
        """Yield (store, cache); the store of a `cache.json` is empty, for it holds all."""
        if source.is_file():
            if source.name == _DISK_CACHE and source.parent.name in STORES:
                yield source.parent.name, source
            elif source.name == _JSON_CACHE:
                yield "", source
            return
        for folder in (source / "cache", source):
            databases = [(store, folder / store / _DISK_CACHE) for store in STORES]
            yield from ((store, database) for store, database in databases if database.is_file())
        yield from [("", path) for place in self.json_places if (path := source / place).is_file()][:1]


WEBUI = HashCacheReader(
    "webui", "its data folder (cache.json, cache/hashes/cache.db), or one of these", (_JSON_CACHE,)
)
SDNEXT = HashCacheReader("sdnext", "its folder, or data/cache.json in it", ("data/cache.json", _JSON_CACHE))


def _entries(store: str, cache: Path, options: SourceOptions) -> Iterator[CacheEntry | Refusal]:
    if not store:
        yield from entries_of_json(read_object(cache))
        return
    database = resolved_database(cache)
    with opened_copy(database, options.scratch) as connection:
        yield from entries_of_database(connection, store, database)


def _folders_of_models(options: SourceOptions) -> list[Path]:
    """Return where the models lie: in the tool's own folder, below the roots, or where --map leads."""
    source = options.source if options.source.is_dir() else options.source.parent
    own = [folder for above in (source, *source.parents[:3]) for folder in (above / "models", above / "embeddings")]
    return [*own, *options.roots, *(Path(new) for _, new in options.path_map.pairs)]
