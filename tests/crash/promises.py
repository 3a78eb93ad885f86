"""What has to be so after a power cut at any call of a film. Each returns what is broken, as sentences."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from tests.crash.end_state import QUALITIES, database_faults
from tests.crash.exchange_lives import THEIRS, Exports
from tests.crash.film import Film, kill, power_cut
from tests.crash.job import PHASES, Job
from tests.crash.journal_story import read_story
from tests.crash.living import acknowledged
from tests.crash.owner_scene import State, state_of
from tests.libraries import sha256_of

from modelkeep.disk.exported import ExportedFiles
from modelkeep.exporters.exporting import CHANGED
from modelkeep.images.store import LOST_AND_FOUND


def broken_by_life(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge a life: what lies on the disk after the cut, and what a recovery makes of it."""
    faults = _broken_on_disk(film, number, muted)
    return faults + film.scene.faults_of_recovery(film.end(number, power_cut, muted))


def broken_by_orphans(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `orphans`: the original without a row may be all that is left."""
    images = Path(film.end(number, power_cut, muted).data_dir) / "images"
    kept = {path.name for folder in ("pending", "lost+found") for path in (images / folder).glob("*")}
    return [] if "orphan.png" in kept else ["the original is gone"]


def broken_by_journal(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `journal`, which acknowledges the number of the last record that is durable."""
    job = film.end(number, power_cut, muted)
    durable = max((int(word) for word in acknowledged(job)), default=0)
    kept = {record["seq"] for record in _records(Path(job.data_dir) / "deep" / "journal")}
    lacking = set(range(1, durable + 1)) - kept
    return [f"records are gone: {sorted(lacking)}"] if lacking else []


def broken_by_images(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `images`, which acknowledges what it has done with one."""
    job = film.end(number, power_cut, muted)
    images, spoken = Path(job.data_dir) / "images", acknowledged(job)
    wanted = [[images / "pending" / "1.png"]] if "kept" in spoken else []
    for quality in QUALITIES:
        published, staged = images / f"{quality}.webp", images / ".staging" / f"tier_{quality}.webp"
        if "published" in spoken:
            wanted.append([published])
        elif "rendered" in spoken:  # the plan that follows relies on it
            wanted.append([published, staged])
    return [f"{paths[0].name} is not there, or empty" for paths in wanted if not any(map(_has_content, paths))]


def broken_by_exports(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `exports`: a file is as before or whole, then known for ours; there once it is said."""
    job = film.end(number, power_cut, muted)
    ends, exports = Exports(Path(_end_of(film).data_dir)), Exports(Path(job.data_dir))
    noted, spoken, faults = ExportedFiles(exports.noted), acknowledged(job), []
    for name, path in exports.files.items():
        data = path.read_bytes() if path.exists() else None
        is_new = data == ends.files[name].read_bytes()
        if not is_new and (name in spoken or data != (THEIRS if name == CHANGED else None)):
            faults.append(f"{path.name} is not there, or in part")
        elif is_new and path != exports.archive and not noted.holds(sha256_of(path)):
            faults.append(f"{path.name} is not known for ours")
    return faults


@cache
def _end_of(film: Film) -> Job:
    return film.end(len(film.calls), kill)


def broken_by_image_of_orphan(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `image of an orphan`: the file may have gone from where the other tool had it."""
    job = film.end(number, power_cut, muted)
    kept = _rows(Path(job.data_dir) / "modelkeep.db", "SELECT kept FROM record_images WHERE kept != ''")
    lost = [name for (name,) in kept if not _has_content(Path(job.data_dir) / "images" / "pending" / name)]
    if acknowledged(job) and not kept:
        return ["it was kept and is not any more"]
    return [f"{name} is not there, or empty" for name in lost]


def broken_by_backup(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `backup`, which acknowledges the name of the copy that it has made."""
    job = film.end(number, power_cut, muted)
    data_dir = Path(job.data_dir)
    for name in acknowledged(job):
        if not (data_dir / name).is_file():
            return [f"the copy {name} is not there"]
        if _rows(data_dir / name, "SELECT * FROM models") != _rows(data_dir / "modelkeep.db", "SELECT * FROM models"):
            return [f"the copy {name} holds something else"]
    return list(database_faults(data_dir))


def broken_by_catalogue(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `catalogue`, which acknowledges that there is one."""
    job = film.end(number, power_cut, muted)
    is_there = (Path(job.data_dir) / "modelkeep.db").exists()
    return ["the catalogue is gone"] if acknowledged(job) and not is_there else []


def broken_by_init(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge the program `init`: the configuration is there as a whole or, until it is acknowledged, not at all."""
    job = film.end(number, power_cut, muted)
    config = Path(job.data_dir) / "deep" / "modelkeep.toml"
    if not config.exists():
        return ["the configuration is gone"] if acknowledged(job) else []
    is_whole = config.read_bytes() == (Path(film.job.data_dir) / "deep" / "modelkeep.toml").read_bytes()
    return [] if is_whole else ["the configuration is there in part"]


STRAY = f"{'0' * 64}_0_low.webp"
"""An image that no row names."""


def broken_by_repair_of_a_stray(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge a repair that puts an image aside."""
    job = film.end(number, power_cut, muted)
    images = Path(job.data_dir) / "images"
    aside = images / "lost+found" / STRAY
    if not acknowledged(job):
        return [] if _has_content(images / STRAY) or _has_content(aside) else ["the stray image is gone"]
    return [*_untold_repair(job), *([] if _has_content(aside) else ["the stray image is not put aside"])]


def broken_by_repair_of_a_tier(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge a repair that makes a tier anew."""
    job = film.end(number, power_cut, muted)
    if not acknowledged(job):
        return []
    (row,) = _rows(Path(job.data_dir) / "modelkeep.db", "SELECT min(sha256 || '_' || seq) FROM images")
    tier = Path(job.data_dir) / "images" / f"{row[0]}_low.webp"
    return [*_untold_repair(job), *([] if _has_content(tier) else ["the tier is not made anew"])]


def _untold_repair(job: Job) -> Iterator[str]:
    data_dir = Path(job.data_dir)
    yield from database_faults(data_dir)
    if "doctor.repaired" not in {record["event"] for record in _records(data_dir / "journal")}:
        yield "the journal does not tell of the repair"


def broken_by_act(film: Film, number: int, muted: Collection[str] = ()) -> list[str]:
    """Judge what the owner does by hand: a recovery finds all of it or nothing, and all once it is acknowledged."""
    job = film.end(number, power_cut, muted)
    is_done = "done" in acknowledged(job)
    faults = [*_unplanned(Path(job.data_dir)), *database_faults(Path(job.data_dir))]
    before, after = _ends_of_act(film)
    state = _state_after_recovery(film, job)
    if is_done and state == before:
        faults.append("it was done and is not any more")
    elif state not in (before, after):
        faults.append("half of it is done")
    return faults


@cache
def _ends_of_act(film: Film) -> list[State]:
    return [_state_after_recovery(film, film.end(number, kill)) for number in (0, len(film.calls))]


def _state_after_recovery(film: Film, job: Job) -> State:
    film.scene.live_well(job.but(program="nothing", inline=True))
    state = state_of(Path(job.data_dir))
    # Images of rows that there never were are put aside for the owner.
    files = {name: digest for name, digest in state["files"].items() if not name.startswith(f"{LOST_AND_FOUND}/")}
    return state | {"files": files}


def _broken_on_disk(film: Film, number: int, muted: Collection[str]) -> list[str]:
    job = film.end(number, power_cut, muted)
    data_dir = Path(job.data_dir)
    faults = list(_unplanned(data_dir))
    if number in film.acknowledgements:
        faults += _broken_at_once(job, film.end(number, kill))
    return faults


def _unplanned(data_dir: Path) -> Iterator[str]:
    committed = {row[0] for row in _rows(data_dir / "modelkeep.db", "SELECT id FROM migrations")}
    unplanned = committed - read_story(data_dir / "journal").planned
    if unplanned:
        yield f"migrations are committed whose plans are gone: {sorted(unplanned)}"


def _broken_at_once(job: Job, killed: Job) -> Iterator[str]:
    """Yield what is not on the disk in the moment in which a phase is acknowledged."""
    data_dir, phase = Path(job.data_dir), acknowledged(job)[-1]
    if phase in PHASES[1:]:
        images = _rows(data_dir / "modelkeep.db", "SELECT sha256 || '_' || seq FROM images")
        names = [f"{name}_{quality}.webp" for (name,) in images for quality in QUALITIES]
        yield from (f"{name} is not under its name" for name in names if not (data_dir / "images" / name).is_file())
    if phase == PHASES[-1] and _journal(data_dir) != _journal(Path(killed.data_dir)):
        yield "the end of the journal is gone"


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _rows(database: Path, query: str) -> list[tuple[str, ...]]:
    """Ask a catalogue that a crash left, which changes its files; none where its tables are not made yet."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        is_made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'models'").fetchone()
        return connection.execute(query).fetchall() if is_made else []


def _records(folder: Path) -> Iterator[dict[str, object]]:
    for segment in sorted(folder.glob("migration-*.jsonl")):
        yield from (json.loads(line) for line in segment.read_bytes().split(b"\n")[:-1])


def _journal(data_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data_dir / "journal").glob("*")}
