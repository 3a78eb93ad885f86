"""Stage 1 again: a row that no `--map` is given for stays where an earlier run put it, if it means the same file."""

from collections.abc import Iterable
from itertools import takewhile

Prefixes = tuple[str, str]
"""What the old and the new path begin with, before what they have in common."""


def stays(now: tuple[str, str], digest: str, path: str, maps: Iterable[Prefixes]) -> bool:
    """Return whether a row that no `--map` was given for now stays at the path that an earlier run gave it.

    Args:
        now: the digest of what the source says now, and the path in it.
        digest: of what the source said then.
        path: where the row was put then.
        maps: the prefixes that earlier runs rewrote, as far as unchanged rows show them.
    """
    if digest == now[0]:
        return True
    # Something changed: only when the path in the source did, the earlier place says nothing any more.
    known = set(maps)
    old, new = prefixes(now[1], path)
    return (old, new) in known if known else now[1].rsplit("/", 1)[-1] == path.rsplit("/", 1)[-1]


def prefixes(old: str, new: str) -> Prefixes:
    """Return two paths without the parts at their ends that they have in common."""
    parts, other = old.split("/"), new.split("/")
    common = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reversed(parts), reversed(other), strict=False))
    )
    return "/".join(parts[: len(parts) - common]), "/".join(other[: len(other) - common])
