"""A library that lives: files come, go and move, old databases are imported, conflicts are resolved.

Everything that is done to it is remembered, so that it can be said at the end what a data folder has to hold.
"""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.end_state import QUALITIES, database_faults, story_faults
from tests.crash.journal_story import read_story
from tests.crash.tiny_library import TINY
from tests.image_files import png
from tests.integration.kept import Kept, read_kept
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of

FILE_BYTES = 20_000
CONFLICT_SHARE = 0.25


@dataclass
class Described:
    """A row of an old database: what is known of a content, and where its file lay then."""

    path: Path
    content: str
    description: str
    tags: frozenset[str]
    image: bytes
    is_alone: bool = True
    """Nobody else describes this content in other words."""


@dataclass
class Source:
    """An old database, and whether its import was acknowledged."""

    database: Path
    rows: list[Described]
    is_taken: bool = False


@dataclass
class World:
    """The folder of models and the old databases.

    Args:
        folder: where they lie.
        chance: decides what happens.
    """

    folder: Path
    chance: random.Random
    files: dict[Path, str] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    count: int = 0

    @property
    def root(self) -> Path:
        """The folder of models."""
        return self.folder / "models"

    # What happens

    def change(self) -> None:
        """Let something happen to the files."""
        self.chance.choice((self.add, self.add, self.download, self.copy, self.move, self.move_folder, self.remove))()

    def add(self) -> Path:
        """Put a new file into one of some folders."""
        path = self._place()
        self.files[path] = sha256_of(put(path, safetensors(path.name, FILE_BYTES)))
        return path

    def download(self) -> None:
        """Write a file under a temporary name and rename it."""
        path = self._place()
        put(path.with_name(path.name + ".part"), safetensors(path.name, FILE_BYTES)).rename(path)
        self.files[path] = sha256_of(path)

    def copy(self) -> None:
        """Copy a file."""
        if self.files:
            old, new = self._any_file(), self._place()
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(old, new)
            self.files[new] = self.files[old]

    def move(self) -> None:
        """Rename a file that no import waits for."""
        movable = [path for path in self.files if path not in self._awaited()]
        if movable:
            old, new = self.chance.choice(sorted(movable)), self._place()
            new.parent.mkdir(parents=True, exist_ok=True)
            self.files[old.rename(new)] = self.files.pop(old)

    def move_folder(self) -> None:
        """Rename a folder whose files no import waits for."""
        folders = {path.parent for path in self.files} - {path.parent for path in self._awaited()}
        if folders:
            old = self.chance.choice(sorted(folders))
            self.count += 1
            new = old.rename(self.root / f"moved{self.count}")
            for path in [path for path in self.files if path.parent == old]:
                self.files[new / path.name] = self.files.pop(path)

    def remove(self) -> None:
        """Remove a file that nobody described."""
        described = {row.content for source in self.sources for row in source.rows}
        removable = [path for path, content in self.files.items() if content not in described]
        if removable:
            path = self.chance.choice(sorted(removable))
            path.unlink()
            del self.files[path]

    def new_source(self) -> Source:
        """Write an old database that describes new files; some twice, and not in the same words."""
        self.count += 1
        library, rows = LegacyLibrary(), []
        for _ in range(self.chance.randint(3, 6)):
            path = self.add()
            rows.append(self._describe(library, path))
            if self.chance.random() < CONFLICT_SHARE:
                twin = path.with_name(f"twin-{path.name}")
                self.files[put(twin, path.read_bytes())] = self.files[path]
                rows.append(self._describe(library, twin))
                rows[-1].is_alone = rows[-2].is_alone = False
        source = Source(library.write(self.folder / f"legacy{self.count}"), rows)
        self.sources.append(source)
        return source

    def _describe(self, library: LegacyLibrary, path: Path) -> Described:
        self.count += 1
        row = Described(
            path,
            self.files[path],
            f"what {path.name} is",
            frozenset(self.chance.sample("abcdefgh", 3)),
            png(self.count, TINY),
        )
        library.add(
            path,
            (".png", row.image),
            hash_hex=row.content if self.chance.random() < 0.4 else "",
            extra={"description": row.description},
            tags=sorted(row.tags),
        )
        return row

    def _place(self) -> Path:
        self.count += 1
        return self.root / self.chance.choice(("loras", "checkpoints", "vae")) / f"{self.count}.safetensors"

    def _any_file(self) -> Path:
        return self.chance.choice(sorted(self.files))

    def _awaited(self) -> set[Path]:
        return {row.path for source in self.sources if not source.is_taken for row in source.rows}


