"""Libraries to try the program on: model files, legacy databases, and proof that both were left alone."""

import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
import stat
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent / "samples" / "hikaze-v1"
"""The library of a user of Hikaze v1, whose files lay below `SAMPLE_ROOT`."""

SAMPLE_ROOT = "/srv/models"

FIRST_MS = 1_735_689_600_000

_SCHEMA = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE directories (
  id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, alias TEXT, parent_id INTEGER,
  FOREIGN KEY(parent_id) REFERENCES directories(id)
);
CREATE TABLE models (
  id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, name TEXT, type TEXT NOT NULL, size_bytes INTEGER,
  hash_hex TEXT NOT NULL, created_at INTEGER NOT NULL, meta_json TEXT, extra_json TEXT
);
CREATE INDEX idx_models_hash ON models(hash_hex);
CREATE TABLE tags (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, color TEXT, created_at INTEGER);
CREATE TABLE model_tags (
  model_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, PRIMARY KEY (model_id, tag_id),
  FOREIGN KEY(model_id) REFERENCES models(id) ON DELETE CASCADE,
  FOREIGN KEY(tag_id) REFERENCES tags(id) ON DELETE CASCADE
);
INSERT INTO schema_version VALUES (2);
"""


# Model files


def safetensors(seed: object, size_bytes: int = 4096) -> bytes:
    """Return a whole safetensors file: header and one tensor of so many bytes that no other seed has."""
    header = json.dumps({"__metadata__": {"seed": str(seed)}, "weight": _tensor(size_bytes)}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + noise(seed, size_bytes)


def checkpoint(seed: object, size_bytes: int = 4096) -> bytes:
    """Return a zip archive as torch writes checkpoints."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        for name, content in (("archive/data.pkl", b"\x80\x02}q\x00."), ("archive/data/0", noise(seed, size_bytes))):
            written.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return archive.getvalue()


