"""Where the pictures lie: published ones by their model, originals of pending rows by their base names."""

from pathlib import Path

from modelkeep.domain.pictures import parse_picture_name, picture_name


class ImagePaths:
    """Names the files in a folder of pictures; touches none of them.

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
        """Return where a published picture lies; `ValueError` when that is no picture's name."""
        name = picture_name(sha256, seq, quality)
        if parse_picture_name(name) is None:
            raise ValueError(f"{name!r} is not the name of a picture")
        return self._folder / name


def plain_name(name: str) -> str:
    """Return a base name as it is.

    Raises:
        ValueError: it is none, or a hidden one.
    """
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")
    return name
