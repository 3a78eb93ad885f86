"""Decide which file a caller means by a path. Pure: where links lead to is an argument."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelkeep.domain.naming import Root, is_hidden_below, is_model_file, root_of, suggested_name
from modelkeep.errors import NotAModel, OutsideRoots


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file by its path below a root; `leads_out` when a symbolic link on the way leads out of every root."""

    path: str
    root: Root
    leads_out: bool


def plain_path(path: str) -> str:
    """Return an absolute path without `.`, `..` and doubled slashes, links left as they are: the name counts.

    Raises:
        OutsideRoots: it is relative.
    """
    if not path.startswith("/"):
        raise OutsideRoots("a path has to be absolute")
    return "/" + posixpath.normpath(path).lstrip("/")  # POSIX keeps two slashes at the beginning


def name_file(path: str, target: str, targets_of_roots: Mapping[Root, str]) -> NamedFile:
    """Return the file that a plain path means, by the name that it has below a root.

    Args:
        path: as `plain_path` returns it.
        target: the same with all links resolved.
        targets_of_roots: each root and its path with all links resolved.

    Raises:
        OutsideRoots: it lies in none of the roots.
    """
    roots_by_target = {Root(where): root for root, where in targets_of_roots.items()}
    inside = root_of(target, roots_by_target)
    root = root_of(path, targets_of_roots)
    if root is not None:
        return NamedFile(path, root, leads_out=inside is None)
    if inside is None:
        raise OutsideRoots("that path lies in none of the configured roots")
    # By the name that a scan gives it: the catalogue knows a file by no other.
    root = roots_by_target[inside]
    below = target[len(inside.path.rstrip("/")) :]
    return NamedFile(root.path.rstrip("/") + below, root, leads_out=False)


def require_model_name(named: NamedFile, extensions: Sequence[str]) -> None:
    """Raise NotAModel for a file that no scan would find."""
    name = suggested_name(named.path)
    if not is_model_file(name, extensions):
        raise NotAModel(f"{name} is not named like a model: the endings are {' '.join(extensions)}")
    if is_hidden_below(named.path, named.root.path):
        raise NotAModel(f"{name} lies in a hidden folder, whose files are left alone")
