"""Repair what can be repaired without a risk: under the lock of the data folder, each repair in the journal.

Opening the data folder brings to an end what a stop cut short, as at every start of the daemon; here it is told.
Beyond that nothing is deleted: files that belong to nothing are put aside. A damaged catalogue is not touched, and
nothing is judged by it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from modelkeep.base.clock import now_ms
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.durable import free_path, make_folder, sync_folder
from modelkeep.doctor.database import is_there
from modelkeep.doctor.examination import catalogue_faults, know
from modelkeep.doctor.findings import Finding, counted, examples
from modelkeep.doctor.image_folder import find_damaged, find_defects, import_copies, look, shown
from modelkeep.doctor.images import HIGH, ImageDefects
from modelkeep.doctor.knowledge import Knowledge
from modelkeep.doctor.premises import Premises, take_premises
from modelkeep.doctor.queue import find_queue_defects
from modelkeep.doctor.records import last_seq
from modelkeep.doctor.surroundings import user_name
from modelkeep.domain.acts import ActKind
from modelkeep.domain.images import image_name, parse_image_name
from modelkeep.domain.tag_acts import TagActKind
from modelkeep.domain.values import ImageRow, LocationState, TierFile
from modelkeep.errors import CatalogueError, ImageError, SettingsError
from modelkeep.images.store import LOST_AND_FOUND
from modelkeep.journal.query import Query
from modelkeep.journal.reader import read
from modelkeep.service.holdings import Holdings, identity, open_holdings
from modelkeep.settings.model import Settings

REPAIRED = "doctor.repaired"
PURPOSE = "modelkeep doctor --repair"

_ROWS_AT_ONCE = 500


_ORIGINALS = ("original image", "original images")
_ACTS: Mapping[object, str] = {
    ActKind.IMAGE_REMOVED: "the removal of an image",
    ActKind.IMAGE_UPLOADED: "the upload of an image",
    ActKind.PURGED: "the purge",
    ActKind.EDITED: "an edit",
    ActKind.INHERITED: "the taking over from a model of the same tensors",
    TagActKind.ADDED: "the addition",
    TagActKind.CHANGED: "a change",
    TagActKind.REMOVED: "the removal",
}
_COPIES = ("copy of a legacy database", "copies of legacy databases")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What may be left in the data folder after a stop, by base names."""

    staged: frozenset[str]
    originals: frozenset[str]
    copies: frozenset[str]


def find_leftovers(directory: DataDirectory) -> Leftovers:
    """Return what lies where leftovers may lie."""
    shelves = look(directory.images)
    return Leftovers(
        shelves.staged, shelves.originals, frozenset(path.name for path in import_copies(directory.path))
    )


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was repaired, and what could not be, each in a sentence."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the shape in which programs get it."""
        return {"repaired": list(self.done), "not_repaired": list(self.failed)}


async def repair(settings: Settings) -> RepairReport:
    """Repair what can be repaired without a risk.

    Raises:
        DataDirectoryBusy: the daemon runs, or a command is at work.
        CatalogueError: the catalogue is damaged or gone: then nothing else may be judged by it.
        SettingsError: the data folder belongs to another user.
        JournalError: the journal cannot be written: then nothing may be changed.
    """
    _require_owner(settings.data_dir)
    premises = take_premises(settings)
    if not premises.is_at_work:  # else opening says who is
        _require_reliable(catalogue_faults(premises))
        if not is_there(premises):
            return RepairReport()
    seq, leftovers = last_seq(premises.directory.journal), find_leftovers(premises.directory)
    async with open_holdings(settings, PURPOSE) as holdings:
        holdings.journal.write("daemon.started", **identity(), reason=PURPOSE)
        work = _Repair(holdings, replace(premises, holder=PURPOSE, now_ms=now_ms()))
        work.tell_recovery(seq, leftovers)
        try:
            await work.repair_all()
        finally:
            holdings.journal.write("daemon.stopped", **identity(), reason="the command is done")
    return RepairReport(tuple(work.done), tuple(work.failed))


def _require_owner(folder: Path) -> None:
    owner = folder.stat().st_uid if folder.is_dir() else os.geteuid()
    if owner != os.geteuid():
        name = user_name(owner)
        raise SettingsError(
            f"{folder} belongs to {name}, and what another user repairs there the daemon could not write any more:"
            f" sudo -u {name} modelkeep doctor --repair"
        )


def _require_reliable(faults: Sequence[Finding]) -> None:
    if faults:
        told = "; ".join(fault.sentence for fault in faults)
        raise CatalogueError(
            f"nothing was repaired, because the catalogue is not reliable: {told}. {faults[0].remedy}"
        )


