"""A library so small that it is migrated in a moment, with one row for each fate that a row can have."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.image_files import jpeg, png, text_as_image, truncated_png
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of

TINY = (48, 32)
"""Pixels of its images: decoding them is not what is tested."""


@dataclass(frozen=True)
class Row:
    """What the legacy database says of one file."""

    path: Path
    content: str
    description: str
    tags: frozenset[str]
    image: bytes | None = None
    image_is_broken: bool = False
    claimed: str = ""
    """The hash that it says the file has; empty: none."""
    before: "Row | None" = None
    """What it said of the file before it was changed."""

    @property
    def is_lie(self) -> bool:
        """Whether the claim is of another content."""
        return self.claimed not in ("", self.content)


@dataclass(frozen=True)
class TinyLibrary:
    """A legacy database, the files that it knows, and one that it does not."""

    source: Path
    root: Path
    rows: tuple[Row, ...]
    stranger: Path


def make_library(folder: Path) -> TinyLibrary:
    """Write the library below a folder."""
    root = folder / "models"
    rows = (
        _row(root, "claimed", "alpha", "a", "b", image=png(1, TINY), claims=True),
        _row(root, "waiting", "beta", "b", "c", "d", image=jpeg(2, TINY)),
        _row(root, "first", "gamma", "a", image=png(3, TINY), claims=True),
        _row(root, "second", "delta", "e", content="first", image=png(4, TINY)),
        _row(root, "copy", "", "f", content="claimed", image=png(5, TINY)),
        _row(root, "broken", "epsilon", "a", image=truncated_png(), is_broken=True),
        _row(root, "blurred", "zeta", "c", image=text_as_image(), claims=True, is_broken=True),
        _row(root, "plain", "eta", "b", "c"),
    )
    stranger = put(root / "loras" / "stranger.safetensors", safetensors("stranger", 512))
    return TinyLibrary(_write_source(folder / "legacy", rows), root, rows, stranger)


def make_lying_library(folder: Path) -> TinyLibrary:
    """Write a library in which a file is not the one that the database says it is."""
    root = folder / "models"
    lying = replace(_row(root, "lying", "theta", "a", "b", image=png(7, TINY)), claimed="f" * 64)
    rows = (lying, _row(root, "honest", "iota", "b", image=png(8, TINY), claims=True))
    stranger = put(root / "loras" / "stranger.safetensors", safetensors("stranger", 512))
    return TinyLibrary(_write_source(folder / "legacy", rows), root, rows, stranger)


def change_source(library: TinyLibrary) -> TinyLibrary:
    """Let the legacy database say something else of the row `waiting`: words, tags and image."""
    changed = [
        replace(row, description="revised", tags=row.tags | {"g"}, image=jpeg(6, TINY), before=row)
        if row.path.stem == "waiting"
        else row
        for row in library.rows
    ]
    shutil.rmtree(library.source.parent)
    _write_source(library.source.parent, changed)
    return replace(library, rows=tuple(changed))


def _row(
    root: Path,
    name: str,
    description: str,
    *tags: str,
    content: str = "",
    image: bytes | None = None,
    claims: bool = False,
    is_broken: bool = False,
) -> Row:
    path = put(root / "loras" / f"{name}.safetensors", safetensors(content or name, 512))
    content = sha256_of(path)
    return Row(path, content, description, frozenset(tags), image, is_broken, content if claims else "")


def _write_source(folder: Path, rows: Sequence[Row]) -> Path:
    library = LegacyLibrary(colours={"a": "#ff0000"})
    for row in rows:
        library.add(
            row.path,
            (".png", row.image) if row.image else None,
            hash_hex=row.claimed,
            extra={"description": row.description} if row.description else None,
            tags=sorted(row.tags),
        )
    return library.write(folder)
