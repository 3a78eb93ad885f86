"""Each sync of the program is made to do nothing: something acknowledged has to be lost then, or it is of no use."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.film import Film, place_of
from tests.crash.films import PROGRAMMES
from tests.crash.living import Scene
from tests.crash.system_calls import require_strace

import modelkeep

PACKAGE = Path(modelkeep.__file__).parent
SQLITE = ""
"""Stands for all syncs that SQLite asks for: what `synchronous=FULL` turns on."""


@pytest.fixture(scope="module")
def films(first: Scene) -> dict[str, Film]:
    require_strace()
    return {name: programme.make(first) for name, programme in PROGRAMMES.items()}


def notices(name: str, film: Film, place: str) -> bool:
    """Tell whether a power cut shows that a place has stopped to sync."""
    judge = PROGRAMMES[name].judge
    syncs = [number for number, call in enumerate(film.calls) if call.is_sync and not call.path.endswith("-shm")]
    muted = [number for number in syncs if place_of(film.calls[number]) == place]
    # What is lost shows when somebody relies on it: at an acknowledgement, or when what was to come later is durable.
    telling = [*film.acknowledgements, *(number + 1 for number in syncs)]
    return any(judge(film, number, {place}) for number in telling if muted and number > muted[0])


def test_nothing_is_lost_while_every_place_syncs(films: dict[str, Film]) -> None:
    lost = {
        (name, n): PROGRAMMES[name].judge(film, n, ()) for name, film in films.items() for n in film.acknowledgements
    }
    assert not {where: faults for where, faults in lost.items() if faults}


def test_every_place_that_stops_to_sync_is_noticed(films: dict[str, Film]) -> None:
    places = {SQLITE, *(place for film in films.values() for place in film.places)}
    unnoticed = [place for place in sorted(places) if not any(notices(*item, place) for item in films.items())]
    assert not unnoticed, "these syncs may be left out, and nobody notices"


def test_no_place_that_syncs_is_left_out(films: dict[str, Film]) -> None:
    seen = {place.partition(" < ")[0] for film in films.values() for place in film.places}
    assert set(_places_in_source()) == seen


def _places_in_source() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "cli"):
            continue  # `init` writes a configuration; it keeps nothing
        for function in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _syncs(function):
                yield f"{path.relative_to(PACKAGE)}:{function.name}"


def _syncs(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("fsync", "fdatasync", "sync_file_range")
        for node in ast.walk(function)
    )
