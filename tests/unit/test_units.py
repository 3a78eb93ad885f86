"""The units that ship: every line has its reason, systemd understands them, and judges them safe."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
SYSTEM, USER = UNITS / "system" / "modelkeep.service", UNITS / "user" / "modelkeep.service"
EXPLAIN_THEMSELVES = ("Description", "WantedBy", "ExecStart", "Type")

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt install systemd"
)


def options(unit: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))


@needs_analyze
def test_the_systems_unit_is_exposed_little() -> None:
    judged = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=15", str(SYSTEM)]
    done = subprocess.run(judged, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])
def test_every_line_stands_under_its_reason(unit: Path) -> None:
    explained = False
    for line in unit.read_text().splitlines():
        explained = line.startswith("#") or (explained and bool(line))
        if "=" in line and not line.startswith("#") and not line.startswith(EXPLAIN_THEMSELVES):
            assert explained, line


@pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])
def test_both_units_say_when_they_are_ready_alive_and_beyond_help(unit: Path) -> None:
    said = options(unit)
    assert said["Type"] == "notify"
    assert said["WatchdogSec"] == "60"
    assert (said["Restart"], said["StartLimitBurst"]) == ("on-failure", "5")
    assert said["IOSchedulingClass"] == "idle"
    assert {"MemoryHigh", "MemoryMax", "CPUWeight", "Nice"} <= said.keys()
