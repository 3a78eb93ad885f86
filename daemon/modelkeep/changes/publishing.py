"""Give committed images their names, and close what committed them in the journal.

What cannot be done now (a full disk, an I/O error) is kept and tried again: with the next batch, by the housekeeping,
or by the next start. The order of the commits is kept for each model: a later image may have an earlier one's name.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelkeep.base.troubles import Troubles
from modelkeep.changes.ports import Images, Records
from modelkeep.domain.faults import explained
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import TierFile

_log = logging.getLogger(__name__)

IMAGES = "images"
"""The part that is reported while committed images wait."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """What is not closed yet. Its images are published once: a later commit may have their names by now."""

    item: Committed
    is_published: bool = False


class Publisher:
    """Brings to its end what is committed; may be used from any thread.

    Args:
        images: the files.
        journal: records each end.
        troubles: holds a report while something waits because of the disk.
    """

    def __init__(self, images: Images, journal: Records, troubles: Troubles | None = None) -> None:
        self._images = images
        self._journal = journal
        self._troubles = troubles
        self._waiting: list[_Waiting] = []
        # One text: hundreds of small ones, kept until the next change, would hold scattered memory.
        self._finished = ""
        self._publishing = threading.Lock()
        self._counting = threading.Lock()

    def add(self, committed: Sequence[Committed]) -> None:
        """Take on what has been committed; `publish` does what is left for it."""
        with self._publishing:
            self._waiting += [_Waiting(item) for item in committed]

    def publish(self, *, gives_up_lost: bool = False) -> None:
        """Publish all that is committed, remove its originals and close it; retries what failed before.

        What cannot be done now is kept, and told as a trouble until it is done.

        Args:
            gives_up_lost: close also those of whose images some are gone, and say so in the journal.
        """
        with self._publishing:
            if self._waiting:
                self._tell(self._publish(gives_up_lost=gives_up_lost))

    @property
    def left(self) -> list[Committed]:
        """What is not done yet."""
        with self._publishing:
            return [waiting.item for waiting in self._waiting]

    def waits_for(self, sha256: str) -> bool:
        """Return whether something is left to do for a model."""
        with self._publishing:
            return any(waiting.item.sha256 == sha256 for waiting in self._waiting)

    def pop_finished(self) -> list[str]:
        """Return the ids that the catalogue may drop with its next transaction, and forget them."""
        with self._counting:
            taken, self._finished = self._finished, ""
            return taken.split()

    def give_back(self, finished: Sequence[str]) -> None:
        """Take ids back that have not been dropped."""
        with self._counting:
            self._finished = " ".join([*finished, self._finished])

    def _publish(self, *, gives_up_lost: bool) -> dict[str, OSError]:
        """Do what can be done; returns by model why something is left."""
        stuck: dict[str, OSError] = {}
        published: list[_Waiting] = []
        for waiting in self._waiting:
            if gives_up_lost and waiting.item.sha256 not in stuck:
                self._give_up_lost(waiting)
            if self._has_published(waiting, stuck):
                published.append(waiting)
        try:
            if any(waiting.item.files or waiting.item.removed for waiting in published):
                self._images.sync()
        except OSError as error:
            return stuck | {waiting.item.sha256: error for waiting in published}
        concluded = [waiting for waiting in published if self._has_removed_originals(waiting.item, stuck)]
        records = [record for waiting in concluded for record in waiting.item.ending]
        if not records or self._journal.append_many(records):
            # An id leaves the catalogue only when its end is in the journal; else the next start takes care of both.
            self.give_back([waiting.item.migration for waiting in concluded])
        done = set(concluded)
        self._waiting = [waiting for waiting in self._waiting if waiting not in done]
        return stuck

    def _give_up_lost(self, waiting: _Waiting) -> None:
        """Leave out the images that are neither staged nor published, and have the journal say so."""
        lost = [file for file in waiting.item.files if self._is_lost(file)]
        if not lost:
            return
        kept = [file for file in waiting.item.files if file not in lost]
        reason = {"error": f"these images are gone: {', '.join(file.final for file in lost)}"}
        ending = [(event, {**fields, **reason}) for event, fields in waiting.item.ending[:1]]
        waiting.item = replace(waiting.item, files=kept, ending=[*ending, *waiting.item.ending[1:]])

    def _is_lost(self, file: TierFile) -> bool:
        try:
            self._images.publish([file])
        except FileNotFoundError:
            return True
        except OSError:
            return False  # it is met again when all of them are published
        return False

    def _has_published(self, waiting: _Waiting, stuck: dict[str, OSError]) -> bool:
        """Publish the images of one commit; what cannot be published holds back that of its model alone."""
        item = waiting.item
        if item.sha256 in stuck:
            return False
        try:
            if not waiting.is_published:
                self._images.publish(item.files)
                self._images.remove_published(item.removed)
                waiting.is_published = True
        except OSError as error:
            stuck[item.sha256] = error
            return False
        return True

    def _has_removed_originals(self, item: Committed, stuck: dict[str, OSError]) -> bool:
        if item.sha256 in stuck:
            return False
        try:
            for name in item.originals:
                self._images.remove_pending(name)
        except OSError as error:
            stuck[item.sha256] = error
            return False
        return True

    def _tell(self, stuck: Mapping[str, OSError]) -> None:
        for sha256, error in stuck.items():
            _log.warning("the images of %s wait to be published: %s", sha256[:12], error)
        if self._troubles is None:
            return
        passing = [error for error in stuck.values() if not isinstance(error, FileNotFoundError)]
        if passing:
            sentence = explained(passing[0], "images that are committed")
            self._troubles.report(IMAGES, f"{sentence}; they are tried again by themselves")
        elif stuck:
            lost = next(iter(stuck.values()))
            self._troubles.report(IMAGES, f"{lost.strerror or lost}; restart modelkeep, which closes that")
        else:
            self._troubles.clear(IMAGES)
