"""A listing in portions of a bounded size: a scan makes values of one of them at a time."""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain, pairwise
from operator import itemgetter

from modelkeep.disk.folder_listing import Packed
from modelkeep.disk.walk import Listing
from modelkeep.domain.fingerprint import Entry
from modelkeep.domain.naming import Span

_PATH = itemgetter(0)

_FIRST_WITHOUT_ORDER = "\ud800"
"""From here on the catalogue may spell characters in another way, which comes elsewhere in its order."""


def portions(listing: Listing, folder: str, most: int) -> Iterator[tuple[Span, set[Entry]]]:
    """Yield all files of a listing in spans of paths that follow each other.

    Args:
        listing: of a folder.
        folder: all of what lies below it is in one of the spans.
        most: how many files a portion has, beside the rest of a folder that it begins.
    """
    whole = Span.below(folder)
    cuts = _cuts(listing, whole, most)
    spans = [Span(*pair) for pair in pairwise([whole.after, *cuts, whole.before])]
    of_span: list[list[Packed]] = [[] for _ in spans]
    for packed in listing.packed:
        held = Span.below(packed.folder)
        for number in range(bisect_right(cuts, held.after), bisect_right(cuts, held.before) + 1):
            of_span[number].append(packed)
    single = sorted(listing.single, key=_PATH)
    for span, folders in zip(spans, of_span, strict=True):
        listed = chain.from_iterable(packed.entries() for packed in folders)
        own = single[bisect_right(single, span.after, key=_PATH) : bisect_left(single, span.before, key=_PATH)]
        yield span, {*own, *(entry for entry in listed if span.after < entry[0] < span.before)}


def _cuts(listing: Listing, whole: Span, most: int) -> list[str]:
    """Return where portions begin that are not the first one: before folders, in the order of their paths."""
    sizes = [(Span.below(packed.folder).after, len(packed)) for packed in listing.packed]
    sizes += [(os.path.join(os.path.dirname(entry[0]), ""), 1) for entry in listing.single]
    cuts: list[str] = []
    held = 0
    for after, count in sorted(sizes):
        is_next = after > (cuts[-1] if cuts else whole.after)
        if held and is_next and held + count > most and _keeps_order(after[len(whole.after) :]):
            cuts.append(after)
            held = 0
        held += count
    return cuts


def _keeps_order(text: str) -> bool:
    return all(character < _FIRST_WITHOUT_ORDER for character in text)
