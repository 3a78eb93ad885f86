"""What the bytes of a file say besides their SHA-256: the format's own header, and the digests that other tools use.

AutoV1 is of the 65,536 bytes at 1 MiB (`model_hash` of stable-diffusion-webui), AutoV2 the beginning of the SHA-256,
AutoV3 that of the digest of everything behind the header of a safetensors file (`addnet_hash_safetensors`, and as
`sshs_model_hash` of kohya's sd-scripts in full).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from modelkeep.domain import gguf
from modelkeep.domain.header import CutShort, ReadAt, Unprovable
from modelkeep.domain.header_keys import HeaderKeys
from modelkeep.domain.safetensors_metadata import HEADER_BYTES_MAX, read_metadata

AUTOV1_BEGIN, AUTOV1_BYTES, AUTOV1_DIGITS = 0x100000, 0x10000, 8
SAFETENSORS, GGUF = "safetensors", "gguf"


class FileHeader(NamedTuple):
    """What the header of a file says.

    `format` is empty where none is known, `data_begin` is where the data of its tensors begin and 0 where they have
    none of their own or nobody can tell, `problem` says why not all of the header is known.
    """

    format: str = ""
    data_begin: int = 0
    keys: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    problem: str = ""
    has_image: bool = False


class ContentFacts(NamedTuple):
    """What is known of a content's bytes.

    `tensors` is the SHA-256 of all that follows the header: empty where there is no such part, None where it was not
    computed. `autov1` is empty where nobody looked.
    """

    header: FileHeader = FileHeader()
    tensors: str | None = ""
    autov1: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the shape in which a hashing process tells it: most files have no header to be told of."""
        told: dict[str, Any] = {"tensors": self.tensors, "autov1": self.autov1}
        if self.header != _NO_HEADER:
            told["header"] = self.header._asdict()
        return told

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ContentFacts":
        """Return what a hashing process told."""
        header = FileHeader(**value["header"]) if "header" in value else _NO_HEADER
        return cls(header, value["tensors"], value["autov1"])


_NO_HEADER = FileHeader()


def read_header(size_bytes: int, read_at: ReadAt) -> FileHeader:
    """Return what the header of a file says; what is no header of a known format says nothing.

    Args:
        size_bytes: the file's size.
        read_at: reads it; never more of it than the header, and that in pieces.
    """
    prefix = read_at(0, 9)
    if prefix.startswith(gguf.MAGIC):
        return _of_gguf(size_bytes, read_at)
    length = int.from_bytes(prefix[:8], "little")
    if prefix[8:9] != b"{" or not 2 <= length <= min(HEADER_BYTES_MAX, size_bytes - 8):
        return FileHeader()
    keys = HeaderKeys()
    problem = read_metadata(length, lambda offset, wanted: read_at(8 + offset, wanted), keys.add)
    return _header(SAFETENSORS, 8 + length, size_bytes, keys, problem)


def autov1(size_bytes: int, read_at: ReadAt, sha256: Callable[[bytes], str]) -> str:
    """Return the AutoV1 of a file; of one that is shorter, that of the bytes which are there.

    Args:
        size_bytes: the file's size.
        read_at: reads it.
        sha256: returns the digest of bytes.
    """
    data = read_at(AUTOV1_BEGIN, AUTOV1_BYTES) if size_bytes > AUTOV1_BEGIN else b""
    return sha256(data)[:AUTOV1_DIGITS]


def _of_gguf(size_bytes: int, read_at: ReadAt) -> FileHeader:
    keys = HeaderKeys()
    begin, problem = 0, ""
    try:
        begin = gguf.data_begin(size_bytes, read_at, keys.add)
    except (CutShort, Unprovable):
        problem = "its header is cut short, or none that is known"
    return _header(GGUF, begin, size_bytes, keys, problem)


def _header(name: str, begin: int, size_bytes: int, keys: HeaderKeys, problem: str) -> FileHeader:
    data_begin = begin if begin < size_bytes else 0  # of no tensors at all there is nothing to know
    return FileHeader(name, data_begin, keys.keys, problem or keys.problem, keys.has_image)
