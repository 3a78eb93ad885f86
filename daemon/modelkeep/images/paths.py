"""Where the images lie: published ones by their model, originals of pending rows by their base names."""

from pathlib import Path

from modelkeep.domain.images import image_name, parse_image_name


class ImagePaths:
    """Names the files in a folder of images; touches none of them.

    Args:
        folder: `<data_dir>/images`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending = folder / "pending"

    def pending_path(self, name: str) -> Path:
        """Return where the original of a pending row lies; `ValueError` when the name is no base name."""
        return self._pending / plain_name(name)

    def published_path(self, sha256: str, seq: int, quality: str) -> Path:
        """Return where a published image lies; `ValueError` when that is no image's name."""
        name = image_name(sha256, seq, quality)
        if parse_image_name(name) is None:
            raise ValueError(f"{name!r} is not the name of an image")
        return self._folder / name


def plain_name(name: str) -> str:
    """Return a base name as it is.

    Raises:
        ValueError: it is none, or a hidden one.
    """
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")
    return name
