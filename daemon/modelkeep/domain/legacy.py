"""What an importer hands over: one value per row of a legacy source, whatever the source."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from modelkeep.domain.description import Description
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen
from modelkeep.domain.values import RenderedImage, TierFile


@frozen
class ImportOrder:
    """An import that is asked for.

    `source` and `images` are absolute paths, `images` may be empty; `path_map` rewrites beginnings of paths. A
    `dry_run` changes nothing; `again` also takes rows that the owner dropped since an earlier import.
    """

    kind: str
    source: str
    images: str = ""
    path_map: tuple[tuple[str, str], ...] = ()
    dry_run: bool = False
    again: bool = False


@frozen
class LegacyTag:
    """A tag as a legacy source knows it."""

    name: str
    color: str = ""
    created_at: int = 0


@frozen
class LegacyRow(Description):
    """One model as a legacy source knows it.

    `key` names the row in its source, `digest` changes when anything the source says of it changes, `path` is where
    the file lies on this machine (after `--map`), `claim` the hash that the source holds or empty, `image` the
    absolute path of its image or empty. `remarks` tell the owner what was odd about the row though it was taken.
    `is_mapped` tells that `--map` was given for its path, even if that rewrote nothing.
    """

    key: str
    digest: str
    path: str
    original_path: str
    size_bytes: int = 0
    claim: str = ""
    tags: tuple[LegacyTag, ...] = ()
    image: str = ""
    remarks: tuple[str, ...] = ()
    is_mapped: bool = False


@frozen
class Refusal:
    """A row that could not be taken, and why, in one sentence for the owner."""

    key: str
    path: str
    reason: str


class Taking(StrEnum):
    """What stage 1 did with a row."""

    MODEL = "model"
    """Its valid hash made it a model at once."""
    MERGED = "merged"
    """Its hash was in the catalogue and nothing was lost by merging."""
    PENDING = "pending"
    """It waits in the queue for its file to be hashed."""
    UPDATED = "updated"
    """It waited already; what the source says of it now replaced what it said before."""
    UNCHANGED = "unchanged"
    """It was taken by an earlier run."""


@frozen
class StagedRow:
    """A row with what was made ready for it.

    `rendered` are the tiers of its image (rows that become models), `copied` is the base name of the staged byte
    for byte copy (rows that will be pending), `on_disk` the file's fingerprint when it is there now, `number` that of
    the row in a file of prepared rows, 0 where there is none.
    """

    row: LegacyRow
    rendered: RenderedImage | None = None
    copied: str = ""
    on_disk: Fingerprint | None = None
    number: int = 0


@frozen
class TakenRow:
    """What the catalogue did with a row, not yet committed.

    `migration` and `files` are set when the row's image has to be published, `pending_image` is the base name under
    `images/pending/` to which the staged copy has to be renamed, `replaced_image` that of the one it replaces.
    """

    row: LegacyRow
    taking: Taking
    sha256: str = ""
    pending_id: int = 0
    migration: str = ""
    files: tuple[TierFile, ...] = ()
    pending_image: str = ""
    replaced_image: str = ""
    wants_rendering: bool = False
    """Its image becomes a model's image (asked by a dry run, before anything is staged)."""
    found: str = ""
    """The hash that the file at its path is known to have, when that is not the one it claims."""
    kept_as: Taking | None = None
    """What became of it under the hash that it claims, though its file has another one and it waits for that."""
    wants_copy: bool = False
    """Its image becomes a pending image."""

    @property
    def is_dropped(self) -> bool:
        """Whether an earlier run took it, and the owner dropped since what it became."""
        return self.taking is Taking.UNCHANGED and not self.sha256 and not self.pending_id


PlainRow = tuple[str, str, str, int]
"""A prepared row that met nothing known: its path, its key in the source, and the hash of its model, or empty and the
id of its row. Of a class of its own the collector would look at each of a million again and again."""


@frozen
class TakenRows:
    """What the catalogue did with the rows of a source, not yet committed.

    `rows` are those that were taken one by one. Of all others there are `plain` rows, so many of them `models` and
    all others waiting, and the number of those that an earlier run took as they are (`unchanged`), `dropped` ones
    among them.
    """

    rows: Sequence[TakenRow] = ()
    plain: Collection[PlainRow] = ()
    models: int = 0
    unchanged: int = 0
    dropped: int = 0


@frozen
class Survey:
    """What the catalogue knows of prepared rows before they are taken.

    `rows` are those that need to be taken one by one, each where it should be in view of earlier runs, by their
    numbers; `plain` the numbers and paths of those that meet nothing known, `unchanged` the paths of the rows that
    were taken as they are, where an earlier run put them. Both may be read anew whenever they are gone through.
    """

    rows: Mapping[int, LegacyRow] = field(default_factory=dict)
    plain: Collection[tuple[int, str]] = ()
    unchanged: Collection[str] = ()
