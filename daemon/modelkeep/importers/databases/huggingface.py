"""The cache of huggingface_hub: links in `snapshots` that lead to `blobs`, whose names are hashes of what was served.

After a download only the length is compared, so a name is the server's word. The library itself is not asked: it
takes locks, and deletes what it cannot read.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from modelkeep.domain.knowledge import Grade, HashKind, Meaning, Origin, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import is_model_file
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.facts import HUGGING_FACE, claims_of, digest_of, stem_of
from modelkeep.importers.databases.model_files import EXTENSIONS
from modelkeep.importers.legacy_text import clean
from modelkeep.importers.sqlite_copy import unreadable

KIND = "huggingface"
_REPOSITORY = re.compile(r"models--(.+)", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLACES = ("", "hub", "huggingface/hub")
_LEVELS_MAX = 16


class HuggingFaceCacheReader:
    """Reads the cache, given as its folder, the one around it, or that of one repository."""

    kind = KIND
    places = "its cache (~/.cache/huggingface), or a repository in it"

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read the repositories at the source; None when there are none."""
        repositories = _find(options.source)
        if not repositories:
            return None
        found = Found(KIND)
        for repository in repositories:
            try:
                found.add(_records(repository))
            except OSError as error:
                found.refuse(repository, unreadable(repository, error))
        return found.content(options.source)


def _find(source: Path) -> list[Path]:
    if _REPOSITORY.fullmatch(source.name) and (source / "snapshots").is_dir():
        return [source]
    for place in _PLACES:
        found = sorted(path for path in (source / place).glob("models--*") if (path / "snapshots").is_dir())
        if found:
            return found
    return []


def _records(repository: Path) -> Iterator[SourceRecord | Refusal]:
    branches = _branches(repository)
    for snapshot in sorted((repository / "snapshots").iterdir()):
        if _COMMIT.fullmatch(snapshot.name) and snapshot.is_dir():
            for path in _model_files(snapshot, 0):
                yield _record(repository, snapshot, path, branches.get(snapshot.name, ()))


def _branches(repository: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of branches and tags by the commit that they mean."""
    branches: dict[str, tuple[str, ...]] = {}
    refs = repository / "refs"
    for path in sorted(refs.rglob("*")) if refs.is_dir() else ():
        if path.is_file() and path.stat().st_size <= 64:
            commit = path.read_text("ascii", "replace").strip()
            branches[commit] = (*branches.get(commit, ()), clean(str(path.relative_to(refs))))
    return branches


def _model_files(folder: Path, level: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and level < _LEVELS_MAX:
            yield from _model_files(path, level + 1)
        elif is_model_file(path.name, EXTENSIONS):
            yield path


def _record(repository: Path, snapshot: Path, path: Path, branches: tuple[str, ...]) -> SourceRecord:
    name = clean(repository.name.removeprefix("models--").replace("--", "/"))
    in_repository = clean(str(path.relative_to(snapshot)))
    blob = _blob(path, repository)
    # Which of the two paths is a location depends on where the roots are.
    models = tuple(dict.fromkeys((str(path), *((str(blob),) if blob else ()))))
    raw = {"repository": name, "commit": snapshot.name, "path_in_repo": in_repository}
    return SourceRecord(
        KIND,
        key=str(path),
        digest=digest_of(raw, branches, models),
        models=models,
        stem=stem_of(path.name),
        meaning=Meaning(
            origins=(
                Origin(
                    HUGGING_FACE,
                    name,
                    snapshot.name,
                    f"https://huggingface.co/{name}/blob/{snapshot.name}/{in_repository}",
                ),
            )
        ),
        raw={**raw, **({"refs": list(branches)} if branches else {})},
        # Names of 40 digits are git's own hashes of small files.
        claims=claims_of((HashKind.SHA256, blob.name, Grade.C)) if blob and len(blob.name) == 64 else (),
    )


def _blob(path: Path, repository: Path) -> Path | None:
    """Return the blob to which a link of a snapshot leads; None where the file itself lies there."""
    try:
        target = Path(os.path.normpath(path.parent / path.readlink()))
    except OSError:
        return None
    return target if target.parent == repository / "blobs" else None
