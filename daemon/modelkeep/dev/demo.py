"""The demo library: model files, a legacy database and images in which every case of a migration occurs."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelkeep.dev.demo_contents import LOOK_FOR, MODELS, TAG_COLOURS, Claim, DemoModel
from modelkeep.dev.demo_files import model_bytes
from modelkeep.dev.demo_images import draw_preview
from modelkeep.dev.demo_legacy import FIRST_MS, DemoRow, write_database
from modelkeep.dev.place import MARKER, is_demo, models_of_demo
from modelkeep.errors import ModelkeepError

_ENDINGS = {"lying jpeg": "jpeg", "jpeg": "jpeg", "webp": "webp", "gif": "gif"}


@dataclass(frozen=True, slots=True)
class DemoLibrary:
    """Where the parts of a demo library are, and what there is to see in it."""

    folder: Path
    models: Path
    database: Path
    images: Path
    look_for: tuple[str, ...] = LOOK_FOR


def make_demo(folder: Path) -> DemoLibrary:
    """Make a demo library; one that is there already is returned as it is.

    Args:
        folder: a folder that is empty or does not exist.

    Raises:
        ModelkeepError: the folder holds something else, or cannot be written.
    """
    folder = folder.absolute()
    data = folder / "hikaze" / "data"
    library = DemoLibrary(folder, models_of_demo(folder), data / "hikaze_mm.sqlite3", data / "images")
    try:
        if is_demo(folder):
            return library
        if folder.exists() and any(folder.iterdir()):
            raise ModelkeepError(f"{folder} is not empty and no whole demo library; name an empty or new folder")
        _write(library)
    except OSError as error:
        raise ModelkeepError(f"{folder} cannot hold a demo library: {error.strerror}; name another folder") from error
    return library


def _write(library: DemoLibrary) -> None:
    library.images.mkdir(parents=True)
    write_database(library.database, _rows(library))
    text = "A demo library, made by `modelkeep dev demo`. Look for:\n"
    text += "".join(f"- {sentence}\n" for sentence in library.look_for)
    (library.folder / MARKER).write_text(text, encoding="utf-8")


def _rows(library: DemoLibrary) -> Iterator[DemoRow]:
    """Write the model files and images; yield the rows of those that the legacy database knows."""
    number = 0
    for model in MODELS:
        content = model_bytes(model.path, model.content or model.path, model.size_kb)
        path = library.models / model.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if model.is_there:
            path.write_bytes(content)
        if model.is_known:
            number += 1
            yield _row(library, model, content, number)


def _row(library: DemoLibrary, model: DemoModel, content: bytes, number: int) -> DemoRow:
    path = library.models / model.path
    type_ = model.path.split("/", 1)[0]
    extra: dict[str, Any] = dict(model.extra)
    if model.image:
        name = f"model_{number}_{FIRST_MS + number}_preview.{_ENDINGS.get(model.image, 'png')}"
        # The font that Pillow ships has no Japanese.
        title = path.stem if path.stem.isascii() else path.parent.name
        draw_preview(model.image, f"{title} #{number}", library.images / name)
        extra["images"] = [f"/media/{name}"]
    tags = [(type_, None), *((tag, TAG_COLOURS.get(tag)) for tag in model.tags)]
    return DemoRow(str(path), path.name, type_, len(content), _claim(model.claim, content), extra, tags)


def _claim(claim: Claim, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    match claim:
        case Claim.RIGHT:
            return digest
        case Claim.UPPER_CASE:
            return digest.upper()
        case Claim.WRONG:
            return hashlib.sha256(b"an older version of this file").hexdigest()
        case Claim.NONE:
            return ""
