"""Write a text in the format that a tool shows: HTML for those that show HTML, plain text for the others."""

import html
import re
from html.parser import HTMLParser

from modelkeep.domain.knowledge import Text, TextFormat

_BLOCKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr"}
)
_OPENING = r"<(?!\w+:[^<>\s\"'`/=]*>)(?=[a-z/!?])"
"""What opens a tag for a browser; not a network in a prompt, `<lora:name:0.8>`, which is none and holds nothing."""

_TAG, _OPENED = re.compile(_OPENING + "[^<>]*>", re.IGNORECASE), re.compile(_OPENING, re.IGNORECASE)
_UNSHOWN = frozenset({"script", "style", "template", "noscript", "iframe", "object"})


def as_html(text: Text) -> str:
    """Return a text as HTML: what was HTML as it was, everything else with its characters escaped."""
    if text.format is TextFormat.HTML or not text.value:
        return text.value
    paragraphs = text.value.replace("\r\n", "\n").split("\n\n")
    return "".join(f"<p>{html.escape(each, quote=False).replace(chr(10), '<br>')}</p>" for each in paragraphs)


def as_plain(text: Text) -> str:
    """Return a text without tags, for tools that would show them or run them, spelled out ones included."""
    shown = without_tags(text.value) if text.format is TextFormat.HTML else text.value
    return _OPENED.sub("< ", _TAG.sub("", shown))


def without_tags(value: str) -> str:
    """Return what a reader of HTML sees: no tags, no scripts, a line for each block."""
    reader = _Reader()
    reader.feed(value)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base's
        if tag in _BLOCKS:
            self.pieces.append("\n")
        if tag in _UNSHOWN:
            self._unshown += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.pieces.append("\n")
        if tag in _UNSHOWN:
            self._unshown = max(0, self._unshown - 1)

    def handle_data(self, data: str) -> None:
        if not self._unshown:
            self.pieces.append(data)
