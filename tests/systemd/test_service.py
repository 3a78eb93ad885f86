"""The service under a real systemd: each test is one fact of what `scenario.py` saw in the box."""

import json
from pathlib import Path
from typing import Any

import pytest

Seen = dict[str, Any]

# Whichever test comes first boots the box.
pytestmark = pytest.mark.timeout(600)

ROOTS = {"/srv/demo/models", '/srv/odd "name" 100%'}


def step(box: Seen, name: str) -> Seen:
    assert name in box, box.get("failed", f"{name} was never come to")
    seen: Seen = box[name]
    return seen


def roots_of(status: Seen) -> dict[str, str]:
    return {root["path"]: root["state"] for root in status["watch"]["roots"]}


def test_install_puts_everything_in_place_and_says_so(box: Seen) -> None:
    seen = step(box, "install")
    assert (seen["first"]["status"], seen["first"]["err"]) == (0, "")
    for written in ("/etc/systemd/system/modelkeep.service", "/etc/modelkeep/modelkeep.toml", "Enabled", "Started"):
        assert written in seen["first"]["out"]
    assert (seen["shown"]["ActiveState"], seen["shown"]["UnitFileState"]) == ("active", "enabled")
    assert (seen["verified"]["status"], seen["verified"]["err"]) == (0, "")


def test_installed_for_the_configured_roots_and_their_mounts(box: Seen) -> None:
    shown = step(box, "install")["shown"]
    assert "/srv/demo/models" in shown["RequiresMountsFor"].split()
    # As `systemctl show` quotes it; the probe finds that it is meant.
    assert shown["ReadOnlyPaths"] == '-/srv/demo/models "-/srv/odd \\"name\\" 100%"'


def test_installed_for_a_user_of_its_own_who_alone_has_the_data(box: Seen) -> None:
    seen = step(box, "install")
    assert seen["shown"]["User"] == "modelkeep"
    assert seen["files"]["/var/lib/modelkeep"] == 0o700
    assert seen["files"]["/var/lib/modelkeep/modelkeep.sock"] == 0o600


def test_installing_again_changes_nothing(box: Seen) -> None:
    seen = step(box, "install")
    assert seen["second"]["out"] == "It runs already, and nothing has changed.\n"
    assert seen["pids"][0] == seen["pids"][1] > 0


def test_start_returns_when_the_roots_are_watched(box: Seen) -> None:
    at_ready = step(box, "install")["at_ready"]
    assert at_ready["state"] == "running"
    assert roots_of(at_ready).keys() == ROOTS
    assert "unreachable" not in roots_of(at_ready).values()


def test_a_library_is_migrated(box: Seen) -> None:
    seen = step(box, "migrate_a_library")
    assert seen["import"]["status"] == 0
    assert seen["status"]["models"] > 20
    assert seen["status"]["images"] > 5
    assert seen["tags"] > 5


def test_the_status_text_tells_what_it_does(box: Seen) -> None:
    seen = step(box, "migrate_a_library")
    assert seen["text"].startswith("idle")
    assert seen["text"].endswith("; 2 of 2 roots watched")
    told = json.loads(seen["command"]["out"])
    assert seen["command"]["status"] == 0
    assert (told["state"], told["enabled"]) == ("active", True)
    assert told["status"].endswith("; 2 of 2 roots watched")


def test_journald_finds_what_happened_to_a_model_by_its_hash(box: Seen) -> None:
    seen = step(box, "migrate_a_library")
    assert seen["records"]
    for record in seen["records"]:
        assert record["MODEL_SHA256"] == seen["model"]["sha256"]
        assert record["MODEL_PATH"] == seen["model"]["path"]
        assert record["PRIORITY"] == "6"
        assert record["SYSLOG_IDENTIFIER"] == "modelkeep"
    assert "migration.finished" in [record["MODELKEEP_EVENT"] for record in seen["records"]]


def test_after_a_kill_it_is_started_again_and_nothing_is_lost(box: Seen) -> None:
    seen = step(box, "kill_it")
    assert seen["after"]["models"] == seen["before"]["models"] + 40
    assert seen["after"]["images"] == seen["before"]["images"]
    assert seen["after"]["tags"] == seen["before"]["tags"]
    assert seen["after"]["pending"] == seen["before"]["pending"]
    assert seen["doctor"]["status"] == 0, seen["doctor"]["out"]


def test_ready_comes_after_recovery_and_the_first_watches(box: Seen) -> None:
    seen = step(box, "kill_it")
    opened_at, ready_at = (
        int(seen["started"]["__MONOTONIC_TIMESTAMP"]),
        int(seen["known"]["ActiveEnterTimestampMonotonic"]),
    )
    assert seen["started"]["_PID"] == seen["known"]["MainPID"]
    assert opened_at < ready_at
    assert seen["at_ready"]["state"] == "running"
    assert "unreachable" not in roots_of(seen["at_ready"]).values()


