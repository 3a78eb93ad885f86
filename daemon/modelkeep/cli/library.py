"""A quick look at folders of model files, for somebody who is about to name them as roots."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.disk.walk import walk
from modelkeep.domain.naming import Root, root_of, suggested_type


@dataclass(frozen=True)
class TypeCount:
    """How many model files of one type lie in the roots, and how large they are together."""

    type: str
    files: int
    size_bytes: int


def count_models(roots: Sequence[Root], extensions: Sequence[str]) -> list[TypeCount]:
    """Return the model files below some roots by type, the largest share first.

    Folders and files that cannot be read are passed over; no file is opened. What lies in two roots, be it by a link,
    counts once.
    """
    sums: dict[str, tuple[int, int]] = {}
    seen: set[str] = set()
    for root in roots:
        for path, fingerprint in walk(root.path, extensions).files.items():
            folder, name = os.path.split(path)
            place = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118 - names may be anything
            if place in seen or root_of(path, roots) != root:
                continue
            seen.add(place)
            type_ = suggested_type(path, root)
            files, total = sums.get(type_, (0, 0))
            sums[type_] = (files + 1, total + fingerprint.size_bytes)
    counts = [TypeCount(type_, files, total) for type_, (files, total) in sums.items()]
    return sorted(counts, key=lambda count: -count.size_bytes)
