import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Cli = Callable[..., Result]

SCANNED = {"status": "success", "scanned": 1200, "added": 1, "pending_ids": [7], "skipped": 0}


def test_scan_asks_the_daemon_and_tells_what_it_found(cli: Cli, daemon: Any) -> None:
    daemon.answer("POST", "/api/scan", SCANNED)

    result = cli("scan")

    assert result.exit_code == 0
    assert result.stdout == "Scanned 1,200 files: 1 new row in the queue.\n"
    assert daemon.asked == [("POST", "/api/scan", {})]


def test_scan_as_json_is_the_answer_of_the_daemon(cli: Cli, daemon: Any) -> None:
    daemon.answer("POST", "/api/scan", SCANNED)

    assert json.loads(cli("scan", "--json").stdout) == SCANNED


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_pause_and_resume_reach_the_daemon(cli: Cli, daemon: Any, command: str) -> None:
    daemon.answer("POST", f"/api/migration/{command}", {"status": "success"})

    assert cli(command).exit_code == 0
    assert daemon.asked == [("POST", f"/api/migration/{command}", {})]


@pytest.mark.parametrize("command", ["scan", "pause", "resume"])
def test_without_a_daemon_the_status_is_three_and_the_way_to_start_it_is_told(cli: Cli, command: str) -> None:
    result = cli(command)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("modelkeep: the daemon is not running; start it with: modelkeep --config ")
    assert result.stderr.endswith(" run\n")
