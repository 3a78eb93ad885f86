"""Real power cuts, by FS_IOC_SHUTDOWN on loop-mounted ext4 and XFS: what was acknowledged is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.file_systems import LoopDisk, loop_disk
from tests.crash.living import Nursery, Scene
from tests.crash.power_cut_rounds import lose_power_at, power_cut_rounds
from tests.crash.tiny_library import make_library
from tests.crash.trials import assert_all_well

ROUNDS = 4
LIVES = 5


@pytest.fixture(params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(request.param, tmp_path) as mounted:
        yield mounted


def test_what_was_acknowledged_outlasts_a_real_power_cut(tmp_path: Path, disk: LoopDisk, lives: Nursery) -> None:
    library = make_library(tmp_path / "library")
    scene = Scene(tmp_path / "lives", library, lives, data_in=disk.mount_point)
    assert_all_well(power_cut_rounds(scene, disk, ROUNDS, seed=1))


def test_the_power_cuts_are_real(tmp_path: Path, disk: LoopDisk, lives: Nursery) -> None:
    """A program that syncs nothing itself, and leaves that to SQLite, loses images."""
    scene = Scene(tmp_path / "lives", make_library(tmp_path / "library"), lives, data_in=disk.mount_point)

    def faults() -> list[str]:
        job = scene.new_job()
        lose_power_at(scene, disk, job.but(careless=True), "journal.append.after@25")
        return scene.faults_of_recovery(job)

    # One may lose nothing: threads may take turns so that the point is not reached, and whoever calls sync(2) at that
    # moment, another test or the kernel itself, brings to the disk what the program did not.
    assert any(faults() for _ in range(LIVES))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_real_power_cuts(tmp_path: Path, disk: LoopDisk, lives: Nursery, rounds: int, seed: int) -> None:
    scene = Scene(tmp_path / "lives", make_library(tmp_path / "library"), lives, data_in=disk.mount_point)
    assert_all_well(power_cut_rounds(scene, disk, rounds, seed))
