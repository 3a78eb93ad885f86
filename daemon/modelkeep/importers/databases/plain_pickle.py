"""Read a flat object of texts and numbers out of a pickle, without unpickling: nothing is looked up, called or built.

The opcodes are named one by one by `pickletools`, which only takes bytes apart; all that could do more than put a
text, a number or nothing into one object is refused. Opcodes: Python's own `pickletools`, protocols 2 to 5.
"""

import pickletools
from collections.abc import Iterator

PICKLE_BYTES_MAX = 64 * 1024

Flat = str | int | float | bool | None

_VALUES = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1"}
)
_CONSTANTS: dict[str, Flat] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_SILENT = frozenset({"PROTO", "FRAME"})
_STORES = frozenset({"BINPUT", "LONG_BINPUT"})
_FETCHES = frozenset({"BINGET", "LONG_BINGET"})
_MARK = object()


class NotPlain(ValueError):
    """The bytes are no pickle of a flat object; whatever else they are has not been done."""


def read_flat(data: object) -> dict[str, Flat]:
    """Return the object that a pickle holds.

    Raises:
        NotPlain: it holds anything but one object of texts, numbers and None.
    """
    if not isinstance(data, bytes) or len(data) > PICKLE_BYTES_MAX:
        raise NotPlain("no bytes, or too many")
    reader = _FlatReader()
    for name, argument in _opcodes(data):
        if reader.take(name, argument):
            return reader.result()
    raise NotPlain("it has no end")


def _opcodes(data: bytes) -> Iterator[tuple[str, object]]:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            yield opcode.name, argument
    except (ValueError, IndexError, UnicodeError, OverflowError, MemoryError) as error:
        raise NotPlain("its opcodes cannot be read") from error


class _FlatReader:
    """Follows the opcodes of one object that holds texts and numbers."""

    def __init__(self) -> None:
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._object: dict[str, Flat] = {}
        self._has_begun = False

    def take(self, name: str, argument: object) -> bool:
        """Follow one opcode; True at the end."""
        if name == "STOP":
            return True
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in ("SETITEM", "SETITEMS"):
            self._put(name)
        elif name not in _SILENT and not self._remembers(name, argument):
            raise NotPlain(f"it wants more than texts and numbers ({name})")
        return False

    def result(self) -> dict[str, Flat]:
        """Return the object, which has to be all that is left."""
        if self._stack != [self._object]:
            raise NotPlain("it is no object")
        return self._object

    def _remembers(self, name: str, argument: object) -> bool:
        if name == "EMPTY_DICT" and not self._has_begun:
            self._has_begun = True
            self._stack.append(self._object)
        elif name == "MARK":
            self._stack.append(_MARK)
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in _STORES and isinstance(argument, int):
            self._memo[argument] = self._top()
        elif name in _FETCHES and isinstance(argument, int) and argument in self._memo:
            self._stack.append(self._memo[argument])
        else:
            return False
        return True

    def _put(self, name: str) -> None:
        """Put what lies on the stack above the object into it."""
        items = self._stack[1:]
        if name == "SETITEMS":
            items = items[1:] if items and items[0] is _MARK else [_MARK]
        if not self._has_begun or len(items) % 2:
            raise NotPlain("its items are no pairs")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str) or not isinstance(value, str | int | float | None):
                raise NotPlain("it holds something else than texts and numbers")
            self._object[key] = value
        del self._stack[1:]

    def _top(self) -> object:
        if not self._stack:
            raise NotPlain("it remembers nothing")
        return self._stack[-1]
