"""Whether a PNG was decoded to its end, told by its last row: a second look through its data would cost a tenth more.

Pillow takes some images for whole whose data ends early. It writes rows one after the other, each when it is whole;
so none is missing when the last one was written.
"""

import os

from PIL import Image, ImageFile

_MODES = ("L", "LA", "P", "RGB", "RGBA")
_INFLATED_FACTOR = 100
"""So many times the size of its data an image has at most that is decoded at once; pictures have 2 to 20 times."""


class LastRow:
    """The last row of an image that is about to be decoded, with a mark in it.

    Args:
        opened: of one of those that `can_tell` allows.
    """

    def __init__(self, opened: ImageFile.ImageFile) -> None:
        width, height = opened.size
        self._place = (0, height - 1, width, height)
        row = Image.new(opened.mode, (width, 1))
        self._mark = os.urandom(len(row.tobytes()))
        row.frombytes(self._mark)
        canvas = Image.new(opened.mode, opened.size)
        canvas.paste(row, self._place)
        opened.im = canvas.im

    @staticmethod
    def can_tell(opened: ImageFile.ImageFile, size_bytes: int) -> bool:
        """Return whether an image that is not decoded yet is one whose rows are written in their order.

        Not those either for which so few bytes come with so many pixels that nothing should be made for them yet.
        """
        is_plain = not opened.info.get("interlace") and not getattr(opened, "is_animated", False)
        inflated_bytes = opened.width * opened.height * len(opened.getbands())
        is_likely = inflated_bytes <= size_bytes * _INFLATED_FACTOR
        return opened.format == "PNG" and opened.mode in _MODES and is_plain and is_likely

    def is_written(self, loaded: Image.Image) -> bool:
        """Return whether the decoder has written the row; one that is as the mark was counts as not written."""
        return loaded.crop(self._place).tobytes() != self._mark
