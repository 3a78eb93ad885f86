"""Checks of the image folder: three files for each image, each original that a row names, and nothing else."""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from modelkeep.doctor.findings import Finding, counted, examples, fine, note, problem, warning
from modelkeep.doctor.images import HIGH, ImageDefects, Shelves, compare, spread
from modelkeep.doctor.knowledge import Knowledge
from modelkeep.doctor.premises import Premises
from modelkeep.doctor.webp import fault_of_tier
from modelkeep.domain.images import TIERS, Tier, image_name
from modelkeep.domain.values import ImageRow
from modelkeep.images.store import LOST_AND_FOUND
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX

SAMPLE_IMAGES = 200
YOUNG_SECONDS = 600.0
"""How long an import may take from placing originals to the commit of the rows that name them."""

_OWN_FOLDERS = frozenset({"pending", ".staging", LOST_AND_FOUND})
_FROM_BACKUP = "restore them from a backup of images/, or give those models a new image"
_CLEARED = "the next start of the daemon removes them, and so does `modelkeep doctor --repair`"
_MOVED = f"`modelkeep doctor --repair` moves them to images/{LOST_AND_FOUND}/; nothing is deleted"


def look(images: Path) -> Shelves:
    """Return what lies in the image folder.

    Raises:
        OSError: it cannot be read.
    """
    sizes, others = _files(images)
    return Shelves(
        published=frozenset(sizes),
        empty=frozenset(name for name, size_bytes in sizes.items() if not size_bytes),
        originals=frozenset(_files(images / "pending")[0]),
        staged=frozenset(_files(images / ".staging")[0]),
        put_aside=frozenset(_files(images / LOST_AND_FOUND)[0]),
        others=frozenset(others - _OWN_FOLDERS),
    )


def _files(folder: Path) -> tuple[dict[str, int], set[str]]:
    """Return the regular files of a folder with their sizes, and its other entries."""
    sizes, others = {}, set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone meanwhile
                    continue
                if stat.S_ISREG(status.st_mode):
                    sizes[entry.name] = status.st_size
                else:
                    others.add(entry.name)
    except FileNotFoundError:
        pass
    return sizes, others


def find_defects(
    premises: Premises, knowledge: Knowledge, know_again: Callable[[], Knowledge]
) -> tuple[ImageDefects, Shelves]:
    """Return where the catalogue and the image folder do not agree, and what lies there.

    Args:
        premises: tells whether somebody is at work: then only what two looks agree on counts.
        knowledge: what the catalogue holds.
        know_again: reads the catalogue once more.
    """
    images = premises.directory.images
    shelves = look(images)
    defects = _compared(knowledge, shelves)
    if not (defects and premises.is_at_work):
        return defects, shelves
    defects = defects.and_still(_compared(know_again(), look(images)))
    return defects.without_young(_young(images / "pending", defects.unclaimed)), shelves


def _compared(knowledge: Knowledge, shelves: Shelves) -> ImageDefects:
    queued = {row.image for row in knowledge.queue if row.image}
    # What a committed migration is still to remove is no leftover; what could not be used may be gone.
    kept = knowledge.refused | knowledge.planned_originals | knowledge.of_orphans
    defects = compare(knowledge.images, shelves, queued, kept, knowledge.planned)
    return replace(defects, strays=defects.strays - knowledge.planned_removals)


def _young(folder: Path, names: frozenset[str]) -> set[str]:
    now = time.time()
    young = set()
    for name in names:
        try:
            # A rename sets the time of the last change of status, so it tells when the file came here.
            age_seconds = now - (folder / name).lstat().st_ctime
        except FileNotFoundError:
            age_seconds = 0.0
        if age_seconds < YOUNG_SECONDS:
            young.add(name)
    return young


def check_images(
    premises: Premises, knowledge: Knowledge, defects: ImageDefects, shelves: Shelves
) -> Iterator[Finding]:
    """Tell of published images."""
    damaged = find_damaged(premises.directory.images, knowledge, defects)
    findings = [
        *_incomplete(defects),
        *_damaged(damaged),
        *_surplus(defects, shelves),
    ]
    yield from findings
    if not any(finding.is_wrong for finding in findings):
        looked = min(len(knowledge.images), SAMPLE_IMAGES)
        opened = f"; the headers of {looked:,} were read" if looked < len(knowledge.images) else ""
        yield fine("images", f"{counted(len(knowledge.images), 'image')}, three whole files each{opened}")


def find_damaged(images: Path, knowledge: Knowledge, defects: ImageDefects) -> Mapping[ImageRow, Mapping[str, str]]:
    """Return, of a sample of the images, those with files that are damaged: quality and what is wrong."""
    damaged: dict[ImageRow, dict[str, str]] = {}
    for row in {*spread(knowledge.images, SAMPLE_IMAGES), *defects.lacking}:
        lacks = defects.lacking.get(row, ())
        faults = {tier.quality: _fault(images, row, tier) for tier in TIERS if tier.quality not in lacks}
        if any(faults.values()):
            damaged[row] = {quality: fault for quality, fault in faults.items() if fault}
    return damaged