def faults_of_world(world: World, data_dir: Path) -> list[str]:
    """Return what a data folder does not hold as it has to, when nothing is on its way and all is imported."""
    return list(_faults(world, data_dir, read_kept(data_dir)))


def _faults(world: World, data_dir: Path, kept: Kept) -> Iterator[str]:
    yield from database_faults(data_dir)
    yield from story_faults(read_story(data_dir / "journal"), kept)
    yield from _location_faults(world, kept)
    for row in (row for source in world.sources for row in source.rows):
        yield from (f"{row.path.name}: {fault}" for fault in _row_faults(row, data_dir, kept))
    for path, waiting in kept.pending.items():
        if waiting["state"] != "conflict" and (waiting["state"] != "missing" or Path(path).exists()):
            yield f"{Path(path).name} is {waiting['state']}: {waiting['last_error']}"
    yield from _file_faults(data_dir, kept)


def _location_faults(world: World, kept: Kept) -> Iterator[str]:
    present = {Path(path): row["sha256"] for path, row in kept.locations.items() if row["state"] == "present"}
    for path in sorted(present.keys() | world.files.keys()):
        if present.get(path) != world.files.get(path):
            yield f"{path.name} is kept as {present.get(path)}, and it is {world.files.get(path)}"


def _row_faults(row: Described, data_dir: Path, kept: Kept) -> Iterator[str]:
    """A row waits, or is part of its model, with everything that belongs to it."""
    waiting = [found for found in kept.pending.values() if row.description in found["meta_json"]]
    if waiting:
        yield from _waiting_faults(row, waiting, data_dir, kept)
        return
    model = kept.models.get(row.content)
    if model is None:
        yield "is neither waiting nor migrated"
        return
    if not row.tags <= kept.model_tags.get(row.content, set()):
        yield f"is migrated with the tags {kept.model_tags.get(row.content)}"
    if "what " not in model["meta_json"] or (row.is_alone and row.description not in model["meta_json"]):
        yield f"is migrated with other words: {model['meta_json']}"
    if not any(image["source_digest"] == sha256_of(row.image) for image in kept.images.get(row.content, ())):
        yield "is migrated without its image"


def _waiting_faults(row: Described, waiting: list[dict[str, object]], data_dir: Path, kept: Kept) -> Iterator[str]:
    if len(waiting) > 1:
        yield f"waits {len(waiting)} times"
    found = waiting[0]
    if kept.pending_tags.get(int(str(found["id"])), set()) != row.tags:
        yield f"waits with the tags {kept.pending_tags.get(int(str(found['id'])))}"
    original = data_dir / "images" / "pending" / str(found["image"])
    if not original.is_file() or original.read_bytes() != row.image:
        yield "waits without its image"


def _file_faults(data_dir: Path, kept: Kept) -> Iterator[str]:
    images = data_dir / "images"
    there = {path.relative_to(images) for path in images.rglob("*") if path.is_file() and "+" not in path.parent.name}
    wanted = {Path("pending") / row["image"] for row in kept.pending.values() if row["image"]}
    wanted |= {Path("pending") / row["file"] for rows in kept.refused.values() for row in rows}
    wanted |= {
        Path(f"{image['sha256']}_{image['seq']}_{quality}.webp")
        for rows in kept.images.values()
        for image in rows
        for quality in QUALITIES
    }
    yield from (f"{name} is missing" for name in sorted(wanted - there))
    yield from (f"{name} is left over" for name in sorted(there - wanted))
