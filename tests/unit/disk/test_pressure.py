"""What the kernel's files tell of the machine, from folders that look like its own."""

from pathlib import Path

import pytest

from modelkeep.disk.pressure import look_at_pressure
from modelkeep.domain.pressure import Pressure


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def supply(tmp_path: Path, name: str, **files: str) -> None:
    write(tmp_path / "class" / "power_supply" / name, **files)


def is_on_battery(tmp_path: Path) -> bool:
    return look_at_pressure(tmp_path, tmp_path).on_battery


def test_each_resource_has_a_file(tmp_path: Path) -> None:
    write(
        tmp_path / "pressure",
        cpu="some avg10=11.00 avg60=0 avg300=0 total=0",
        io="some avg10=99.00 avg60=0 avg300=0 total=0\nfull avg10=22.00 avg60=0 avg300=0 total=0",
        memory="some avg10=33.00 avg60=0 avg300=0 total=0\nfull avg10=1.00 avg60=0 avg300=0 total=0",
    )

    assert look_at_pressure(tmp_path, tmp_path) == Pressure(11, 22, 33)


def test_a_kernel_that_tells_nothing_is_no_failure(tmp_path: Path) -> None:
    write(tmp_path / "pressure", cpu="\N{SNOWMAN}")

    assert look_at_pressure(tmp_path, tmp_path / "gone") == Pressure()


def test_this_machine_can_be_looked_at() -> None:
    seen = look_at_pressure()

    assert all(share is None or 0 <= share <= 100 for share in (seen.processor, seen.disk, seen.memory))


@pytest.mark.parametrize(("status", "expected"), [("Discharging", True), ("Charging", False), ("Full", False)])
def test_an_own_battery_that_is_being_emptied_counts(tmp_path: Path, status: str, expected: bool) -> None:
    supply(tmp_path, "BAT0", type="Battery", status=status)
    supply(tmp_path, "AC", type="Mains", online="0")

    assert is_on_battery(tmp_path) is expected


def test_the_battery_of_a_mouse_does_not(tmp_path: Path) -> None:
    supply(tmp_path, "hidpp_battery_0", type="Battery", status="Discharging", scope="Device")

    assert not is_on_battery(tmp_path)


def test_nor_does_one_that_is_emptied_although_the_machine_is_plugged_in(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    supply(tmp_path, "AC", type="Mains", online="1")

    assert not is_on_battery(tmp_path)
