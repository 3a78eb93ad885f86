"""The real daemon, under load, gets `kill -9` at any moment, again and again; at the end everything is there."""

from pathlib import Path

import pytest
from tests.crash.daemon_rounds import Rounds
from tests.crash.trials import count

KILLS = 10
KILLS_OF_ONE_WORLD = 25


def kill_and_judge(folder: Path, seed: int, kills: int) -> list[str]:
    """Kill a daemon so many times, and return what is wrong at the end."""
    rounds = Rounds(folder, seed)
    try:
        rounds.run(kills)
        faults = rounds.faults()
    finally:
        rounds.daemon.close()
    print(f"seed {seed}: {rounds.kills} kills, {rounds.imports} imports, {rounds.resolved} conflicts resolved")
    count(rounds.kills, len(faults))
    return [f"seed {seed}: {fault}" for fault in faults]


def test_kills_of_a_daemon_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    assert not kill_and_judge(tmp_path, 1, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_kills_of_a_daemon_under_load(tmp_path: Path, rounds: int, seed: int) -> None:
    worlds = range(max(1, rounds // KILLS_OF_ONE_WORLD))
    faults = [kill_and_judge(tmp_path / str(world), 1000 * seed + world, KILLS_OF_ONE_WORLD) for world in worlds]
    assert not [fault for found in faults for fault in found]
