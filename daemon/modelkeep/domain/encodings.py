"""Texts whose bytes do not say how they are to be read: UTF-8, or an encoding that the owner names. Pure."""

import codecs
from functools import cache

FALLBACK_ENCODING = "cp1252"
"""In which texts that are no UTF-8 are read where the owner names no other."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_BYTES = bytes(range(256))
_ASCII = _BYTES[:128].decode("ascii")


def is_fallback_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of texts by this name, and ASCII means in it what it says."""
    try:
        return _BYTES.decode(name, "replace").startswith(_ASCII)
    except (LookupError, ValueError):
        return False


def decode_loosely(data: bytes, fallback: str = FALLBACK_ENCODING) -> str:
    """Return what bytes that are no UTF-8 as a whole say; what nobody can read becomes U+FFFD.

    Either a few bytes of a text in UTF-8 are of the other encoding, or all of it is: whatever leaves less unread.
    """
    return min(
        (data.decode("utf-8", _errors_read_as(fallback)), data.decode(fallback, "replace")),
        key=lambda text: text.count(REPLACEMENT),
    )


@cache
def _errors_read_as(encoding: str) -> str:
    """Return the name of an error handler that reads in an encoding what is no UTF-8."""
    name = f"modelkeep-{encoding}"

    def read(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        return error.object[error.start : error.end].decode(encoding, "replace"), error.end

    codecs.register_error(name, read)
    return name
