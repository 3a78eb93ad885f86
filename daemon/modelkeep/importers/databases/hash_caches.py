"""The hash caches of A1111, Forge and SD.Next: hashes by names that mostly have no folder, with a file's time.

A hash counts as made of a file only where exactly one file of that name has the very time that was stored with it.
The tools' own rule, `mtime <= stored`, is not ours.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelkeep.domain.knowledge import Grade, HashKind, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.errors import SourceError
from modelkeep.importers.databases.facts import claims_of, digest_of, stem_of
from modelkeep.importers.databases.model_files import EXTENSIONS, ModelFile, ModelFiles
from modelkeep.importers.databases.plain_pickle import NotPlain, read_flat
from modelkeep.importers.databases.tables import rows_of, tables_of
from modelkeep.importers.hash_claims import hash_of_name
from modelkeep.importers.legacy_text import as_text, clean
from modelkeep.importers.sidecars.values import number

STORES = {"hashes": HashKind.SHA256, "hashes-addnet": HashKind.SHA256_OR_TENSORS}
"""The second holds hashes of tensors or of whole files, by the version that wrote it."""

_WITH_PATH = ("checkpoint", "unet", "vae")
_SAME_MOMENT_NS = 1_000
"""A time in seconds as a float is true to a microsecond."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One entry: its store, its key, the time of the file in seconds, and the hash; each of whatever type it is."""

    store: str
    key: str
    mtime: Any
    sha256: Any


def entries_of_json(cache: Mapping[str, Any]) -> Iterator[CacheEntry]:
    """Yield the entries of a `cache.json`."""
    for store in STORES:
        entries = cache.get(store)
        for key, value in entries.items() if isinstance(entries, dict) else ():
            if isinstance(value, dict):
                yield CacheEntry(store, key, value.get("mtime"), value.get("sha256"))


def entries_of_database(connection: sqlite3.Connection, store: str, database: Path) -> Iterator[CacheEntry | Refusal]:
    """Yield the entries of a disk cache; the values are pickles, which are taken apart and never loaded.

    Raises:
        SourceError: it is no disk cache.
    """
    tables = tables_of(connection)
    if not {"key", "value"} <= tables.get("Cache", frozenset()):
        raise SourceError(f"{database} is no disk cache: it has no table Cache with keys and values")
    for row in rows_of(connection, tables, "Cache", ("key", "raw", "mode", "filename", "value"), database):
        key = clean(row["key"])
        try:
            value = read_flat(row["value"])
        except NotPlain as error:
            yield Refusal(key, str(database), f"its value is a pickle that is not read: {error}")
            continue
        yield CacheEntry(store, key, value.get("mtime"), value.get("sha256"))


def record_of(kind: str, entry: CacheEntry, cache: Path, files: ModelFiles) -> SourceRecord | Refusal:
    """Return what an entry says of a file, or why it says nothing."""
    if as_text(entry.sha256).strip().lower() in _hashes_of_names(entry.key):
        return Refusal(entry.key, str(cache), "it is the hash of the file's name, which Forge stored for some months")
    candidates = _candidates(entry.key, files)
    if not candidates:
        return Refusal(entry.key, str(cache), "no model file of that name was found; name its folder with --map")
    same_time = [file for file in candidates if _is_same_time(file, entry.mtime)]
    meant = same_time if len(same_time) == 1 else candidates
    grade = Grade.A if len(same_time) == 1 else Grade.D
    claims = claims_of((STORES[entry.store], entry.sha256, grade))
    if not claims:
        return Refusal(entry.key, str(cache), f"{clean(entry.sha256)[:80]!r} is no SHA-256")
    if grade is Grade.A:
        claims = (replace(claims[0], mtime_ns=meant[0].fingerprint.mtime_ns),)
    return SourceRecord(
        kind,
        key=f"{cache}#{entry.store}/{clean(entry.key)}",
        digest=digest_of(entry.key, entry.mtime, entry.sha256, [file.path for file in meant], grade),
        models=tuple(file.path for file in meant),
        stem=stem_of(meant[0].path),
        raw={"key": clean(entry.key), "mtime": number(entry.mtime), "sha256": clean(entry.sha256)},
        claims=claims,
        remarks=() if grade is Grade.A else ("no file of that name has the time that is stored with the hash",),
    )


def _candidates(key: str, files: ModelFiles) -> Sequence[ModelFile]:
    """Return the files that a key may mean: `checkpoint/<path in its folder>`, `lora/<name without extension>`."""
    kind, slash, name = key.replace("\\", "/").partition("/")
    if not slash or not name:
        return ()  # A1111 writes one key `vae` for whichever it hashed last
    found = files.ending_with(name) if kind in _WITH_PATH else []
    return found or files.with_stem(name.rpartition("/")[2])


def _is_same_time(file: ModelFile, seconds: object) -> bool:
    stored = number(seconds)
    return stored is not None and abs(file.fingerprint.mtime_ns - stored * 1e9) <= _SAME_MOMENT_NS


def _hashes_of_names(key: str) -> set[str]:
    name = key.replace("\\", "/").rpartition("/")[2]
    names = (name, *(f"{name}{extension}" for extension in EXTENSIONS))
    return {hash_of_name(spelled) for spelled in names}
