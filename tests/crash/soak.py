"""Crash it for long: python tests/crash/soak.py [--rounds 1000] [--seed N] [--workers 2] [-k EXPRESSION].

Runs all tests that are marked `soak`, each with at most so many crashes, and prints how many there were.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]


def main() -> int:
    """Run the soak; returns the exit status of the tests."""
    asked = _arguments()
    print(f"seed {asked.seed}, at most {asked.rounds} crashes a test", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = Path(folder) / "tally"
        tally.touch()
        status = _run(asked, tally)
        _print(tally.read_text().splitlines(), time.monotonic() - began)
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="crashes a test, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="decides what happens")
    parser.add_argument("--workers", type=int, default=2, help="tests at a time")
    parser.add_argument("-k", dest="expression", default="", help="only tests whose names fit, as for pytest")
    return parser.parse_args()


def _run(asked: argparse.Namespace, tally: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "soak", "-n", str(asked.workers), "--dist", "worksteal"]
    chosen = ["-k", asked.expression] if asked.expression else []
    environment = {
        "MODELKEEPTEST_ROUNDS": str(asked.rounds),
        "MODELKEEPTEST_SEED": str(asked.seed),
        "MODELKEEPTEST_TALLY": str(tally),
    }
    command += [*chosen, str(TESTS)]
    return subprocess.run(command, cwd=TESTS.parent, env={**os.environ, **environment}).returncode


def _print(lines: list[str], seconds: float) -> None:
    crashes: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for line in lines:
        counted = json.loads(line)
        crashes[counted["test"]] += counted["crashes"]
        failed[counted["test"]] += counted["failed"]
    for test in sorted(crashes):
        print(f"{crashes[test]:8}  {f'{failed[test]} FAILED' if failed[test] else 'all well':12}  {test}")
    print(f"{crashes.total():8}  crashes in {seconds:.0f} s, {failed.total()} left something wrong")


if __name__ == "__main__":
    sys.exit(main())
