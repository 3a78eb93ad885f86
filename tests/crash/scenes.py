"""The scenes in which crashes happen."""

from pathlib import Path

from tests.crash.living import Nursery, Scene
from tests.crash.tiny_library import change_source, make_library, make_lying_library


def first_import(folder: Path, nursery: Nursery) -> Scene:
    """Return the scene of a first import, from nothing."""
    return Scene(folder / "lives", make_library(folder), nursery)


def short_journal(folder: Path, nursery: Nursery) -> Scene:
    """Return the same with a journal of which only two segments are kept."""
    return Scene(folder / "lives", make_library(folder), nursery, journal={"keep_segments": 2})


def one_segment(folder: Path, nursery: Nursery) -> Scene:
    """Return the same with a journal in one segment."""
    return Scene(folder / "lives", make_library(folder), nursery, journal={"segment_bytes": 1 << 26})


def false_claim(folder: Path, nursery: Nursery) -> Scene:
    """Return the scene of an import in which a file is not what the source says it is."""
    return Scene(folder / "lives", make_lying_library(folder), nursery)


def import_again(folder: Path, nursery: Nursery) -> Scene:
    """Return the scene of an import from a source that says something else of a row that waits."""
    before = first_import(folder / "before", nursery)
    imported = before.new_job()
    before.live_well(imported.but(until="imported"))
    changed = change_source(before.library)
    return Scene(folder / "lives", changed, nursery, prepared=Path(imported.data_dir))
