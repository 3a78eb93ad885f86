"""Judge a data folder after a crash: nothing half, nothing lost, nothing doubled, nothing left over.

`faults_of` takes a folder at any instant after a recovery, `normalised` makes two folders comparable that came to the
same end on different ways. Both read with nothing but sqlite3 and the journal's own definition of soundness.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.crash.journal_story import JournalStory, read_story
from tests.crash.tiny_library import Row, TinyLibrary
from tests.integration.kept import Kept, read_kept
from tests.libraries import sha256_of

QUALITIES = ("high", "medium", "low")

_OF_NO_CONCERN = re.compile(
    r"modelkeep\.(lock|db(-wal|-shm)?)|journal\.seq|journal/(migration-.*|sealed\.(json|tmp))|images/lost\+found/.*"
)
"""The catalogue, the journal, and originals of rows that there never were, which the owner may look through."""


@dataclass(frozen=True)
class Reference:
    """What an undisturbed life comes to.

    `tiers` are the digests of published images by digest of the source image and quality, `end` is what
    `normalised` returned.
    """

    tiers: Mapping[tuple[str, str], str]
    end: Mapping[str, Any]


def reference_of(data_dir: Path, library: TinyLibrary) -> Reference:
    """Take an undisturbed life for the measure of all others."""
    kept = read_kept(data_dir)
    tiers = {
        (image["source_digest"], quality): sha256_of(_tier(data_dir, image, quality))
        for images in kept.images.values()
        for image in images
        for quality in QUALITIES
    }
    return Reference(tiers, normalised(data_dir, library))


def normalised(data_dir: Path, library: TinyLibrary) -> dict[str, Any]:
    """Return everything that a data folder keeps, without ids, times and names that differ from run to run."""
    kept = read_kept(data_dir)
    names = {row["id"]: Path(row["path"]).name for row in kept.pending.values()}
    contents = {row.content: row.path.stem for row in library.rows}
    originals = {row["image"]: Path(row["path"]).name for row in kept.pending.values() if row["image"]}
    originals |= {row["file"]: f"of {contents[sha]}" for sha, rows in kept.refused.items() for row in rows}
    return {
        "models": {sha: _model(row, library) for sha, row in kept.models.items()},
        "model tags": {sha: sorted(tags) for sha, tags in kept.model_tags.items()},
        "locations": {path: _without(row, "first_seen", "last_seen") for path, row in kept.locations.items()},
        "images": {sha: rows for sha, rows in kept.images.items() if rows},
        "refused": {sha: [row["reason"] for row in rows] for sha, rows in kept.refused.items()},
        "pending": {path: _pending(row) for path, row in kept.pending.items()},
        "pending tags": {names[number]: sorted(tags) for number, tags in kept.pending_tags.items()},
        "tags": {name: row["color"] for name, row in kept.tags.items()},
        "imported": sorted(_imported(data_dir)),
        "files": {
            name: (originals.get(name, name), sha256_of(path)) if path.parent.name == "pending" else sha256_of(path)
            for path, name in _files(data_dir)
        },
    }


def faults_of(data_dir: Path, library: TinyLibrary, reference: Reference, *, imported: bool) -> list[str]:
    """Return what is wrong with a data folder after a recovery, at whatever instant the crash came.

    Args:
        data_dir: the data folder; nobody has it open.
        library: what was imported, or may have been.
        reference: an undisturbed life.
        imported: the import was acknowledged.
    """
    return list(_Judge(data_dir, library, reference).faults(imported=imported))


class _Judge:
    def __init__(self, data_dir: Path, library: TinyLibrary, reference: Reference) -> None:
        self.data_dir = data_dir
        self.library = library
        self.reference = reference
        self.kept: Kept = read_kept(data_dir)

    def faults(self, *, imported: bool) -> Iterator[str]:
        yield from database_faults(self.data_dir)
        known = [row for row in self.library.rows if self._is_known(row)]
        if known and len(known) < len(self.library.rows):
            yield f"the import was taken in part: {[row.path.stem for row in known]}"
        if imported and not known:
            yield "the import was acknowledged and is gone"
        for row in known:
            faults = list(self._row_faults(row))
            if faults and row.before is not None and not imported:
                faults = list(self._row_faults(row.before)) and faults
            yield from (f"{row.path.stem}: {fault}" for fault in faults)
        yield from self._file_faults()
        yield from story_faults(read_story(self.data_dir / "journal"), self.kept)

    def _is_known(self, row: Row) -> bool:
        waiting = self.kept.pending.get(str(row.path))
        return str(row.path) in self.kept.locations or (waiting is not None and waiting["source"] != "watch")

    def _row_faults(self, row: Row) -> Iterator[str]:
        waiting = self.kept.pending.get(str(row.path))
        is_refuted = row.is_lie and row.claimed in self.kept.models
        if is_refuted:
            # What was said under a false claim stays there, and follows the file as well.
            yield from self._migrated_faults(replace(row, content=row.claimed))
        if waiting is None:
            if not is_refuted:
                yield from self._migrated_faults(row)
            elif row.content in self.kept.models:
                yield from self._migrated_faults(replace(row, image=None))
            return
        if row.description not in waiting["meta_json"]:
            yield f"waits with other words: {waiting['meta_json']}"
        if self.kept.pending_tags.get(waiting["id"], set()) != row.tags:
            yield f"waits with the tags {self.kept.pending_tags.get(waiting['id'])}"
        if is_refuted:
            high = self.reference.tiers[sha256_of(row.image or b""), "high"]
            if sha256_of(self._original(waiting["image"]) or b"") != high:
                yield "waits without the image of what it was taken for"
        elif self._original(waiting["image"]) != (None if row.image_is_broken else row.image):
            yield "waits without its image, or with one that is none"

    def _migrated_faults(self, row: Row) -> Iterator[str]:
        model = self.kept.models.get(row.content)
        if model is None:
            yield "is neither waiting nor migrated"
            return
        is_overridden = row.path.stem == "first" and "delta" in model["meta_json"]
        if row.description not in model["meta_json"] and not is_overridden:
            yield f"is migrated with other words: {model['meta_json']}"
        if not row.tags <= self.kept.model_tags.get(row.content, set()):
            yield f"is migrated with the tags {self.kept.model_tags.get(row.content)}"
        if row.image is None or is_overridden:
            return
        digest = sha256_of(row.image)
        if row.image_is_broken:
            if self.kept.refused.get(row.content, ()):
                yield "is migrated with an image that is none"
        elif not any(image["source_digest"] == digest for image in self.kept.images.get(row.content, ())):
            yield "is migrated without its image"

    def _original(self, name: str) -> bytes | None:
        path = self.data_dir / "images" / "pending" / (name or "none")
        return path.read_bytes() if path.is_file() else None

    def _file_faults(self) -> Iterator[str]:
        """Every image in the catalogue is on the disk as it shall be, and nothing else is."""
        there = {name for _, name in _files(self.data_dir)}
        wanted = {f"images/pending/{row['image']}" for row in self.kept.pending.values() if row["image"]}
        wanted |= {f"images/pending/{row['file']}" for rows in self.kept.refused.values() for row in rows}
        for image in (image for images in self.kept.images.values() for image in images):
            for quality in QUALITIES:
                path = _tier(self.data_dir, image, quality)
                wanted.add(f"images/{path.name}")
                expected = self.reference.tiers.get((image["source_digest"], quality))
                if path.is_file() and expected not in (None, sha256_of(path)):
                    yield f"{path.name} shows another image than the catalogue says"
        yield from (f"{name} is missing" for name in sorted(wanted - there))
        yield from (f"{name} is left over" for name in sorted(there - wanted))


def database_faults(data_dir: Path) -> Iterator[str]:
    """Yield what SQLite itself finds wrong with the catalogue."""
    with closing(sqlite3.connect(f"file:{data_dir / 'modelkeep.db'}?mode=ro", uri=True)) as connection:
        verdicts = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        if verdicts != ["ok"]:
            yield f"the catalogue is damaged: {verdicts[:3]}"
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            yield f"rows point nowhere: {broken[:3]}"


def story_faults(story: JournalStory, kept: Kept) -> Iterator[str]:
    """Yield where the journal is damaged, leaves a migration open or tells what is not so."""
    yield from (f"the journal is damaged: {damage}" for damage in story.damages)
    still_open = story.planned - story.ended
    if still_open:
        yield f"the journal leaves migrations open: {sorted(still_open)}"
    unended = set(kept.unfinished) - story.ended
    if unended and story.is_whole:
        yield f"migrations are committed whose end the journal does not tell: {sorted(unended)}"
    committed = story.rolled_back & (story.committed | set(kept.unfinished))
    if committed:
        yield f"the journal says of committed migrations that they were rolled back: {sorted(committed)}"
    for path, sha256 in sorted(story.denied - story.finished):
        if path not in kept.pending and kept.locations.get(path, {}).get("sha256") == sha256:
            yield f"the journal says that {Path(path).name} was rolled back, but it is migrated"


def _files(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """Yield every image in a data folder, and whatever else does not belong there."""
    for path in sorted(data_dir.rglob("*")):
        name = str(path.relative_to(data_dir))
        if not _OF_NO_CONCERN.fullmatch(name) and (path.is_file() or path.name.startswith("modelkeep-import-")):
            yield path, name


def _tier(data_dir: Path, image: Mapping[str, Any], quality: str) -> Path:
    return data_dir / "images" / f"{image['sha256']}_{image['seq']}_{quality}.webp"


def _without(row: Mapping[str, Any], *columns: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}


def _model(row: Mapping[str, Any], library: TinyLibrary) -> dict[str, Any]:
    # A file that nobody described is as old as its detection.
    is_detected = row["path"] == str(library.stranger)
    return _without(row, "last_used_at", *(["created_at"] if is_detected else []))


def _pending(row: Mapping[str, Any]) -> dict[str, Any]:
    about = _without(row, "id", "attempts", "due_at", "created_at")
    return about | {"image": Path(row["image"]).suffix}


def _imported(data_dir: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{data_dir / 'modelkeep.db'}?mode=ro", uri=True)) as connection:
        query = "SELECT kind, row_key, digest, path, sha256, pending_id > 0 FROM imported_rows"
        return connection.execute(query).fetchall()
