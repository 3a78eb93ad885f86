"""The real daemon, under load, gets `kill -9` at any moment, again and again; at the end everything is there."""

from pathlib import Path

import pytest
from tests.crash.daemon_rounds import Rounds

pytestmark = pytest.mark.soak  # it runs as long as it is let, and what it meets is chance

ROUNDS = 9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kills_of_a_daemon_under_load_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    rounds = Rounds(tmp_path, seed)
    try:
        rounds.run(ROUNDS)
        faults = rounds.faults()
    finally:
        rounds.daemon.close()
    print(f"seed {seed}: {rounds.kills} kills, {rounds.imports} imports, {rounds.resolved} conflicts resolved")
    assert not faults, "\n".join([f"seed {seed}: {len(faults)} faults:", *faults[:20]])