@dataclass
class _Repair:
    """One run: what it works on, and what it has done."""

    holdings: Holdings
    premises: Premises
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def tell_recovery(self, after_seq: int, before: Leftovers) -> None:
        """Tell what opening the data folder has brought to an end already, as the daemon does at each start.

        Args:
            after_seq: number of the journal's last record before that.
            before: what lay there before that.
        """
        for record in read(self.holdings.directory.journal, Query(after=after_seq)):
            sentence = _recovery_sentence(record)
            if sentence:
                self.done.append(sentence)
        left = find_leftovers(self.holdings.directory)
        for files, (noun, nouns), what in (
            (before.staged - left.staged, ("staged file", "staged files"), "staged files were published or deleted"),
            (before.originals - left.originals, _ORIGINALS, "originals that nothing names were deleted"),
            (before.copies - left.copies, _COPIES, "copies of legacy databases that an import had left were deleted"),
        ):
            if files:
                sentence = f"removed {counted(len(files), noun, nouns)}: {examples(sorted(files))}"
                self._note(sentence, what=what, files=sorted(files))

    async def repair_all(self) -> None:
        """Repair what is left."""
        knowledge = know(self.premises)
        defects, _ = find_defects(self._still, knowledge, lambda: knowledge)
        await self._render(knowledge, defects)
        self._put_strays_aside(defects)
        await self._let_wait(knowledge)
        await self._choose_paths(knowledge)

    @property
    def _still(self) -> Premises:
        """The premises of a folder in which nothing moves: it is ours alone."""
        return replace(self.premises, holder="")

    async def _render(self, knowledge: Knowledge, defects: ImageDefects) -> None:
        """Make medium and low tiers anew from high ones."""
        damaged = find_damaged(self.holdings.directory.images, knowledge, defects)
        for row in sorted({*defects.lacking, *damaged}, key=lambda row: (row.sha256, row.seq)):
            unusable = {*defects.lacking.get(row, ()), *damaged.get(row, ())}
            if HIGH not in unusable:
                await self._render_one(row, sorted(unusable))

    async def _render_one(self, row: ImageRow, qualities: list[str]) -> None:
        images, what = self.holdings.images, f"the {' and '.join(qualities)} tier of image {shown(row)}"
        try:
            rendered = await images.render(images.published_path(row.sha256, row.seq, HIGH), uuid4().hex)
        except ImageError as error:
            self.failed.append(f"{what} could not be rendered again: {error}")
            return
        files = [TierFile(rendered.staged[each], image_name(row.sha256, row.seq, each)) for each in qualities]
        images.publish(files)
        images.sync()
        images.discard(name for each, name in rendered.staged.items() if each not in qualities)
        finals = [file.final for file in files]
        self._note(
            f"rendered {what} again", what="tiers rendered again from the high one", sha256=row.sha256, files=finals
        )

    def _put_strays_aside(self, defects: ImageDefects) -> None:
        images = self.holdings.directory.images
        for name in sorted(defects.strays):
            parsed = parse_image_name(name)
            about = {"sha256": parsed[0]} if parsed else {}
            self._put_aside(images / name, "an image that belongs to no model was moved to lost+found", about)

    def _put_aside(self, path: Path, what: str, about: Mapping[str, object]) -> None:
        folder = path.parent / LOST_AND_FOUND
        make_folder(folder)
        target = free_path(folder, path.name)
        path.rename(target)
        sync_folder(folder)
        sync_folder(path.parent)
        to = f"{LOST_AND_FOUND}/{target.name}"
        self._note(f"moved images/{path.name} to images/{to}", what=what, file=path.name, to=to, **about)

    async def _let_wait(self, knowledge: Knowledge) -> None:
        """Have rows that nobody would take up hashed as new ones are."""
        stuck = find_queue_defects(self.premises, knowledge).stuck
        for start in range(0, len(stuck), _ROWS_AT_ONCE):
            chunk = stuck[start : start + _ROWS_AT_ONCE]
            await self.holdings.catalogue.wait_again(self.premises.now_ms, [row.id for row in chunk])
            for row in chunk:
                self._note(
                    f"put row {row.id} ({row.path}) back in the queue",
                    what="a stuck row was put back in the queue",
                    path=row.path,
                    pending_id=row.id,
                    was={"state": row.state, "due_at": row.due_at},
                )

    async def _choose_paths(self, knowledge: Knowledge) -> None:
        """Have main paths chosen again from the locations."""
        if knowledge.unreadable:  # a model that cannot be read cannot be written
            return
        for model in knowledge.misplaced:
            details = await self.holdings.catalogue.model(model.sha256)
            present = [
                location
                for location in (details.locations if details else ())
                if location.state is LocationState.PRESENT
            ]
            # Writing a location as it is has its model's main path chosen anew, and changes nothing else.
            await self.holdings.catalogue.put_locations(present[:1], self.premises.now_ms)
            chosen = await self.holdings.catalogue.model(model.sha256)
            path = chosen.model.path if chosen else ""
            what = "the main path was set to one of its files"
            self._note(
                f"set the main path of {model} to {path}", what=what, sha256=model.sha256, path=path, was=model.path
            )

    def _note(self, sentence: str, **fields: object) -> None:
        self.holdings.journal.write(REPAIRED, **fields)
        self.done.append(sentence)


def _recovery_sentence(record: Mapping[str, object]) -> str:
    names = record.get("names")
    path = record.get("path") or (f"tags {', '.join(names)}" if isinstance(names, list) else "")
    match record["event"]:
        case "journal.repaired":
            return f"removed {record.get('bytes_cut')} bytes of an incomplete record from the end of the journal"
        case "recovery.rolled_forward" if record.get("action") in _ACTS:
            return f"completed {_ACTS[record['action']]} of {path}"
        case "recovery.rolled_back" if record.get("action") in _ACTS:
            return f"undid {_ACTS[record['action']]} of {path}"
        case "recovery.rolled_forward" if path:  # without: it had come to its end, and lost its images since
            lost = f" ({record['error']})" if record.get("error") else ""
            return f"completed the migration of {path}{lost}"
        case "recovery.rolled_back":
            return f"undid the migration of {path}; its row is in the queue"
        case _:
            return ""
