import io
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from modelkeep.cli.status_view import Pace, hints, one_line, seconds_left, status_view

Cli = Callable[..., Result]
Json = dict[str, Any]


@pytest.fixture
def status() -> Json:
    """Two files at 100 and 50 MB/s, with 700 MB and 300 MB to go, and 500 MB behind them."""
    active = [
        {"path": "/m/a.ckpt", "bytes_done": 300, "bytes_total": 1000, "bytes_per_s": 100},
        {"path": "/m/b[red]\x1b.ckpt", "bytes_done": 0, "bytes_total": 300, "bytes_per_s": 50},
    ]
    for file in active:
        file.update({key: value * 1_000_000 for key, value in file.items() if isinstance(value, int)})
    return {
        "state": "running",
        "version": "0.1.0",
        "pid": 7,
        "uptime_s": 61.0,
        "paused": False,
        "models": 3,
        "images": 1,
        "tags": 0,
        "locations": {"present": 3, "missing": 0, "unreachable": 0},
        "pending": {"waiting": 4, "hashing": 2, "conflict": 0, "failed": 0, "missing": 0},
        "hashing": {"active": active, "queued": 2, "queued_bytes": 500_000_000, "workers": 2},
        "watch": {"roots": [{"path": "/m", "state": "watching", "directories": 3}], "overflows": 0},
        "journal": {"seq": 9, "segments": 1, "bytes": 100},
    }


def command(*words: str) -> str:
    return " ".join(["modelkeep", *words])


def drawn(status: Json, **options: Any) -> str:
    out = Console(file=io.StringIO(), width=200, **options)
    out.print(status_view(status, out, command))
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_time_left_is_what_is_left_of_all_files_by_the_speed_of_all(status: Json) -> None:
    assert seconds_left(status["hashing"]) == pytest.approx(10.0)


def test_why_a_root_is_not_watched_as_it_should_be_is_told(status: Json) -> None:
    assert "raise the limit" not in drawn(status)
    status["watch"]["roots"][0] |= {"state": "limited", "reason": "2 of 3 folders are not watched; raise the limit"}
    assert "/m: 2 of 3 folders are not watched; raise the limit" in drawn(status)


def test_who_watches_sees_the_whole_queue_and_a_time_left_that_does_not_jump(status: Json) -> None:
    pace = Pace()
    pace.take(status["hashing"])
    status["hashing"]["queued_bytes"] = 0
    status["hashing"]["active"][0]["bytes_per_s"] = 2_000_000_000
    pace.take(status["hashing"])
    out = Console(file=io.StringIO(), width=200)
    out.print(status_view(status, out, command, pace))
    row = next(line for line in out.file.getvalue().splitlines() if "all together" in line)  # type: ignore[attr-defined]

    assert "33 % of 1.5 GB" in row
    assert "530 MB/s" in row  # not 2 GB/s


def test_no_time_left_is_claimed_while_nothing_moves(status: Json) -> None:
    status["hashing"]["active"] = []
    assert seconds_left(status["hashing"]) is None
    assert "left" not in drawn(status)


def test_every_file_in_hand_is_shown_with_its_part_speed_and_time(status: Json) -> None:
    row = next(line for line in drawn(status).splitlines() if "a.ckpt" in line)

    assert "30 % of 1.0 GB" in row
    assert "100 MB/s" in row
    assert "7.0 s" in row


def test_a_bar_is_drawn_on_a_terminal_only(status: Json) -> None:
    assert "━" in drawn(status, force_terminal=True)
    assert "━" not in drawn(status)


def test_foreign_names_are_not_interpreted(status: Json) -> None:
    assert "b[red]\\x1b.ckpt" in drawn(status)


def test_a_file_of_no_bytes_divides_by_nothing(status: Json) -> None:
    status["hashing"]["active"] = [{"path": "/m/x", "bytes_done": 0, "bytes_total": 0, "bytes_per_s": 0}]

    assert "0 % of 0 B" in drawn(status)


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"pending": {"conflict": 2}}, "2 conflicts to decide: modelkeep pending list --state conflict"),
        ({"pending": {"failed": 1}}, "1 row failed and is tried again later: modelkeep pending list --state failed"),
        ({"pending": {"missing": 1}}, "1 row whose file is gone: modelkeep pending list --state missing"),
        ({"locations": {"unreachable": 1}}, "1 unreachable file: on a drive that is away, or in no configured root"),
        ({"watch": {"roots": [{"path": "/srv", "state": "unreachable", "directories": 1}]}}, "Mount it"),
        ({"watch": {"overflows": 1}}, "nothing is missed"),
        ({"paused": True}, "Paused: modelkeep resume"),
        ({"state": "stopped"}, "6 files will be hashed by: modelkeep run"),
    ],
)
def test_whatever_does_not_go_on_by_itself_comes_with_what_to_do(status: Json, changes: Json, hint: str) -> None:
    assert hints(status, command) == []
    changed = deepcopy(status)
    for key, value in changes.items():
        changed[key] = {**changed[key], **value} if isinstance(value, dict) else value

    assert any(hint in line for line in hints(changed, command))


def test_one_line_says_what_changes(status: Json) -> None:
    status["pending"]["conflict"] = 1

    assert one_line(status) == "3 models, 4 waiting, hashing 2 at 150 MB/s, 1 conflict"


def test_json_is_the_answer_of_the_daemon_and_nothing_else(cli: Cli, daemon: Any) -> None:
    result = cli("status", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == daemon.answers["GET", "/api/status"][1]


def test_people_see_the_running_daemon(cli: Cli, daemon: Any) -> None:
    result = cli("status")

    assert result.exit_code == 0
    assert "running" in result.stdout
    assert "1,204 models, 80 images, 9 tags" in result.stdout
    assert "about 20 s left" in result.stdout
    assert "\x1b" not in result.stdout


def test_watching_and_json_exclude_each_other(cli: Cli, daemon: Any) -> None:
    result = cli("status", "--watch", "--json")

    assert (result.exit_code, result.stdout) == (2, "")


def test_watching_goes_on_when_the_daemon_stops(cli: Cli, daemon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [json.dumps(daemon.answers["GET", "/api/status"][1]).encode(), b"<html>"]
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        daemon.answer("GET", "/api/status", answers[len(naps) % 2])
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("modelkeep.cli.status.time.sleep", nap)

    lines = cli("status", "--watch").stdout.splitlines()

    assert [line.split(":")[0] for line in lines[:3]] == ["running", lines[1].split(":")[0], "running"]
    assert "is not modelkeep" in lines[1]


def test_why_hashing_steps_back_is_told(status: Json) -> None:
    assert "steps back" not in drawn(status)
    status["hashing"]["stepped_back"] = "the machine runs on battery"
    assert "Hashing steps back, one file or batch at a time, for the machine runs on battery." in drawn(status)
