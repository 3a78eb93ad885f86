"""Events that came together: renames in their order, and one look for each place."""

import pytest

from modelkeep.domain.bursts import Burst, divide
from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    WatchEvent,
)


def test_renames_keep_their_order_whatever_comes_between() -> None:
    first, second, third = FileMoved("a", "b"), FolderMoved("x", "y"), FileMoved("b", "c")
    assert divide([first, FileGone("q"), second, FileClosed("r"), third]).renames == [first, second, third]


def test_a_file_is_looked_at_once_and_counts_as_closed_when_any_event_said_so() -> None:
    events: list[WatchEvent] = [
        FileAppeared("a"),
        FileClosed("a"),
        FileAppeared("a"),
        FileAppeared("b"),
        FileAppeared("c", complete=True),
    ]
    assert divide(events).files == {"a": True, "b": False, "c": True}


def test_every_event_is_told() -> None:
    events: list[WatchEvent] = [FolderAppeared("f"), FileGone("a"), FolderGone("g"), EventsLost("r")]
    assert divide(events) == Burst(folders=["f"], gone_files=["a"], gone_folders=["g"], lost=["r"])
    assert divide([]) == Burst()


@pytest.mark.parametrize(
    ("renames", "names"),
    [
        ([FileMoved("f/a", "f/b"), FileMoved("f/b", "g/c"), FileMoved("f/ab", "x")], {"f/a", "f/b", "g/c"}),
        ([FolderMoved("f", "g"), FolderMoved("g", "h/i")], {"f/a", "g/a", "h/i/a"}),
        ([FolderExchanged("g", "f"), FolderExchanged("f", "h")], {"f/a", "g/a", "h/a"}),
    ],
)
def test_what_was_written_is_known_by_all_names_that_it_had_from_then_on(
    renames: list[WatchEvent], names: set[str]
) -> None:
    assert divide([*renames, FileClosed("f/a")]).written == {"f/a"}
    assert divide([FileClosed("f/a"), *renames]).written == names
