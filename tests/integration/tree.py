"""A tree of models to which things happen, and what the catalogue should say of it, by the disk alone."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.daemon_process import DaemonProcess, Record
from tests.libraries import checkpoint, safetensors, sha256_of

ENDINGS = (".safetensors", ".ckpt", ".gguf", ".pt")
CONTENTS = 10


def content(number: int, name: str) -> bytes:
    """Return one of a few contents: `.safetensors` prove that they are whole, the others prove nothing."""
    size_bytes = 300 + 997 * number
    return safetensors(number, size_bytes) if name.endswith(".safetensors") else checkpoint(number, size_bytes)


WHOLE = {
    sha256_of(content(number, name)): (number, name)
    for number in range(CONTENTS)
    for name in ("a.safetensors", "a.ckpt")
}
"""Digest of every content that was ever complete."""


@dataclass
class Tree:
    """Two roots and a folder outside of them."""

    folder: Path
    roots: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.roots = [self.folder / "first", self.folder / "second"]
        self.outside = self.folder / "outside"
        for path in (*self.roots, self.outside):
            path.mkdir(parents=True)

    def files(self, *, outside: bool = False) -> list[Path]:
        """Return every file and link below the roots that are there, whatever its name."""
        return sorted(_files_below([*self.roots, *([self.outside] if outside else [])]))

    def folders(self) -> list[Path]:
        """Return every folder below the roots that are there, the roots too."""
        return sorted(Path(parent) for root in self.roots for parent, _, _ in os.walk(root))

    def models(self) -> dict[str, str]:
        """Return the digest of every complete model file that counts, by path."""
        found = {}
        for path in self.files():
            if path.suffix in ENDINGS and path.is_file() and not self._is_hidden(path):
                digest = sha256_of(path)
                if digest in WHOLE:
                    found[str(path)] = digest
        return found

    def halves(self) -> set[str]:
        """Return the paths of the model files that are not complete."""
        whole = self.models()
        return {
            str(path)
            for path in self.files()
            if path.suffix in ENDINGS and path.is_file() and not self._is_hidden(path) and str(path) not in whole
        }

    def _is_hidden(self, path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(self.folder).parts)


def _files_below(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            yield from (Path(parent, name) for name in names)


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with everything in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@dataclass
class Memory:
    """What was known once and may never be lost."""

    seen: set[str] = field(default_factory=set)
    described: dict[str, set[str]] = field(default_factory=dict)
    """Texts that were put on a content, by digest: each is its tag too."""


def differences(daemon: DaemonProcess, tree: Tree, memory: Memory) -> list[str]:
    """Return in words where the catalogue differs from what lies on disk and from what was known."""
    found = [*_wrong_locations(daemon, tree), *_wrong_models(daemon, memory), *_wrong_rows(daemon, tree)]
    return [*found, *_lost_texts(daemon, memory)]


def _wrong_locations(daemon: DaemonProcess, tree: Tree) -> Iterator[str]:
    on_disk = tree.models()
    rows = daemon.rows("SELECT path, sha256 FROM locations WHERE state = 'present'")
    known = {row["path"]: row["sha256"] for row in rows}
    for path in sorted(on_disk.keys() | known.keys()):
        there, said = on_disk.get(path), known.get(path)
        if there != said:
            yield f"{_short(tree, path)} holds {_name(there)}, the catalogue says {_name(said)}"


def _wrong_models(daemon: DaemonProcess, memory: Memory) -> Iterator[str]:
    models = {row["sha256"]: row["path"] for row in daemon.rows("SELECT sha256, path FROM models")}
    present: dict[str, set[str]] = {}
    for row in daemon.rows("SELECT path, sha256 FROM locations WHERE state = 'present'"):
        present.setdefault(row["sha256"], set()).add(row["path"])
    for digest in sorted(memory.seen - models.keys()):
        yield f"the model {_name(digest)} is lost"
    for digest, paths in present.items():
        if models.get(digest) not in paths:
            yield f"the main path of {_name(digest)} is {models.get(digest)}, none of its {len(paths)} places"


def _wrong_rows(daemon: DaemonProcess, tree: Tree) -> Iterator[str]:
    halves = tree.halves()
    for row in daemon.rows("SELECT path, state, last_error FROM pending_import"):
        is_away = not any(root.is_dir() and Path(row["path"]).is_relative_to(root) for root in tree.roots)
        if row["path"] not in halves and not is_away:
            yield f"{_short(tree, row['path'])} waits in the queue: {row['state']} {row['last_error']}"


def _lost_texts(daemon: DaemonProcess, memory: Memory) -> Iterator[str]:
    query = "SELECT model_hash, name FROM model_tags JOIN tags ON tags.id = tag_id"
    carried: dict[str, set[str]] = {}
    for row in daemon.rows(query):
        carried.setdefault(row["model_hash"], set()).add(row["name"])
    for digest, texts in memory.described.items():
        if texts - carried.get(digest, set()):
            yield f"{_name(digest)} has lost {texts - carried.get(digest, set())}"
    for digest, tags in carried.items():
        if tags - memory.described.get(digest, set()):
            yield f"{_name(digest)} carries {tags - memory.described.get(digest, set())}, which is another's"


def hashed_halves(journal: list[Record]) -> list[Record]:
    """Return the records that tell of a digest of something that never was complete."""
    return [record for record in journal if record["event"] == "hash.finished" and record["sha256"] not in WHOLE]


def _short(tree: Tree, path: str) -> str:
    return os.path.relpath(path, tree.folder)


def _name(digest: str | None) -> str:
    if digest is None:
        return "nothing"
    number, name = WHOLE.get(digest, (digest[:12], "?"))
    return f"content {number}{Path(name).suffix}"
