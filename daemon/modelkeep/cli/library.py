"""A quick look at folders of model files, for somebody who is about to name them as roots."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelkeep.domain.naming import Root, is_model_file, suggested_type


@dataclass(frozen=True)
class TypeCount:
    """How many model files of one type lie in the roots, and how large they are together."""

    type: str
    files: int
    size_bytes: int


def count_models(roots: Sequence[Root], extensions: Sequence[str]) -> list[TypeCount]:
    """Return the model files below some roots by type, the largest share first.

    Folders and files that cannot be read are passed over; no file is opened.
    """
    sums: dict[str, tuple[int, int]] = {}
    seen: set[tuple[int, int]] = set()
    inner = {root.path for root in roots}
    for root in roots:
        for path, size_bytes in _model_files(root.path, extensions, inner - {root.path}, seen):
            type_ = suggested_type(path, root)
            files, total = sums.get(type_, (0, 0))
            sums[type_] = (files + 1, total + size_bytes)
    counts = [TypeCount(type_, files, total) for type_, (files, total) in sums.items()]
    return sorted(counts, key=lambda count: -count.size_bytes)


def _model_files(
    folder: str, extensions: Sequence[str], left_out: set[str], seen: set[tuple[int, int]]
) -> Iterator[tuple[str, int]]:
    """Yield (path, bytes) below a folder; `left_out` are roots of their own, `seen` ends circles of links."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        if not _is_first_visit(parent, seen):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and f"{parent}/{name}" not in left_out]
        for name in names:
            if is_model_file(name, extensions):
                path = f"{parent.rstrip('/')}/{name}"
                try:
                    yield path, os.stat(path).st_size  # noqa: PTH116 - names may be anything
                except OSError:  # a link that leads nowhere
                    continue


def _is_first_visit(folder: str, seen: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(folder)  # noqa: PTH116 - as above
    except OSError:
        return False
    identity = status.st_dev, status.st_ino
    if identity in seen:
        return False
    seen.add(identity)
    return True
