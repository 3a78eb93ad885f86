"""Images and videos beside models: each is a record of its own, whatever else lies there."""

import os

from modelkeep.domain.images import is_video
from modelkeep.domain.knowledge import ImageFile, ImageRank, Meaning, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.image_prompts import prompt_in
from modelkeep.importers.sidecars.reading import BYTES_MAX, content_of
from modelkeep.importers.sidecars.record import record_of

KIND = "preview"


class PreviewFormat:
    """Reads `STEM.png`, `STEM.preview.png`, `STEM.example.0.jpeg`, `STEM.mp4` and the like."""

    kinds = frozenset({KIND})
    suffixes = ("",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return the record of an image; whoever shows it finds out whether it is one."""
        example = prompt_in(data, found.fallback_encoding)
        return record_of(
            found,
            data,
            KIND,
            meaning=Meaning(examples=(example,) if example else ()),
            images=(ImageFile(found.path, found.rank or ImageRank.OWN),),
        )


def bytes_of_preview(found: FoundSidecar, descriptor: int) -> bytes:
    """Return what tells a preview from another: its content, or, of a video or a huge image, size and time.

    The file is closed.

    Raises:
        OSError: it cannot be read.
    """
    status = os.fstat(descriptor)
    if is_video(found.path) or status.st_size > BYTES_MAX:
        os.close(descriptor)
        return f"{status.st_size} {status.st_mtime_ns}".encode()
    return content_of(descriptor)
