"""Which files of a folder belong to which models there, by their names alone.

Many tools share one stem, and suffixes nest: the longest suffix whose stem is that of a model here decides. An image
goes to the longest stem instead: `x.preview.png` belongs to a model `x.preview` before it is a preview of `x`.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from modelkeep.domain.images import VIDEO_SUFFIXES
from modelkeep.domain.knowledge import ImageRank
from modelkeep.domain.naming import is_model_file, is_temporary, stem_of
from modelkeep.importers.sidecars.base import FoundSidecar

EXAMPLE_PROMPT = "/.txt"
"""Suffix of a text file in a folder that is named after a model."""

DOWNLOAD_RECORD = ".metadata"
"""Suffix of what huggingface_hub notes of a downloaded file, in a folder of its own."""

PLAIN_SUFFIXES = frozenset({".json", ".txt", ".md", ".sha256", ".html"})
"""Suffixes that many files bear which nobody wrote for a model."""

_NOT_OURS = (".recipe.json", ".index.json")
"""Longer suffixes of other things: recipes of images, the lists of files of a model in parts."""

_IN_FOLDERS_OF_THEIR_OWN = {"", EXAMPLE_PROMPT, DOWNLOAD_RECORD}

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".bmp", ".tiff", ".jp2")

_RANKED = (
    (re.compile(r"(.+)\.preview", re.DOTALL), ImageRank.PREVIEW),
    (re.compile(r"(.+)\.thumb", re.DOTALL), ImageRank.THUMBNAIL),
    (re.compile(r"(.+)\.example\.[0-9]{1,4}", re.DOTALL), ImageRank.EXAMPLE),
    (re.compile(r"(.+)_[0-9]{1,4}", re.DOTALL), ImageRank.EXAMPLE),
)
_DOWNLOADS = re.compile(r"(.*)/\.(?:cache/)?huggingface/download((?:/.*)?)", re.DOTALL)
_NOBODYS_TEXT = re.compile(r"readme|licen[cs]e|requirements|changelog|put[ _].*[ _]here", re.IGNORECASE)


def find_sidecars(
    folder: str,
    names: Collection[str],
    extensions: Sequence[str],
    suffixes: Collection[str],
    names_above: Collection[str] = (),
) -> list[FoundSidecar]:
    """Return the files of a folder that belong to models, those without a model included, in the order of names.

    Args:
        folder: absolute path.
        names: base names of the files in it.
        extensions: endings of model files, in lower case with their dot.
        suffixes: those of the wanted formats; an empty one stands for images.
        names_above: base names of the files in the folder above.
    """
    downloads = _DOWNLOADS.fullmatch(folder)
    if downloads:
        found = _download_records(folder, downloads, names, extensions)
    else:
        inside = _example_prompts(folder, names, extensions, names_above)
        found = inside + _Names(folder, names, extensions, suffixes).sidecars()
    return [sidecar for sidecar in found if sidecar.suffix in suffixes]


def is_download_folder(folder: str) -> bool:
    """Return whether huggingface_hub keeps its notes in a folder, which is hidden from all else."""
    return _DOWNLOADS.fullmatch(folder) is not None


def path_in_repository(note: str) -> str:
    """Return where in its repository the file lies of whose download this is the note."""
    folder, _, name = note.rpartition("/")
    downloads = _DOWNLOADS.fullmatch(folder)
    below = downloads[2].lstrip("/") if downloads else ""
    return f"{below}/{name}".lstrip("/").removesuffix(DOWNLOAD_RECORD)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A way to understand a name: as `suffix` (or image) of something that is called `rest`."""

    rest: str
    suffix: str = ""
    rank: ImageRank | None = None


