"""What an idle process gives back, it goes on without."""

import subprocess
import sys

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
