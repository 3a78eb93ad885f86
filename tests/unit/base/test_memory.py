"""What an idle process gives back, it goes on without."""

import subprocess
import sys

from modelkeep.base.memory import unwritten_programs

GIVE_BACK = """\
import re
from pathlib import Path
import pydantic_core
from modelkeep.base.memory import give_back_memory, note_programs

def in_memory():
    told = Path("/proc/self/smaps").read_text()
    return sum(map(int, re.findall(r" r-xp .*_pydantic_core.*\\n(?:\\w+: .*\\n)*?Rss: +(\\d+) kB", told)))

note_programs()
before = in_memory()
give_back_memory()
print(before, in_memory(), pydantic_core.from_json("[42]"), in_memory())
"""


def test_pages_of_programs_go_and_come_back_as_they_are_needed() -> None:
    done = subprocess.run([sys.executable, "-c", GIVE_BACK], capture_output=True, text=True, timeout=60, check=True)
    before, given_back, answer, used = done.stdout.split()
    assert int(before) > int(given_back) == 0
    assert (answer, int(used) > 0) == ("[42]", True)


def mapping(start: int, rights: str, path: str, anonymous: int = 0, swap: int = 0) -> str:
    """Return what the kernel tells of a mapping of 4 KiB, in short."""
    inode = 42 if path.startswith("/") else 0
    return (
        f"{start:x}-{start + 4096:x} {rights} 00000000 fe:00 {inode}   {path}\nSize: 4 kB\nRss: 4 kB\n"
        f"Anonymous:     {anonymous} kB\nSwap:     {swap} kB\nSwapPss: 0 kB\nTHPeligible: 0\nVmFlags: rd mr mw me\n"
    )


def test_only_pages_of_programs_that_are_as_in_their_files_may_go() -> None:
    told = (
        mapping(0x1000, "r--p", "/lib/a.so")
        + mapping(0x2000, "r-xp", "/lib/a.so")
        + mapping(0x3000, "rw-p", "/lib/a.so")
        + mapping(0x4000, "r--p", "/lib/a.so", anonymous=4)
        + mapping(0x5000, "r--p", "/lib/a.so", swap=4)
        + mapping(0x6000, "r--p", "/data/of no program")
        + mapping(0x7000, "r-xp", "[vdso]")
        + mapping(0x8000, "r-xp", "/lib/with a space.so")
    )
    assert unwritten_programs(told) == [(0x1000, 4096), (0x2000, 4096), (0x8000, 4096)]