@dataclass(slots=True)
class _Names:
    """The names of one folder."""

    folder: str
    names: Collection[str]
    extensions: Sequence[str]
    suffixes: Collection[str]
    _by_stem: dict[str, list[str]] = field(default_factory=dict)

    def sidecars(self) -> list[FoundSidecar]:
        """Return all that belong to models, and those whose model is gone."""
        models = sorted(name for name in self.names if is_model_file(name, self.extensions))
        for name in models:
            self._by_stem.setdefault(stem_of(name), []).append(name)
            self._by_stem.setdefault(name, []).append(name)
        longest_first = tuple(sorted({*self.suffixes, *_NOT_OURS} - _IN_FOLDERS_OF_THEIR_OWN, key=len, reverse=True))
        others = sorted({*self.names} - {*models})
        read = {name: list(_readings(name, longest_first)) for name in others if not is_temporary(name)}
        found = {name: self._owned(name, readings) for name, readings in read.items()}
        told = {
            self._lost_stem(_chosen(readings).rest)
            for name, readings in read.items()
            if not found[name] and _is_telling(readings)
        }
        for name, readings in read.items():
            if not found[name] and readings:
                found[name] = self._orphan(name, readings, told, has_models=bool(models))
        return [sidecar for _, sidecar in sorted(found.items()) if sidecar is not None]

    def _owned(self, name: str, readings: Sequence[_Reading]) -> FoundSidecar | None:
        for reading in readings:
            owners = self._by_stem.get(reading.rest) or (self._alike(reading.rest) if reading.rank else [])
            if reading.suffix not in _NOT_OURS and owners:
                models = tuple(f"{self.folder.rstrip('/')}/{owner}" for owner in owners)
                return self._found(name, reading, stem_of(owners[0]), models)
        return None

    def _alike(self, rest: str) -> list[str]:
        """Return the models whose stem differs by case only: LoRA Manager takes their images so."""
        wanted = rest.casefold()
        return [owner for stem, owners in self._by_stem.items() if stem.casefold() == wanted for owner in owners]

    def _orphan(
        self, name: str, readings: Sequence[_Reading], told: Collection[str], *, has_models: bool
    ) -> FoundSidecar | None:
        """Return a file whose model is gone; None where nothing tells that it ever had one."""
        reading = _chosen(readings)
        stem = self._lost_stem(reading.rest)
        is_one = _is_telling(readings) or stem in told
        if reading.suffix in PLAIN_SUFFIXES and not is_one:
            is_one = has_models and not _NOBODYS_TEXT.match(name)
        return self._found(name, reading, stem, ()) if is_one and reading.suffix not in _NOT_OURS else None

    def _lost_stem(self, rest: str) -> str:
        return stem_of(rest) if is_model_file(rest, self.extensions) else rest

    def _found(self, name: str, reading: _Reading, stem: str, models: tuple[str, ...]) -> FoundSidecar:
        return FoundSidecar(f"{self.folder.rstrip('/')}/{name}", reading.suffix, stem, models, reading.rank)


def _chosen(readings: Sequence[_Reading]) -> _Reading:
    """Return how a name is understood where no model decides: by its longest suffix."""
    return readings[-1] if readings[0].rank else readings[0]


def _is_telling(readings: Sequence[_Reading]) -> bool:
    """Return whether a name alone tells that its file was written for a model."""
    if not readings:
        return False
    chosen = _chosen(readings)
    if chosen.rank:
        return chosen.rank is ImageRank.PREVIEW
    return chosen.suffix not in PLAIN_SUFFIXES and chosen.suffix not in _NOT_OURS


def _readings(name: str, longest_first: Sequence[str]) -> Iterator[_Reading]:
    lower = name.lower()
    for suffix in longest_first:
        if lower.endswith(suffix) and len(name) > len(suffix):
            yield _Reading(name[: -len(suffix)], suffix)
    stem = stem_of(name)
    if lower.endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)) and stem != name:
        yield _Reading(stem, rank=ImageRank.OWN)
        for pattern, rank in _RANKED:
            matched = pattern.fullmatch(stem)
            if matched:
                yield _Reading(matched[1], rank=rank)


def _example_prompts(
    folder: str, names: Collection[str], extensions: Sequence[str], names_above: Collection[str]
) -> list[FoundSidecar]:
    above, _, own = folder.rpartition("/")
    owners = sorted(name for name in names_above if stem_of(name) == own and is_model_file(name, extensions))
    if not owners:
        return []
    models = tuple(f"{above}/{owner}" for owner in owners)
    texts = sorted(name for name in names if name.lower().endswith(".txt") and not is_temporary(name))
    return [FoundSidecar(f"{folder}/{name}", EXAMPLE_PROMPT, own, models) for name in texts]


def _download_records(
    folder: str, downloads: re.Match[str], names: Collection[str], extensions: Sequence[str]
) -> list[FoundSidecar]:
    """Return the notes of downloads of models, whether these are still there or not: their path is known."""
    records = []
    for name in sorted(names):
        model = name.removesuffix(DOWNLOAD_RECORD)
        if model != name and is_model_file(model, extensions):
            path = f"{downloads[1]}{downloads[2]}/{model}"
            records.append(FoundSidecar(f"{folder}/{name}", DOWNLOAD_RECORD, stem_of(model), (path,)))
    return records
