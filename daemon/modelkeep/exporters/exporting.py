"""Write sidecars for models, file by file: what would be written is decided the same in a dry run."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelkeep.disk.exported import ExportedFiles
from modelkeep.domain.naming import Root, root_of
from modelkeep.errors import ImageError
from modelkeep.exporters.base import PREVIEW_SUFFIX, Exporter, NothingToSay, Order
from modelkeep.exporters.existing import Existing, NotMergeable, look_at, object_in
from modelkeep.exporters.folders import Folders
from modelkeep.exporters.known import KnownModel, known_models
from modelkeep.exporters.writing import NotWritten, sweep, write_file

CREATED, CHANGED, UNCHANGED, SKIPPED, FAILED = "created", "changed", "unchanged", "skipped", "failed"

PictureOf = Callable[[str, int], bytes]
"""Returns an image of a model (its hash, the image's number) as PNG; raises OSError or ImageError."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is exported, and whereto.

    Args:
        roots: the configured roots; nothing outside of them is written beside a model.
        extensions: endings of model files.
        only: folders to which the export is limited, empty for all.
        to: a folder in which the roots are mirrored, instead of beside the models.
        order: how files are written.
        dry_run: nothing is written.
        previews: whether a model's first image is written where it has no preview.
    """

    roots: Sequence[Root]
    extensions: Sequence[str]
    only: Sequence[str] = ()
    to: Path | None = None
    order: Order = field(default_factory=Order)
    dry_run: bool = False
    previews: bool = True


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What was done with a file, or in a dry run would be: `created`, `changed`, `unchanged` or `skipped`.

    `failed` is what was to be written and could not be.
    """

    path: str
    outcome: str
    reason: str = ""
    sha256: str = ""

    def as_json(self) -> dict[str, str]:
        """Return it for programs."""
        return {"path": self.path, "outcome": self.outcome, "reason": self.reason, "sha256": self.sha256}


class Export:
    """Writes the sidecars of one tool.

    Args:
        exporter: of the tool.
        options: what and whereto.
        exported: notes what is written, before it is.
        picture_of: gives the images of models.
    """

    def __init__(
        self, exporter: Exporter, options: ExportOptions, exported: ExportedFiles, picture_of: PictureOf
    ) -> None:
        self._exporter = exporter
        self._options = options
        self._exported = exported
        self._picture_of = picture_of
        self._folders = Folders(options.extensions)
        self._mirrors = mirrors(options.roots)
        self._swept: set[str] = set()

    def files(self, details: Mapping[str, Any]) -> Iterator[FileOutcome]:
        """Write the files of one model, and yield what was done with each.

        Args:
            details: the answer about the model.
        """
        models = known_models(details)
        if not models:
            yield FileOutcome(
                details["model"]["path"], SKIPPED, "no file with this content is there", details["model"]["sha256"]
            )
        adopted = {source["key"] for sources in details.get("sources", {}).values() for source in sources}
        for model in models:
            if not self._options.only or root_of(model.path, map(Root, self._options.only)):
                yield from self._beside(model, details["images"], adopted)

    def _beside(
        self, model: KnownModel, images: Sequence[Mapping[str, Any]], adopted: Collection[str]
    ) -> Iterator[FileOutcome]:
        folder, reason = self._folder_of(model)
        if reason:
            yield FileOutcome(model.path, SKIPPED, reason, model.sha256)
            return
        if not self._options.dry_run and folder not in self._swept:
            self._swept.add(folder)
            sweep(folder)
        beside = os.path.dirname(model.path)
        preview = self._folders.preview(beside, model.stem)
        picture = self._preview_of(model, folder, images) if not preview else None
        order = replace(self._options.order, preview=_path_of(preview and os.path.join(beside, preview), picture))
        for name in self._exporter.paths(model, order):
            yield self._file(os.path.join(folder, name), name, model, order, adopted)
        if picture:
            yield picture

    def _folder_of(self, model: KnownModel) -> tuple[str, str]:
        """Return the folder in which the files of a model are written, or why there is none."""
        root = root_of(model.path, self._options.roots)
        if root is None:
            return "", "it lies in no configured root"
        beside = os.path.dirname(model.path)
        if self._options.to is not None:
            return str(self._options.to / self._mirrors[root.path] / os.path.relpath(beside, root.path)), ""
        if not Root(os.path.realpath(root.path)).contains(os.path.realpath(beside)):
            return "", "a link leads there out of the root"
        if not os.access(beside, os.W_OK | os.X_OK):
            is_read_only = os.path.isdir(beside) and os.statvfs(beside).f_flag & os.ST_RDONLY
            return "", f"{root.path} is read-only" if is_read_only else "its folder may not be written"
        return beside, ""

    def _file(self, path: str, name: str, model: KnownModel, order: Order, adopted: Collection[str]) -> FileOutcome:
        others = [] if name.startswith(model.name) else self._sharing(model)
        if others:
            return FileOutcome(path, SKIPPED, f"{', '.join(others)} would share it", model.sha256)
        existing = look_at(path)
        try:
            data = self._bytes_for(name, model, existing, order)
        except (NothingToSay, NotMergeable) as error:
            return FileOutcome(path, SKIPPED, str(error), model.sha256)
        if data is None:
            return FileOutcome(path, UNCHANGED, "", model.sha256)
        # What another program put there and nobody has taken in yet is news still, where it is kept.
        is_kept = self._exporter.holds_objects and existing.data is not None
        is_ours = not is_kept or path in adopted or self._exported.holds(_digest(existing.data or b""))
        return self._write(path, data, existing, model, notes=is_ours)

    def _sharing(self, model: KnownModel) -> list[str]:
        return self._folders.others_of_stem(os.path.dirname(model.path), model.name, model.stem)

    def _bytes_for(self, name: str, model: KnownModel, existing: Existing, order: Order) -> bytes | None:
        """Return the new bytes of a file, None when it stays as it is.

        Raises:
            NothingToSay: it is not to be written.
            NotMergeable: what is there would be lost.
        """
        if existing.fault:
            raise NotMergeable(existing.fault)
        if not self._exporter.holds_objects:
            return self._text_for(name, model, existing, order)
        held = object_in(existing.data) if existing.data is not None else None
        data = self._exporter.written(name, model, held, order)
        return data if held is None or json.loads(data) != held else None

    def _text_for(self, name: str, model: KnownModel, existing: Existing, order: Order) -> bytes | None:
        data = self._exporter.written(name, model, None, order)
        if existing.data is None or not existing.data.strip():
            return data
        if (existing.data.split()[:1] == data.split()[:1] and len(data.split()) == 1) or existing.data == data:
            return None
        if not order.prefer_ours:
            raise NothingToSay("another text is there; --prefer modelkeep replaces it")
        return data

    def _preview_of(self, model: KnownModel, folder: str, images: Sequence[Mapping[str, Any]]) -> FileOutcome | None:
        """Write the first image of a model as its preview; None when that is not wanted or it has none."""
        wanted = self._options.previews and self._exporter.shows_previews and images
        path = os.path.join(folder, f"{model.stem}{PREVIEW_SUFFIX}")
        # To a model that is called x.preview it would be its own picture.
        is_anothers = self._folders.others_of_stem(os.path.dirname(model.path), "", f"{model.stem}.preview")
        if not wanted or is_anothers or os.path.lexists(path):
            return None
        others = self._sharing(model)
        if others:
            return FileOutcome(path, SKIPPED, f"{', '.join(others)} would share it", model.sha256)
        if self._options.dry_run:
            return FileOutcome(path, CREATED, "", model.sha256)
        try:
            data = self._picture_of(model.sha256, images[0]["seq"])
        except (OSError, ImageError) as error:
            return FileOutcome(path, FAILED, f"its image cannot be read: {error}", model.sha256)
        return self._write(path, data, Existing(), model)

    def _write(
        self, path: str, data: bytes, existing: Existing, model: KnownModel, *, notes: bool = True
    ) -> FileOutcome:
        outcome = CREATED if existing.data is None else CHANGED
        if not self._options.dry_run:
            try:
                if self._options.to is not None:
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                if notes:
                    self._exported.note([(path, data)])
                write_file(path, data, existing)
            except NotWritten as error:
                return FileOutcome(path, SKIPPED, str(error), model.sha256)
            except OSError as error:
                reason = f"it cannot be written: {error.strerror or error}"
                return FileOutcome(path, FAILED, reason, model.sha256)
        return FileOutcome(path, outcome, "", model.sha256)


def mirrors(roots: Sequence[Root]) -> dict[str, str]:
    """Return the folder that stands for each root: its base name, with a number where two have the same."""
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for root in roots:
        base = os.path.basename(root.path.rstrip("/")) or "root"
        seen[base] += 1
        names[root.path] = base if seen[base] == 1 else f"{base}-{seen[base]}"
    return names


def counts_of(outcomes: Iterable[FileOutcome]) -> dict[str, int]:
    """Return how many files were created, changed, unchanged and skipped, and how many failed."""
    counted = Counter(outcome.outcome for outcome in outcomes)
    return {name: counted[name] for name in (CREATED, CHANGED, UNCHANGED, SKIPPED, FAILED)}


def _path_of(preview: str, picture: FileOutcome | None) -> str:
    """Return the path of a preview that is there, or of the one that was made."""
    return preview or (picture.path if picture and picture.outcome == CREATED else "")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