def gguf(seed: object, size_bytes: int = 4096) -> bytes:
    """Return a whole GGUF file: one text that no other seed has, and one tensor of about so many bytes."""
    said = _gguf_text("general.name") + (8).to_bytes(4, "little") + _gguf_text(str(seed))
    counts = (3).to_bytes(4, "little") + (1).to_bytes(8, "little") * 2
    floats = max(1, size_bytes // 4)
    tensor = _gguf_text("weight") + b"".join(
        (
            (1).to_bytes(4, "little"),  # dimensions
            floats.to_bytes(8, "little"),
            (0).to_bytes(4, "little"),  # F32
            (0).to_bytes(8, "little"),  # where it begins
        )
    )
    header = b"GGUF" + counts + said + tensor
    return header + bytes(-len(header) % 32) + noise(seed, 4 * floats)


def _gguf_text(text: str) -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode()


def noise(seed: object, size_bytes: int) -> bytes:
    """Return bytes that no other seed has."""
    return random.Random(str(seed)).randbytes(size_bytes)


def _tensor(size_bytes: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}


def put(path: Path, content: bytes, *, age_seconds: float = 60.0) -> Path:
    """Write a file at once, dated back: it has lain there for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    then = time.time() - age_seconds
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        # Before it is closed: who watches may have looked at it right afterwards.
        os.utime(file.fileno(), (then, then))
    return path


def write_and_date_back(path: Path, content: bytes) -> None:
    """Write a file in place such that its times tell of it only by when anything of it changed last."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # that clock goes on in steps of milliseconds
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def sha256_of(content: bytes | Path) -> str:
    """Return the SHA-256 of bytes or of a file."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# The legacy manager's database


@dataclass(frozen=True)
class LegacyModel:
    """A row of the legacy manager; `tags` by name, `extra` and `meta` as objects or as text of whatever kind."""

    path: str
    type: str = "loras"
    name: str | None = None
    hash_hex: str = ""
    size_bytes: int | None = None
    created_at: int = FIRST_MS
    meta: Mapping[str, Any] | str | None = None
    extra: Mapping[str, Any] | str | None = None
    tags: Sequence[str] = ()

    @property
    def columns(self) -> tuple[object, ...]:
        """The values of the row in the order of the table, without its id."""
        name = self.path.replace("\\", "/").rsplit("/", 1)[-1] if self.name is None else self.name
        texts = (_column(self.meta), _column(self.extra))
        return (self.path, name, self.type, self.size_bytes, self.hash_hex, self.created_at, *texts)


@dataclass
class LegacyLibrary:
    """A legacy manager's folder `data/` in the making.

    `images` are the files in `data/images/` by name, `colours` those of tags by name.
    """

    models: list[LegacyModel] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)

    def add(self, path: Path | str, image: tuple[str, bytes] | None = None, **columns: Any) -> LegacyModel:
        """Add a row; its image as (ending, content)."""
        number = len(self.models) + 1
        if image is not None:
            ending, content = image
            name = f"model_{number}_{FIRST_MS + number}_preview{ending}"
            self.images[name] = content
            columns["extra"] = {**(columns.get("extra") or {}), "images": [f"/media/{name}"]}
        row = LegacyModel(str(path), created_at=FIRST_MS + number, **columns)
        self.models.append(row)
        return row

    def write(self, folder: Path) -> Path:
        """Write everything to a folder as a killed legacy manager leaves it; returns the database's path."""
        images = folder / "images"
        images.mkdir(parents=True, exist_ok=True)
        for name, content in self.images.items():
            put(images / name, content)
        return write_legacy_database(folder, self.models, self.colours)


def write_legacy_database(
    folder: Path, rows: Iterable[LegacyModel], colours: Mapping[str, str] | None = None
) -> Path:
    """Write `hikaze_mm.sqlite3` with its rows in the `-wal` that the legacy manager left when it was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    made, database = folder / "making", folder / "hikaze_mm.sqlite3"
    made.mkdir()
    with closing(sqlite3.connect(made / "db")) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;" + _SCHEMA)
        _insert(connection, list(rows), colours or {})
        connection.commit()
        for suffix in ("", "-wal"):  # copied while it is open: closing it would put the -wal into the database
            shutil.copyfile(made / f"db{suffix}", f"{database}{suffix}")
    shutil.rmtree(made)
    age(folder)
    return database


def _insert(connection: sqlite3.Connection, rows: list[LegacyModel], colours: Mapping[str, str]) -> None:
    columns = "path, name, type, size_bytes, hash_hex, created_at, meta_json, extra_json"
    connection.executemany(f"INSERT INTO models ({columns}) VALUES (?,?,?,?,?,?,?,?)", [row.columns for row in rows])
    names = sorted({tag for row in rows for tag in row.tags})
    known = [(number, name, colours.get(name), FIRST_MS) for number, name in enumerate(names, start=1)]
    connection.executemany("INSERT INTO tags VALUES (?,?,?,?)", known)
    ids = {name: number for number, name, _, _ in known}
    carried = [(number, ids[tag]) for number, row in enumerate(rows, start=1) for tag in row.tags]
    connection.executemany("INSERT INTO model_tags VALUES (?,?)", carried)


def _column(value: Mapping[str, Any] | str | None) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# The sample


def copy_sample(folder: Path) -> Path:
    """Copy the sample library; returns the folder that holds `data/` and `models/`."""
    shutil.copytree(SAMPLE, folder)
    age(folder)
    return folder


# What must not change


def age(folder: Path, seconds: float = 60.0) -> None:
    """Date everything below a folder back."""
    then = time.time() - seconds
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (then, then), follow_symlinks=False)


def snapshot(tree: Path) -> dict[str, tuple[object, ...]]:
    """Return everything about a tree that nobody may change.

    Of every file its mode, digest, size and mtime, of every folder its mode, names and mtime.
    """
    found: dict[str, tuple[object, ...]] = {}
    for path in (tree, *sorted(tree.rglob("*"))):
        status = path.lstat()
        facts: tuple[object, ...] = (stat.filemode(status.st_mode), status.st_ino, status.st_mtime_ns)
        if stat.S_ISDIR(status.st_mode):
            facts = (*facts, tuple(sorted(entry.name for entry in path.iterdir())))
        elif stat.S_ISREG(status.st_mode):
            facts = (*facts, status.st_size, sha256_of(path))
        found[str(path.relative_to(tree))] = facts
    return found


def make_read_only(*trees: Path) -> None:
    """Take everybody's right to write away from trees."""
    for tree in trees:
        for path in (*tree.rglob("*"), tree):
            path.chmod(0o555 if path.is_dir() else 0o444)


def make_writable(*trees: Path) -> None:
    """Give the right to write back, so that the trees can be removed."""
    for tree in trees:
        for path in (tree, *tree.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
