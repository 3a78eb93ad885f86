"""Each sync of the program is made to do nothing: something acknowledged has to be lost then, or it is of no use."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.film import Film, place_of
from tests.crash.films import PROGRAMMES, Filmed
from tests.crash.system_calls import require_strace

import modelkeep

PACKAGE = Path(modelkeep.__file__).parent
SQLITE = ""
"""Stands for all syncs that SQLite asks for: what `synchronous=FULL` turns on."""

SYNCING = frozenset(
    {"fsync", "fdatasync", "sync_file_range", "sync_folder", "make_folder", "write_durably", "write_anew"}
    | {"sync", "sync_pending", "sync_and_close"}
)
"""Functions that bring something to the disk."""

_INSTALLATION = ("cli/service_install.py", "cli/service_place.py")
"""What writes unit files and a configuration: nothing that is known of a model, and written again by the command."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.fixture(scope="session")
def films(filmed: Filmed) -> dict[str, Film]:
    require_strace()
    return {name: filmed(name) for name in PROGRAMMES}


def notices(name: str, film: Film, place: str) -> bool:
    """Return whether a power cut shows that a place has stopped to sync."""
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


def test_no_function_that_asks_for_a_sync_is_left_out(films: dict[str, Film]) -> None:
    seen = {function for film in films.values() for function in film.askers}
    asking = set(_functions_that_sync())
    assert asking
    assert sorted(asking - seen) == [], "these are shown by no film"


def _functions_that_sync() -> Iterator[str]:
    for path in sorted({*PACKAGE.rglob("*.py")} - {PACKAGE / name for name in _INSTALLATION}):
        for function in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(function, _FUNCTIONS) and _asks_for_a_sync(function):
                yield f"{path.relative_to(PACKAGE)}:{function.name}"


def _asks_for_a_sync(function: ast.AST) -> bool:
    called = [node.func for node in _own_nodes(function) if isinstance(node, ast.Call)]
    names = {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in called}
    return bool(names & SYNCING)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function consists of, without the functions in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, _FUNCTIONS):
            yield node
            yield from _own_nodes(node)
