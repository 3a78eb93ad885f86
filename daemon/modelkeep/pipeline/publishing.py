"""Give committed pictures their names, and close what committed them in the journal.

What cannot be done now (a full disk, an I/O error) is kept and tried again: with the next batch, by the housekeeping,
or by the next start. The order of the commits is kept for each model: a later picture may have an earlier one's name.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelkeep.domain.values import TierFile

_log = logging.getLogger(__name__)

Record = tuple[str, Mapping[str, object]]


class PublishesPictures(Protocol):
    """What is needed of the picture store."""

    def publish(self, files: Sequence[TierFile]) -> None:
        """Give staged files their names."""

    def remove_published(self, names: Sequence[str]) -> None:
        """Remove published pictures; gone already is fine."""

    def sync(self) -> None:
        """Make the published names durable."""

    def remove_pending(self, name: str) -> None:
        """Remove a pending picture."""


class NotesRecords(Protocol):
    """What is needed of the journal."""

    def note_many(self, records: Sequence[Record]) -> bool:
        """Append records now, or later when that is not possible; tells whether they are written."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A migration, or an act of the owner, whose transaction is committed, and what is left to do for it.

    Args:
        migration: its id.
        sha256: its model.
        files: staged pictures to publish.
        removed: published pictures to remove after that.
        originals: pending pictures to remove.
        ending: records that close it in the journal.
    """

    migration: str
    sha256: str
    files: Sequence[TierFile] = ()
    removed: Sequence[str] = ()
    originals: Sequence[str] = ()
    ending: Sequence[Record] = ()


class Publisher:
    """Brings to its end what is committed; may be used from any thread."""

    def __init__(self, pictures: PublishesPictures, journal: NotesRecords) -> None:
        self._pictures = pictures
        self._journal = journal
        self._unpublished: list[Committed] = []
        self._finished: list[str] = []
        self._publishing = threading.Lock()
        self._counting = threading.Lock()

    def add(self, committed: Sequence[Committed]) -> None:
        """Take on what has been committed; `publish` does what is left for it."""
        with self._publishing:
            self._unpublished += committed

    def publish(self) -> None:
        """Publish all that is committed, remove its originals and close it; retries what failed before.

        Raises:
            OSError: something is left to do.
        """
        with self._publishing:
            self._publish()

    def waits_for(self, sha256: str) -> bool:
        """Tell whether something is left to do for a model."""
        with self._publishing:
            return any(item.sha256 == sha256 for item in self._unpublished)

    def take_finished(self) -> list[str]:
        """Return the ids that the catalogue may drop with its next transaction, and forget them."""
        with self._counting:
            taken, self._finished = self._finished, []
            return taken

    def give_back(self, finished: Sequence[str]) -> None:
        """Take ids back that have not been dropped."""
        with self._counting:
            self._finished = [*finished, *self._finished]

    def _publish(self) -> None:
        stuck: set[str] = set()
        concluded = [item for item in self._unpublished if self._has_published(item, stuck)]
        if any(item.files or item.removed for item in concluded):
            self._pictures.sync()
        records: list[Record] = []
        for item in concluded:
            for name in item.originals:
                self._pictures.remove_pending(name)
            records += item.ending
        if not records or self._journal.note_many(records):
            # An id leaves the catalogue only when its end is in the journal; else the next start takes care of both.
            self.give_back([item.migration for item in concluded])
        self._unpublished = [item for item in self._unpublished if item not in concluded]

    def _has_published(self, item: Committed, stuck: set[str]) -> bool:
        """Publish the pictures of one commit; what cannot be published holds back that of its model alone."""
        if item.sha256 in stuck:
            return False
        try:
            self._pictures.publish(item.files)
            self._pictures.remove_published(item.removed)
        except OSError as error:
            _log.warning("the pictures of %s wait to be published: %s", item.sha256[:12], error)
            stuck.add(item.sha256)
            return False
        return True