def _fault(images: Path, row: ImageRow, tier: Tier) -> str:
    try:
        return fault_of_tier(images / image_name(row.sha256, row.seq, tier.quality), row, tier)
    except FileNotFoundError:  # replaced or still staged at this moment
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _incomplete(defects: ImageDefects) -> Iterator[Finding]:
    for rows, remedy, repairable in (
        (defects.renderable, "`modelkeep doctor --repair` renders them again from the high tier", True),
        (defects.unrecoverable, _FROM_BACKUP, False),
    ):
        if rows:
            names = [f"{shown(row)} without {', '.join(sorted(lacks))}" for row, lacks in rows.items()]
            sentence = f"{counted(len(rows), 'image lacks', 'images lack')} files: {examples(names)}"
            yield problem("images", sentence, remedy, repairable=repairable)


def _damaged(damaged: Mapping[ImageRow, Mapping[str, str]]) -> Iterator[Finding]:
    for row, faults in damaged.items():
        sentence = "; ".join(f"the {quality} one of {shown(row)} {fault}" for quality, fault in faults.items())
        repairable = HIGH not in faults
        remedy = "`modelkeep doctor --repair` renders it again from the high tier" if repairable else _FROM_BACKUP
        yield problem("images", sentence, remedy, repairable=repairable)


def _surplus(defects: ImageDefects, shelves: Shelves) -> Iterator[Finding]:
    if defects.strays:
        sentence = f"{counted(len(defects.strays), 'file')} in images/ without an image in the catalogue"
        yield problem("images", f"{sentence}: {examples(sorted(defects.strays))}", _MOVED, repairable=True)
    if shelves.others:
        sentence = f"images/ contains what modelkeep did not put there: {examples(sorted(shelves.others))}"
        yield warning("images", sentence, "move it elsewhere")
    if shelves.put_aside:
        sentence = f"images/{LOST_AND_FOUND}/ contains {counted(len(shelves.put_aside), 'file')} of earlier repairs"
        yield note("images", sentence, "delete what you do not need")


def shown(row: ImageRow) -> str:
    """Return an image as the owner finds it in the folder."""
    return f"{row.sha256[:12]}…_{row.seq}"


def check_originals(knowledge: Knowledge, defects: ImageDefects) -> Iterator[Finding]:
    """Tell of the originals of rows in the queue."""
    if defects.lost:
        rows = {row.image: f"row {row.id} ({row.image})" for row in knowledge.queue}
        names = [rows.get(name, name) for name in sorted(defects.lost)]
        sentence = f"{counted(len(defects.lost), 'original image')} gone from images/pending/: {examples(names)}"
        yield problem(
            "originals", sentence, "restore them from a backup; without it the rows are migrated without an image"
        )
    if defects.unclaimed:
        sentence = f"{counted(len(defects.unclaimed), 'file')} in images/pending/ without a row in the catalogue"
        yield warning("originals", f"{sentence}: {examples(sorted(defects.unclaimed))}", _CLEARED, repairable=True)
    if knowledge.refused:
        sentence = f"{counted(len(knowledge.refused), 'original image')} could not be used; kept in images/pending/"
        yield note("originals", sentence, "`modelkeep models show MODEL` gives the reason")
    if not (defects.lost or defects.unclaimed):
        waiting = sum(1 for row in knowledge.queue if row.image)
        yield fine(
            "originals",
            f"{counted(waiting, 'row has', 'rows have')} one in images/pending/, and nothing else is there",
        )


def check_leftovers(premises: Premises) -> Iterator[Finding]:
    """Tell of what a stop left behind; what lies there while somebody is at work is work."""
    if premises.is_at_work:
        return
    staged = sorted(_files(premises.directory.images / ".staging")[0])
    copies = import_copies(premises.directory.path)
    if staged:
        left = counted(len(staged), "staged file was", "staged files were")
        sentence = f"{left} left by a stop: {examples(staged)}"
        yield warning("leftovers", sentence, _CLEARED, repairable=True)
    if copies:
        sentence = f"{counted(len(copies), 'copy', 'copies')} of a legacy database left by an import"
        names = examples([path.name for path in copies])
        yield warning("leftovers", f"{sentence}: {names}", _CLEARED, repairable=True)
    if not (staged or copies):
        yield fine("leftovers", "nothing was left by a stop")


def import_copies(folder: Path) -> list[Path]:
    """Return the private copies of legacy databases in the data folder."""
    return sorted(path for path in folder.glob(f"{SCRATCH_PREFIX}*") if path.is_dir() and not path.is_symlink())
