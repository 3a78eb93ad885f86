"""A root that is away for a moment: what failed meanwhile is tried as soon as it is back, not minutes later."""

import time
from pathlib import Path

from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors
from tests.waiting import wait_until

TABLES: dict[str, dict[str, object]] = {
    "watch": {"settle_seconds": 0.05, "rescan_seconds": 900},
    # What is tried again has to be tried because its root is back.
    "sweep": {"interval_seconds": 600, "retry_base_seconds": 300},
}


def test_files_whose_root_is_away_for_moments_while_they_are_settled_and_hashed_are_all_hashed(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon(tables=TABLES).start()
    away, number = tmp_path / "away", 60
    for each in range(number):
        put(models / f"{each}.safetensors", safetensors(each, 1 << 18))
        if each % 3 == 0:
            models.rename(away)
            time.sleep(0.02 * (each % 4))
            away.rename(models)
    wait_until(lambda: daemon.status()["locations"]["present"] == number, what="all files to be hashed")
    assert daemon.status()["pending"] == {"waiting": 0, "hashing": 0, "conflict": 0, "failed": 0, "missing": 0}
