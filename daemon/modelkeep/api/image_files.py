"""Answer with an image's file: its bytes, or that the caller has them already."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from starlette.responses import Response

from modelkeep.api.etags import is_known
from modelkeep.errors import NotFound

_MEDIA_TYPES = {
    ".webp": "image/webp",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
}
"""What browsers show; whatever else an original was called, they shall only save it."""

_NO_IMAGE = frozenset({errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO})
"""Nothing is there, or a link, a folder, a socket: nothing that modelkeep put there."""


def answer_with_file(path: Path, known_tags: str | None) -> Response:
    """Return the answer to a question for an image. It reads a file: it is called from another thread.

    Args:
        path: the file.
        known_tags: the caller's `If-None-Match`.

    Raises:
        NotFound: there is no such file.
    """
    try:
        with open(path, "rb", opener=_open_no_link) as file:
            return _answer(file, path.suffix, known_tags)
    except OSError as error:
        if error.errno in _NO_IMAGE:
            raise NotFound("There is no such image.") from error
        raise


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _answer(file: BinaryIO, suffix: str, known_tags: str | None) -> Response:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("There is no such image.")
    # Of the file that is open, not of its name: that may have gone to the next image meanwhile.
    tag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
    if is_known(tag, known_tags):
        return Response(status_code=304, headers=_headers(tag))
    return Response(
        file.read(), media_type=_MEDIA_TYPES.get(suffix, "application/octet-stream"), headers=_headers(tag)
    )


def _headers(tag: str) -> Mapping[str, str]:
    # A name may stand for another image tomorrow, so a browser has to ask each time.
    return {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
