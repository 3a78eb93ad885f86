"""Tell from a file's own bytes whether it is whole, cut off, or no model at all.

Safetensors (https://github.com/huggingface/safetensors, "Format"): 8 bytes little-endian length of the header, the
header as JSON, then the tensors; each entry's `data_offsets` are relative to the end of the header.
GGUF and zip archives (torch's `.ckpt`, `.pt`, `.pth`, `.bin`) are known by their first bytes: `gguf`, `zip_archive`.
Git LFS pointer (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md): a text file that begins with `version`.
"""

from enum import StrEnum

from modelkeep.domain import gguf, zip_archive
from modelkeep.domain.header import CutShort, ReadAt, Unprovable
from modelkeep.domain.safetensors import tensors_extent
from modelkeep.domain.safetensors_metadata import HEADER_BYTES_MAX

SAFETENSORS_SUFFIXES = (".safetensors", ".sft")
LFS_POINTER_START = b"version https://git-lfs.github.com/spec/"
LFS_POINTER_BYTES_MAX = 1024


class Completeness(StrEnum):
    """What a file's bytes say about themselves."""

    WHOLE = "whole"
    """The format proves that nothing is missing."""
    CUT_OFF = "cut off"
    """The format proves that something is missing."""
    UNKNOWN = "unknown"
    """The format proves nothing: time has to tell."""
    EMPTY = "empty"
    POINTER = "pointer"


def judge(name: str, size_bytes: int, read_at: ReadAt) -> Completeness:
    """Return what a file's bytes say about its completeness.

    Args:
        name: base name; its ending tells the format.
        size_bytes: the file's size.
        read_at: reads the file; never more of it than the header, and that in pieces.
    """
    if size_bytes == 0:
        return Completeness.EMPTY
    if size_bytes <= LFS_POINTER_BYTES_MAX and read_at(0, len(LFS_POINTER_START)) == LFS_POINTER_START:
        return Completeness.POINTER
    if name.lower().endswith(SAFETENSORS_SUFFIXES):
        return _judge_safetensors(size_bytes, read_at)
    return _judge_by_magic(size_bytes, read_at)


def _judge_by_magic(size_bytes: int, read_at: ReadAt) -> Completeness:
    magic = read_at(0, 4)
    try:
        if magic == gguf.MAGIC:
            return _judge_size(size_bytes, *gguf.sizes_when_whole(size_bytes, read_at))
        if magic == zip_archive.MAGIC:
            zip_archive.require_whole(size_bytes, read_at)
            return Completeness.WHOLE
    except CutShort:
        return Completeness.CUT_OFF
    except Unprovable:
        return Completeness.UNKNOWN
    return Completeness.UNKNOWN


def _judge_size(size_bytes: int, least: int, whole: int) -> Completeness:
    if size_bytes < least:
        return Completeness.CUT_OFF
    return Completeness.WHOLE if size_bytes == whole else Completeness.UNKNOWN


def _judge_safetensors(size_bytes: int, read_at: ReadAt) -> Completeness:
    prefix = read_at(0, 9)
    if size_bytes < 8:
        # The length of a header is a small number in eight bytes, so it has zeros; a short text has none.
        return Completeness.CUT_OFF if b"\0" in prefix else Completeness.UNKNOWN
    header_length = int.from_bytes(prefix[:8], "little")
    if not 2 <= header_length <= HEADER_BYTES_MAX or prefix[8:9] not in (b"{", b""):
        return Completeness.UNKNOWN
    if size_bytes < 8 + header_length:
        return Completeness.CUT_OFF
    extent = tensors_extent(header_length, lambda offset, length: read_at(8 + offset, length))
    if extent is None:
        return Completeness.UNKNOWN
    whole = 8 + header_length + extent
    return _judge_size(size_bytes, whole, whole)