def test_a_hung_event_loop_is_ended_and_started_again(box: Seen) -> None:
    seen = step(box, "hang_it")
    assert "Watchdog timeout" in seen["by_manager"]
    assert seen["pids"][0] != seen["pids"][1] > 0
    assert seen["known"]["ActiveState"] == "active"


def test_the_log_has_the_stack_of_a_thread_that_hung(box: Seen) -> None:
    said = step(box, "hang_it")["said"]
    # Any thread of a stopped process may take the signal; `test_signals.py` has it that of an event loop.
    assert "Stack (most recent call first):" in said[said.index("Fatal Python error: Aborted") :]
    assert any(line.lstrip().startswith('File "') for line in said)


def test_a_reload_takes_a_new_root_without_a_restart(box: Seen) -> None:
    seen = step(box, "reload_it")
    assert seen["taken"]["status"] == 0
    assert seen["pids"][0] == seen["pids"][1]
    assert seen["state"] == "active"


def test_a_reload_of_nonsense_is_an_error_in_the_log_and_changes_nothing(box: Seen) -> None:
    seen = step(box, "reload_it")
    assert [record["PRIORITY"] for record in seen["errors"]] == ["3"]
    assert "nonsense" in seen["errors"][0]["MESSAGE"]


@pytest.mark.parametrize("what", ["write a root", "write another root", "write /etc/modelkeep", "write a home"])
def test_the_sandbox_lets_nothing_be_written(box: Seen, what: str) -> None:
    assert step(box, "try_the_sandbox")["probe"][what] in ("EROFS", "EACCES")


def test_the_sandbox_reaches_no_other_machine(box: Seen) -> None:
    probe = step(box, "try_the_sandbox")["probe"]
    assert probe["connect to another machine"] in ("EPERM", "TimeoutError")
    assert probe["connect to loopback"] == "connected"
    assert probe["open a netlink socket"] == probe["open a packet socket"] == "EAFNOSUPPORT"


def test_the_sandbox_has_no_more_rights_than_leases_need(box: Seen) -> None:
    probe = step(box, "try_the_sandbox")["probe"]
    assert probe["user"] != 0
    assert [int(mask, 16) for mask in probe["capabilities"]] == [1 << 28, 1 << 28]  # CAP_LEASE
    assert probe["no new privileges"] == "1"
    assert probe["make a name space"] == probe["make memory executable"] == "EPERM"
    assert probe["see the first process"] is False


def test_the_sandbox_leaves_what_the_daemon_needs(box: Seen) -> None:
    probe = step(box, "try_the_sandbox")["probe"]
    assert probe["write its state"] == "written"
    assert probe["read a root"] is True
    assert probe["see the pressure"] is Path("/proc/pressure/io").exists()


def test_other_programs_come_first(box: Seen) -> None:
    probe = step(box, "try_the_sandbox")["probe"]
    assert (probe["nice"], probe["io class"]) == (10, 3)


def test_a_stop_ends_in_time_and_well(box: Seen) -> None:
    seen = step(box, "stop_it")
    # One that took longer than the unit allows would have been killed, with the result "timeout".
    assert (seen["shown"]["ActiveState"], seen["shown"]["Result"]) == ("inactive", "success")
    assert seen["shown"]["ExecMainStatus"] == "0"
    assert seen["off"]["status"] == 3


def test_who_fails_again_and_again_is_left_alone(box: Seen) -> None:
    known = step(box, "fail_again_and_again")["known"]
    assert (known["ActiveState"], known["NRestarts"]) == ("failed", "3")


def test_an_installation_that_does_not_start_says_why(box: Seen) -> None:
    refused = step(box, "fail_again_and_again")["refused"]
    assert refused["status"] == 1
    assert "127.0.0.1:8189 is in use by another program: set api.port" in refused["err"]


def test_uninstalling_removes_the_units_and_keeps_the_data(box: Seen) -> None:
    seen = step(box, "uninstall")
    assert seen["first"]["status"] == seen["second"]["status"] == 0
    assert seen["left"] == []
    assert seen["kept"] == ["/etc/modelkeep/modelkeep.toml", "/var/lib/modelkeep/modelkeep.db"]
    assert seen["state"] == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert seen["second"]["out"] == "No system service is installed.\n"


def test_a_user_has_a_service_of_their_own(box: Seen) -> None:
    seen = step(box, "a_user_has_one_too")
    assert (seen["installed"]["status"], seen["installed"]["err"]) == (0, "")
    assert json.loads(seen["status"]["out"])["state"] == "active"
    assert seen["removed"]["status"] == 0
    assert (seen["left"], seen["kept"]) == ([], True)


def test_the_users_sandbox_is_closed_to_what_the_user_owns(box: Seen) -> None:
    probe = step(box, "a_user_has_one_too")["probe"]
    assert probe["write an own root"] == probe["write an own home"] == "EROFS"
    assert probe["write own data"] == "written"
    assert probe["make a name space"] == probe["make memory executable"] == "EPERM"
    assert [int(mask, 16) for mask in probe["capabilities"]] == [0, 0]


def test_the_box_came_to_its_end(box: Seen) -> None:
    assert "failed" not in box, box["failed"]
