"""Decisions that a path alone allows: is it a model, is it unfinished, what type and name does it suggest."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple

MODEL_EXTENSIONS = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".onnx", ".pkl")
"""Endings of model files, unless the owner names others."""

TEMPORARY_SUFFIXES = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".tmp",
    ".aria2",
    ".!qb",
    ".opdownload",
)
"""Endings under which browsers and download programs keep an unfinished file."""

CONTROL_SUFFIX = ".aria2"
"""aria2 writes to the final name and keeps this file beside it until it is done."""

SHADOW_PREFIX = "shadow_"
"""Beginning of the name of a stand-in file that `modelkeep dev shadow` makes."""


BESIDE_SUFFIXES = (
    *(".json", ".info", ".txt", ".md", ".html", ".sha256", ".metadata"),
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".bmp", ".tiff", ".jp2", ".mp4", ".webm"),
)
"""Endings of what tools keep beside models, images and videos among it."""


@dataclass(frozen=True, slots=True)
class Root:
    """A configured folder of model files; `type` is empty when the first folder below it names the type."""

    path: str
    type: str = ""
    _below: str = field(init=False, repr=False, compare=False)
    """With what the path of everything below it begins: asked several times of each file, and made once."""

    def __post_init__(self) -> None:
        """Make what is derived."""
        object.__setattr__(self, "_below", self.path.rstrip("/") + "/")

    def contains(self, path: str) -> bool:
        """Return whether a path is the root or lies below it, by spelling."""
        return path.startswith(self._below) or path == self.path


def innermost_first(roots: Iterable[Root]) -> Sequence[Root]:
    """Return roots in the order in which `first_around` has to have them."""
    return sorted(roots, key=lambda root: len(root.path), reverse=True)


def first_around(path: str, roots: Sequence[Root]) -> Root | None:
    """Return the first of some roots that contains a path."""
    for root in roots:
        if root.contains(path):
            return root
    return None


class Span(NamedTuple):
    """The paths between two others, in the order of their characters."""

    after: str
    before: str

    @classmethod
    def below(cls, folder: str) -> "Span":
        """Return the span of all that lies below a folder."""
        prefix = folder.rstrip("/")
        return cls(prefix + "/", prefix + "0")  # the character that follows the slash


def root_of(path: str, roots: Iterable[Root]) -> Root | None:
    """Return the innermost root that contains a path."""
    return first_around(path, innermost_first(roots))


def is_temporary(name: str) -> bool:
    """Return whether a file of this base name waits for a rename before it counts."""
    return name.startswith(".") or name.lower().endswith(TEMPORARY_SUFFIXES)


def is_hidden_below(path: str, root: str) -> bool:
    """Return whether a folder between a root and a file begins with a dot (caches, trash, version control)."""
    return any(part.startswith(".") for part in path[len(root) :].split("/")[:-1])


def may_be_sidecar(path: str) -> bool:
    """Return whether a file has a name that one which belongs to a model may have."""
    return path.lower().endswith(BESIDE_SUFFIXES) and not suggested_name(path).startswith(".")


def is_model_file(name: str, extensions: Sequence[str]) -> bool:
    """Return whether a base name is that of a model; `extensions` are lower-case with their dot."""
    return name.lower().endswith(tuple(extensions)) and not is_temporary(name)


def suggested_type(path: str, root: Root | None) -> str:
    """Return the type of a model by where it lies: the root's own, else the first folder below it, else empty."""
    if root is None:
        return ""
    if root.type:
        return root.type
    folder, _, name = path[len(root.path) :].lstrip("/").partition("/")
    return folder if name else ""


def suggested_name(path: str) -> str:
    """Return the name of a model that nobody named: its file's base name."""
    return path.rsplit("/", 1)[-1]


def stem_of(path: str) -> str:
    """Return the base name of a file without its last ending."""
    name = suggested_name(path)
    return name.rsplit(".", 1)[0] or name


def in_brief(text: str, length: int = 120) -> str:
    """Return at most `length` characters of a name or path: its beginning and its end, which tell most."""
    if len(text) <= length:
        return text
    tail = length // 2
    return f"{text[: length - tail - 1]}…{text[-tail:]}"


def is_name_from_path(name: str, paths: Iterable[str]) -> bool:
    """Return whether a name says no more than one of these paths does (base name, with or without its ending)."""
    return any(name in (base, base.rsplit(".", 1)[0]) for base in map(suggested_name, paths))


def is_type_from_path(type_: str, paths: Iterable[str]) -> bool:
    """Return whether a type says no more than the folders of one of these paths do."""
    return any(type_ in path.split("/")[:-1] for path in paths)


@dataclass(frozen=True, slots=True)
class PathMap:
    """Rewrites path prefixes of another machine (`/srv/models=/mnt/models`, `D:\\models=/mnt/models`).

    The longest matching prefix wins, and only at a folder boundary. Backslashes of Windows paths become slashes,
    and Windows prefixes match whatever the case of their letters.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def apply(self, path: str) -> str:
        """Return the path on this machine; unchanged when no prefix matches."""
        for old, new in sorted(self.pairs, key=lambda pair: len(pair[0]), reverse=True):
            rest = _below(path, old)
            if rest is not None:
                return "/".join([new.rstrip("/"), *rest]) or "/"
        return path

    def covers(self, path: str) -> bool:
        """Return whether a prefix matches."""
        return any(_below(path, old) is not None for old, _ in self.pairs)


_WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\")
"""A drive letter, or a network share; `//srv` is a share only to Windows, and a plain path here."""


def is_windows_path(path: str) -> bool:
    """Return whether a path was written by a Windows machine (drive letter or network share)."""
    return _WINDOWS.match(path) is not None


def _below(path: str, prefix: str) -> tuple[str, ...] | None:
    """Return the parts of `path` below `prefix`, or None when it does not lie there."""
    is_windows = is_windows_path(prefix)
    parts, comparable, anchor = _parts(path, is_windows)
    # A bare drive is its root.
    base = _parts(prefix + "\\" if is_windows and prefix.endswith(":") else prefix, is_windows)[1]
    fits = comparable[: len(base)] == base and bool(base or not anchor)
    return parts[len(base) :] if fits else None


@lru_cache(maxsize=64)  # a path is compared with each prefix, and more than once
def _parts(path: str, is_windows: bool) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the parts of a path, the same as they are compared, and its drive and root."""
    if not is_windows:
        posix = PurePosixPath(path)
        return posix.parts, posix.parts, posix.anchor
    # It takes both kinds of slashes; Windows compares without regard to case.
    windows = PureWindowsPath(path)
    return windows.parts, tuple(part.lower() for part in windows.parts), windows.anchor
