"""Values that are set aside."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkeep.base.set_aside import SetAside

NOT_UTF8 = b"/m/\xff\xfe.pt".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("count", [0, 1, 1999, 2000, 2001, 4000, 4001])
def test_values_come_back_in_their_order_as_often_as_they_are_asked_for(tmp_path: Path, count: int) -> None:
    values = [(number, f"{number}{NOT_UTF8}") for number in range(count)]
    aside = SetAside(tmp_path, iter(values))
    assert len(aside) == count
    assert list(aside) == values
    assert list(aside) == values
    assert (0, f"0{NOT_UTF8}") in aside or not count
    assert (-1, "") not in aside


def test_more_is_set_aside_behind_what_is_there(tmp_path: Path) -> None:
    aside = SetAside(tmp_path, [1])
    for some in ([2, 3], [], [4]):
        aside.extend(some)
    assert list(aside) == [1, 2, 3, 4]
    assert len(aside) == 4
    assert list(SetAside[int](tmp_path)) == []


def test_it_leaves_no_name_and_outlives_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    aside = SetAside(folder, range(3))
    assert list(folder.iterdir()) == []
    folder.rmdir()
    assert list(aside) == [0, 1, 2]
    descriptor = aside._file.fileno()
    del aside
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_two_who_read_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    aside = SetAside(tmp_path, range(5000))
    assert [pair for pair in zip(aside, aside, strict=True) if pair[0] != pair[1]] == []


def test_memory_does_not_grow_with_what_is_set_aside(tmp_path: Path) -> None:
    def peak_of(count: int) -> int:
        tracemalloc.start()
        for _ in SetAside(tmp_path, _paths(count)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_of(40_000) < 1.2 * peak_of(10_000)


def _paths(count: int) -> Iterator[tuple[int, str]]:
    return ((number, f"/srv/models/loras/model {number}.safetensors") for number in range(count))
