"""What a legacy database of Hikaze v1 says, read with nothing but sqlite3."""

import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.libraries import sha256_of


@dataclass(frozen=True)
class LegacyFacts:
    """A row of the legacy manager.

    `path` is on this machine, `content` the SHA-256 of its file (empty when it is gone), `claim` the hash that the
    database holds for it, `image` the first one that is there, `texts` everything else that was written.
    """

    id: int
    path: Path
    name: str
    type: str
    created_at: int
    claim: str
    content: str
    texts: dict[str, Any]
    tag_facts: tuple[tuple[str, str, int], ...]
    image: Path | None

    @property
    def tags(self) -> set[str]:
        """The names of its tags."""
        return {name for name, _, _ in self.tag_facts}


def read_legacy(
    database: Path, path_map: tuple[str, str], digests: Mapping[Path, str] | None = None
) -> list[LegacyFacts]:
    """Read all rows out of a copy; files whose digest is known are not read."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if Path(f"{database}{suffix}").exists():
                shutil.copyfile(f"{database}{suffix}", Path(folder) / f"db{suffix}")
        with closing(sqlite3.connect(Path(folder) / "db")) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM models ORDER BY id").fetchall()
            tags = connection.execute("SELECT * FROM model_tags JOIN tags ON tags.id = tag_id").fetchall()
    carried: dict[int, list[tuple[str, str, int]]] = {}
    for tag in tags:
        facts = (tag["name"], tag["color"] or "", tag["created_at"] or 0)
        carried.setdefault(tag["model_id"], []).append(facts)
    images = database.parent / "images"
    return [_facts(row, tuple(carried.get(row["id"], ())), images, path_map, digests or {}) for row in rows]


def _facts(
    row: sqlite3.Row,
    tags: tuple[tuple[str, str, int], ...],
    images: Path,
    path_map: tuple[str, str],
    digests: Mapping[Path, str],
) -> LegacyFacts:
    old, new = path_map
    path = Path(new + row["path"][len(old) :] if old and row["path"].startswith(old) else row["path"])
    said = json.loads(row["meta_json"] or "{}") | json.loads(row["extra_json"] or "{}")
    references = [images / reference.rsplit("/", 1)[-1] for reference in said.get("images", ())]
    stored = (row["hash_hex"] or "").lower()
    return LegacyFacts(
        id=row["id"],
        path=path,
        name=row["name"] or "",
        type=row["type"],
        created_at=row["created_at"],
        claim=stored if re.fullmatch("[0-9a-f]{64}", stored) else "",
        content=(digests.get(path) or sha256_of(path)) if path.is_file() else "",
        texts={key: value for key, value in said.items() if key not in ("images", "images_count")},
        tag_facts=tags,
        image=next((image for image in references if image.is_file()), None),
    )
