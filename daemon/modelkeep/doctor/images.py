"""Compare what the catalogue says of images with the files that are there. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.values import ImageRow

HIGH = QUALITIES[0]


@dataclass(frozen=True, slots=True)
class Shelves:
    """The files of the image folder by their base names; empty files count as none.

    `others` are entries of the folder that are no regular files and not the product's own folders.
    """

    published: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    originals: frozenset[str] = frozenset()
    staged: frozenset[str] = frozenset()
    put_aside: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ImageDefects:
    """Where rows and files do not agree.

    `lacking` maps each image that is not whole to the qualities whose files are gone or empty. `strays` are files
    among the published ones that no row names, `lost` originals that a row of the queue names and that are gone,
    `unclaimed` originals that nothing names.
    """

    lacking: Mapping[ImageRow, frozenset[str]] = field(default_factory=dict)
    strays: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    unclaimed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.lacking or self.strays or self.lost or self.unclaimed)

    def and_still(self, later: "ImageDefects") -> "ImageDefects":
        """Return the defects that a later look found too: the others were work in motion."""
        lacking = {row: lacks & later.lacking.get(row, frozenset()) for row, lacks in self.lacking.items()}
        return ImageDefects(
            {row: lacks for row, lacks in lacking.items() if lacks},
            self.strays & later.strays,
            self.lost & later.lost,
            self.unclaimed & later.unclaimed,
        )

    def without_young(self, young: Collection[str]) -> "ImageDefects":
        """Return the defects without originals that were put there a moment ago: their rows may be on their way."""
        return ImageDefects(self.lacking, self.strays, self.lost, self.unclaimed.difference(young))

    @property
    def renderable(self) -> Mapping[ImageRow, frozenset[str]]:
        """The images that can be made whole: their high tier is there."""
        return {row: lacks for row, lacks in self.lacking.items() if HIGH not in lacks}

    @property
    def unrecoverable(self) -> Mapping[ImageRow, frozenset[str]]:
        """The images that cannot."""
        return {row: lacks for row, lacks in self.lacking.items() if HIGH in lacks}


def compare(
    rows: Iterable[ImageRow],
    shelves: Shelves,
    queued_originals: Collection[str],
    kept_originals: Collection[str],
    planned: Mapping[str, str],
) -> ImageDefects:
    """Return where rows and files do not agree.

    Args:
        rows: the images that the catalogue knows.
        shelves: the files that are there.
        queued_originals: base names of the originals that rows of the queue name: they have to be there.
        kept_originals: further ones that may be there.
        planned: staged name by published name of what committed migrations publish; a staged one is not lacking.
    """
    whole = shelves.published - shelves.empty
    named: set[str] = set()
    lacking: dict[ImageRow, frozenset[str]] = {}
    for row in rows:
        names = {quality: image_name(row.sha256, row.seq, quality) for quality in QUALITIES}
        named.update(names.values())
        lacks = {
            quality
            for quality, name in names.items()
            if name not in whole and planned.get(name) not in shelves.staged
        }
        if lacks:
            lacking[row] = frozenset(lacks)
    return ImageDefects(
        lacking,
        shelves.published - named,
        frozenset(queued_originals) - shelves.originals,
        shelves.originals.difference(queued_originals, kept_originals),
    )


def spread(rows: Iterable[ImageRow], most: int) -> list[ImageRow]:
    """Return at most so many of the rows, evenly spread over all of them."""
    every = list(rows)
    return [every[index * len(every) // most] for index in range(most)] if len(every) > most else every
