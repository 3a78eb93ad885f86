"""What lies unused between objects goes back to the system, and objects stay as they are."""

import os
import subprocess
import sys

import pytest

from modelkeep.base.unused_blocks import whole_pages

PAGE = os.sysconf("SC_PAGESIZE")

WORK_AND_REST = """\
import re
from pathlib import Path
from modelkeep.base.memory import give_back_memory, take_memory_back

def in_memory():
    return int(re.search(r"^RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1])

def work(salt):
    made = [f"{salt} {number}" for number in range(400_000)]
    return made[::2000]

kept = work("first")
worked = in_memory()
give_back_memory()
rested = in_memory()
give_back_memory()
kept += work("while it is held")
take_memory_back()
kept += work("afterwards")
salts = ("first", "while it is held", "afterwards")
right = [f"{salt} {number}" for salt in salts for number in range(0, 400_000, 2000)]
print(worked, rested, kept == right)
"""


@pytest.mark.parametrize(
    ("run", "pages"),
    [
        ((0x8000 + 48, 7), []),
        ((0x8000 + 48, 16), [(0x9000, 0xA000)]),
        ((0x8000 + 48, 30), [(0x9000, 0xB000)]),
        ((0x8000 + 48, 31), [(0x9000, 0xC000)]),
        ((0x8000, 31), [(0x8000, 0xB000)]),
        ((0x8000, 32), [(0x8000, 0xC000)]),
    ],
)
def test_pages_that_nobody_else_has_a_part_of_are_whole(run: tuple[int, int], pages: list[tuple[int, int]]) -> None:
    if PAGE != 4096:
        pytest.skip("the numbers are for pages of 4 KiB")
    start, count = run
    assert list(whole_pages([(start, start + 512 * count)])) == pages


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc", "pymalloc_debug"])
def test_what_much_work_left_goes_back_and_every_object_stays(allocator: str) -> None:
    environment = os.environ | {"PYTHONMALLOC": allocator}
    done = subprocess.run(
        [sys.executable, "-c", WORK_AND_REST], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    worked, rested, right = done.stdout.split()
    assert right == "True"
    if allocator == "pymalloc":
        assert int(rested) < int(worked) - 8 * 1024
