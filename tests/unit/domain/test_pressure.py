"""When background work steps back, and when it goes on."""

import pytest

from modelkeep.domain.pressure import Pressure, average, reason_to_step_back

TOLD = "some avg10=62.50 avg60=1.00 avg300=0.20 total=5\nfull avg10=0.07 avg60=0.00 avg300=0.00 total=1\n"


def test_the_average_of_the_last_ten_seconds_is_read() -> None:
    assert (average(TOLD, "some"), average(TOLD, "full")) == (62.5, 0.07)


@pytest.mark.parametrize("text", ["", "some avg60=1.00", "some avg10=x y", TOLD.replace("full", "none")])
def test_what_the_kernel_does_not_tell_is_not_known(text: str) -> None:
    assert average(text, "full") is None


def test_a_machine_of_which_nothing_is_known_is_not_busy() -> None:
    assert reason_to_step_back(Pressure(), is_back=False) == ""


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Pressure(processor=75), "other programs want the processors (75 % of the time)"),
        (Pressure(disk=90, memory=1), "programs wait for the disks (90 % of the time)"),
        (Pressure(processor=99, memory=20), "memory is short (20 % of the time)"),
        (Pressure(on_battery=True), "the machine runs on battery"),
        (Pressure(processor=20, disk=20, memory=1), ""),
    ],
)
def test_the_reason_is_told(seen: Pressure, told: str) -> None:
    assert reason_to_step_back(seen, is_back=False) == told


def test_between_the_bounds_it_stays_as_it_is() -> None:
    between = Pressure(processor=45)

    assert reason_to_step_back(between, is_back=False) == ""
    assert reason_to_step_back(between, is_back=True) != ""
    assert reason_to_step_back(Pressure(processor=10), is_back=True) == ""
