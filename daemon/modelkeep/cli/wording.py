"""Numbers, times and foreign text in the words of the terminal. Pure: the current time is an argument."""

import re
from datetime import UTC, datetime

_UNPRINTABLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: they could move the cursor or hide text
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"  # line separators and changes of direction
    "\ud800-\udfff"  # halves of characters: bytes of a name that are not UTF-8
    "]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_SINCE = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>[smhdw])")
_SPANS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def clean(text: object) -> str:
    r"""Return a text in which everything that a terminal would obey stands as an escape (`\x1b`)."""
    return _UNPRINTABLE.sub(_escape, str(text))


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of a text, on one line, with an ellipsis where it was cut."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def called(name: str, path: str) -> str:
    """Return what tells a model or a row from others: its name, or its file's if that is blank."""
    return name if name.strip() else path.rsplit("/", 1)[-1]


def size(size_bytes: float) -> str:
    """Return a number of bytes in decimal units, as disks are sold and as file managers show it."""
    if size_bytes < 1000:
        return f"{int(size_bytes)} B"
    value = float(size_bytes)
    for unit in _UNITS:
        value /= 1000
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """Return a time span with its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit: `3 min ago`, `just now`; `in 2 h` if it is to come."""
    span = abs(seconds)
    if span < 1:
        return "just now"
    name, length = next(((name, length) for name, length in _SPANS if span >= length), _SPANS[-1])
    text = f"{int(span // length):,} {name}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 model`, `1,204 models`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def local_time(milliseconds: int) -> str:
    """Return a time of the catalogue in local time, or an empty text where there is none."""
    if milliseconds <= 0:
        return ""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # an old database may hold any number
        return str(milliseconds)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(milliseconds: int, now_ms: int) -> str:
    """Return a time of the catalogue with how long ago it was, or an empty text where there is none."""
    text = local_time(milliseconds)
    return f"{text} ({ago((now_ms - milliseconds) / 1000)})" if text else ""


def since(text: str, now: datetime) -> int | None:
    """Return the time in ms that `2h`, `3d`, `2026-11-20` or an ISO 8601 time means, None when it means none.

    Args:
        text: what was asked for; a time without a zone is local.
        now: the current time, with its zone.
    """
    match = _SINCE.fullmatch(text.strip().lower())
    if match:
        span = float(match["amount"]) * _SECONDS[match["unit"]]
        return max(0, round((now.timestamp() - span) * 1000))
    try:
        return max(0, round(datetime.fromisoformat(text.strip()).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        return None


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: the byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
