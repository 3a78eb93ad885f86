"""Find the lines that may be wanted without parsing the others, by what they have to contain.

A search names every line that fits, and some that do not; whoever asked parses those and decides.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from modelkeep.domain.json_text import json_text

KEYS = re.compile(
    rb'"(sha256|pending_id|migration|path|old_path|name)":(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([0-9]+))',
)
"""What connects the records of one story, wherever it stands in a line: the field, and its text or its number."""

Spelled = tuple[bytes, bytes, bytes]
"""What `KEYS` finds: the field, the text between its quotes, the number."""

_FEW = 50
"""For more keys than this, every key of a block is compared."""

_UNESCAPED = re.compile(r"[ !#-\[\]-~]+")
"""ASCII that stands in JSON as it is, and of which the other case is ASCII too."""


_WILD = re.compile(r"(\[.*|[*?]+)", re.DOTALL)
_ANYTHING = r'[^"\n]*'


@dataclass(frozen=True, slots=True)
class Needles:
    """Patterns of which a wanted line matches at least one; none: every line is wanted.

    Each begins with literal text: so a search runs through a block as fast as memory allows. If `ignores_case`, they
    are in lower case.
    """

    patterns: tuple[re.Pattern[bytes], ...] = ()
    ignores_case: bool = False

    def lines(self, block: bytes) -> Iterable[tuple[int, bytes]]:
        """Return the wanted lines of a block of whole lines, each with its offset, in their order."""
        if not self.patterns:
            return _every_line(block)
        haystack = block.lower() if self.ignores_case else block
        found: dict[int, int] = {}
        for pattern in self.patterns:
            match = pattern.search(haystack)
            while match:
                start, end = haystack.rfind(b"\n", 0, match.start()) + 1, _end_of_line(haystack, match.start())
                found[start] = end
                match = pattern.search(haystack, end)
        return [(start, block[start : found[start]]) for start in sorted(found)]


@dataclass(frozen=True, slots=True)
class KeyNeedles:
    """Keys of which a wanted line contains at least one, however many there are."""

    keys: Collection[Spelled]

    def lines(self, block: bytes) -> Iterable[tuple[int, bytes]]:
        """Return the wanted lines of a block of whole lines, each with its offset, in their order."""
        if len(self.keys) <= _FEW:
            return Needles(_patterns(tuple(sorted(self.keys)))).lines(block)
        if self._wanted.isdisjoint(KEYS.findall(block)):
            return []
        return [
            (start, line) for start, line in _every_line(block) if not self._wanted.isdisjoint(KEYS.findall(line))
        ]

    @property
    def _wanted(self) -> frozenset[Spelled]:
        return frozenset(self.keys)


def spellings(field: str, value: str | int) -> set[Spelled]:
    """Return how a key may stand in a line: as it is, or in ASCII where the line holds what UTF-8 cannot."""
    name = field.encode()
    if isinstance(value, int):
        return {(name, b"", b"%d" % value)}
    return {(name, text[1:-1].encode(), b"") for text in (json_text(value), json.dumps(value))}


def for_text(text: str) -> Needles:
    """Return what finds the lines in which a text stands, in whatever case."""
    if not text.isascii() and text.lower() == text.upper():
        return Needles(tuple(re.compile(re.escape(spelled[1])) for spelled in spellings("", text)))
    longest = max(_UNESCAPED.findall(text), key=len, default="")
    return Needles((re.compile(re.escape(longest.lower().encode())),) if longest else (), ignores_case=True)


def for_event(glob: str) -> Needles:
    """Return what finds the lines whose event a glob means."""
    # Nothing of a glob with brackets is wrong here, only less is passed over.
    parts = [_ANYTHING if part[:1] in ("*", "?", "[") else re.escape(part) for part in _WILD.split(glob)]
    return Needles((re.compile(f'"event":"{"".join(parts)}"'.encode()),))


def for_failures(endings: Iterable[str], events: Iterable[str]) -> Needles:
    """Return what finds the lines with an error, or with an event that is a failure by its ending or its name."""
    names = "|".join([rf"[a-z0-9_.]*(?:{'|'.join(map(re.escape, endings))})", *map(re.escape, events)])
    return Needles((re.compile(rf'"e(?:rror":|vent":"(?:{names})")'.encode()),))


@cache
def _patterns(keys: tuple[Spelled, ...]) -> tuple[re.Pattern[bytes], ...]:
    """Return a pattern for each field, because it begins with literal text then."""
    texts: dict[bytes, list[bytes]] = {}
    for field, text, number in keys:
        # A number is followed by a comma: the checksum is last.
        before, value = (b'":', number + b",") if number else (b'":"', text + b'"')
        # An old path is found as a path.
        texts.setdefault(field.removeprefix(b"old_") + before, []).append(re.escape(value))
    return tuple(
        re.compile(re.escape(before) + b"(?:" + b"|".join(values) + b")") for before, values in texts.items()
    )


def _every_line(block: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(block):
        end = _end_of_line(block, start)
        yield start, block[start:end]
        start = end


def _end_of_line(block: bytes, at: int) -> int:
    return block.find(b"\n", at) + 1 or len(block)
