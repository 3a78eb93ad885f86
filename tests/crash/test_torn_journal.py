"""The journal of a killed life is cut, flipped, doubled and shuffled: the recovery tells, and replays nothing wrong.

More is taken from it here than a crash can take: also what was on the disk. Then it may say of a migration that it
was rolled back whose end it has lost. What counts is that rows, tags and images are as they have to be.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.crash.job import Job
from tests.crash.journal_story import read_story
from tests.crash.living import Nursery, Scene
from tests.crash.scenes import one_segment
from tests.crash.trials import Trial, assert_all_well, copy_of, crash, some

POINT = "image.publish.before@8"
"""There, some migrations are finished, some committed and not published, and some only planned."""

CUTS, FLIPS = 25, 25

Tampering = Callable[[list[bytes], random.Random], None]
"""Changes the lines of the newest segment in place."""


@pytest.fixture(scope="session")
def scene(fast_folder: Path, lives: Nursery) -> Scene:
    return one_segment(fast_folder / "torn", lives)


@pytest.fixture(scope="session")
def killed(scene: Scene) -> Job:
    job = scene.new_job()
    assert crash(scene, job, POINT)
    return job


def newest_segment(job: Job) -> Path:
    return max((Path(job.data_dir) / "journal").glob("migration-*.jsonl"))


def cut_trials(scene: Scene, killed: Job) -> list[Trial]:
    size = newest_segment(killed).stat().st_size
    return [
        Trial(f"cut after {size_bytes} of {size} bytes", _cut(scene, killed, size_bytes))
        for size_bytes in range(size)
    ]


def flip_trials(scene: Scene, killed: Job, number: int) -> list[Trial]:
    size = sum(path.stat().st_size for path in newest_segment(killed).parent.iterdir())
    bits = random.Random(1).sample(range(8 * size), min(number, 8 * size))
    return [Trial(f"bit {bit} flipped", _flipped(scene, killed, bit)) for bit in bits]


def _cut(scene: Scene, killed: Job, size_bytes: int) -> Callable[[], list[str]]:
    def run() -> list[str]:
        job = copy_of(scene, killed)
        segment = newest_segment(job)
        kept = segment.read_bytes()[:size_bytes]
        segment.write_bytes(kept)
        faults = scene.faults_of_recovery(job)
        events = read_story(segment.parent).events
        if kept and not kept.endswith(b"\n") and "journal.repaired" not in events:
            faults.append("nobody is told that the last record was torn")
        return _judged(scene, job, faults)

    return run


def _flipped(scene: Scene, killed: Job, bit: int) -> Callable[[], list[str]]:
    def run() -> list[str]:
        job = copy_of(scene, killed)
        _flip(sorted((Path(job.data_dir) / "journal").iterdir()), bit)
        faults = scene.faults_of_recovery(job)
        story = read_story(Path(job.data_dir) / "journal")
        if not {"journal.damaged", "journal.repaired"} & set(story.events):
            faults.append("nobody is told of the damage")
        return _judged(scene, job, faults)

    return run


def _flip(segments: list[Path], bit: int) -> None:
    for segment in segments:
        content = bytearray(segment.read_bytes())
        if bit < 8 * len(content):
            content[bit // 8] ^= 1 << bit % 8
            segment.write_bytes(content)
            return
        bit -= 8 * len(content)


def _judged(scene: Scene, job: Job, faults: list[str]) -> list[str]:
    counting = [fault for fault in faults if not fault.startswith("the journal ")]
    if not counting:
        scene.remove(job)
    return counting


def test_a_journal_that_is_cut_anywhere_is_repaired_and_loses_nothing(scene: Scene, killed: Job) -> None:
    assert_all_well(some(cut_trials(scene, killed), CUTS))


def test_a_flipped_bit_is_told_and_loses_nothing(scene: Scene, killed: Job) -> None:
    assert_all_well(flip_trials(scene, killed, FLIPS))


def double(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


def double_the_end(lines: list[bytes], chance: random.Random) -> None:
    lines.append(lines[-1])


def swap(lines: list[bytes], chance: random.Random) -> None:
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]


def reverse(lines: list[bytes], chance: random.Random) -> None:
    lines.reverse()


def leave_out(lines: list[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]


def put_zeros(lines: list[bytes], chance: random.Random) -> None:
    """What some file systems leave of a block that had its place and not yet its content."""
    lines.append(bytes(700))


def put_noise(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.randbytes(300) + b"\n")


@pytest.mark.parametrize("tamper", [double, double_the_end, swap, reverse, leave_out, put_zeros, put_noise])
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 10))])
def test_a_journal_whose_lines_are_doubled_or_shuffled_replays_nothing_wrong(
    scene: Scene, killed: Job, tamper: Tampering, seed: int
) -> None:
    job = copy_of(scene, killed)
    segment = newest_segment(job)
    lines = segment.read_bytes().splitlines(keepends=True)
    tamper(lines, random.Random(seed))
    segment.write_bytes(b"".join(lines))
    assert not _judged(scene, job, scene.faults_after(job))


def test_a_journal_that_is_gone_loses_nothing(scene: Scene, killed: Job) -> None:
    job = copy_of(scene, killed)
    for segment in newest_segment(job).parent.iterdir():
        segment.unlink()
    assert not _judged(scene, job, scene.faults_after(job))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_journal_that_is_cut_at_every_byte(scene: Scene, killed: Job, rounds: int, seed: int) -> None:
    assert_all_well(some(cut_trials(scene, killed), 10 * rounds, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_flipped_bits(scene: Scene, killed: Job, rounds: int) -> None:
    assert_all_well(flip_trials(scene, killed, 10 * rounds))
