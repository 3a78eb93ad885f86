"""What runs in a worker: read an image once, decode it, write its tiers into the staging folder.

Only this and what it names is loaded there. Pillow is imported inside: the daemon's own process imports this module
to name the functions, and does without Pillow's 10 MB.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from modelkeep.disk.durable import sync_folder, write_durably
from modelkeep.domain.images import QUALITIES
from modelkeep.domain.values import RenderedImage
from modelkeep.errors import ImageError
from modelkeep.images.files import clear_away, read_image, shown_name

DECODE_SECONDS = 60.0
"""An image that takes longer is refused."""


def render(source: str, staging: str, stem: str, decode_seconds: float = DECODE_SECONDS) -> RenderedImage:
    """Write `<stem>_<quality>.webp` for each tier of an image into the staging folder, durably.

    Args:
        source: path of the source image; it is read once, so the digest is that of the bytes that were decoded.
        staging: the folder to write to.
        stem: beginning of the names of the staged files.
        decode_seconds: an image that took longer to decode is refused, and nothing is written.

    Raises:
        ImageError: the source cannot be used. Nothing is left in the staging folder.
        OSError: the tiers cannot be written. Nothing is left in the staging folder.
    """
    from modelkeep.images.tiers import render_tiers

    started = time.monotonic()
    name = shown_name(source)
    data = read_image(source)
    tiers = render_tiers(data, name)
    if time.monotonic() - started > decode_seconds:
        # Whoever asked has stopped waiting, and may be at work on these names again.
        raise ImageError(f"{name} takes longer than {decode_seconds:.0f} s to decode")
    staged = staged_names(stem)
    _write_all(Path(staging), {staged[quality]: content for quality, content in tiers.files.items()})
    return RenderedImage(staged, tiers.width, tiers.height, hashlib.sha256(data).hexdigest())


def check_image(path: str, name: str) -> None:
    """Make sure that a file decodes as an image within the limits.

    Args:
        path: the file.
        name: what it is called in the error's sentence.

    Raises:
        ImageError: it does not.
    """
    from modelkeep.images.tiers import require_image

    require_image(read_image(path), name)


def staged_names(stem: str) -> dict[str, str]:
    """Return the base name of each tier's staged file by its quality."""
    return {quality: f"{stem}_{quality}.webp" for quality in QUALITIES}


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, content in files.items():
            write_durably(folder / name, [content])
        # The fsync of a new file need not make its name last (fsync(2)); the plan that follows relies on the names.
        sync_folder(folder)
    except BaseException:
        clear_away(folder / name for name in files)
        raise
