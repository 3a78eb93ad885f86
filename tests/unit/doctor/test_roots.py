import os
from pathlib import Path
from threading import Event

import pytest
from tests.unit.doctor.conftest import House

from modelkeep.doctor.findings import Finding, Severity
from modelkeep.doctor.folders import RootLook, count_folders, ignores_case, look_at_root
from modelkeep.doctor.roots import WatchLimits, check_limits, check_roots, read_limits

PLENTY = WatchLimits(100_000, 128, 16_384)


def wrong(*looks: RootLook, polling: str = "auto") -> list[Finding]:
    return [finding for finding in check_roots(looks, polling) if finding.is_wrong]


def limits(folders: int, known: WatchLimits, *, is_at_work: bool = False, complete: bool = True) -> list[Finding]:
    looks = [RootLook("/m", folders=folders, is_complete=complete)]
    return list(check_limits(looks, "auto", known, is_at_work=is_at_work))


def test_a_root_that_is_not_there_is_told(house: House) -> None:
    house.root.rename(house.root.with_name("unplugged"))

    assert "plugged in" in house.the_wrong("roots").sentence


@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_a_root_that_is_no_folder_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "root"
    if kind == "file":
        path.touch()
    else:
        path.symlink_to(tmp_path / "nowhere")

    assert "not a folder" in look_at_root(str(path), 1.0).fault


def test_without_any_root_nothing_is_watched_and_that_is_told() -> None:
    assert "none is configured" in wrong()[0].sentence


def test_a_root_that_never_answers_is_not_waited_for() -> None:
    forever = Event()

    look = look_at_root("/dead", 0.01, lambda path, _: RootLook(path, folders=int(forever.wait())))

    assert "did not answer" in look.fault
    assert wrong(look)
    forever.set()


def test_watched_folders_are_counted_once_through_links_and_loops(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / ".cache").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "file").touch()

    assert count_folders(str(tmp_path), 5.0) == (3, [], True), "nothing is watched in what is hidden"


def test_a_look_that_runs_out_of_time_says_how_far_it_came(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).mkdir()
    moments = iter(range(100))

    count, _, is_complete = count_folders(str(tmp_path), 5.0, clock=lambda: float(next(moments)))

    assert (count, is_complete) == (4, False)
    (finding,) = check_roots([RootLook(str(tmp_path), folders=count, is_complete=False)], "auto")
    assert "at least 4 folders" in finding.sentence
    assert "stopped" in finding.sentence


def test_names_that_are_no_utf8_are_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe")).mkdir()

    assert count_folders(str(tmp_path), 5.0)[0] == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_may_not_be_read_are_counted(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)

    look = look_at_root(str(tmp_path), 5.0)

    assert look.unreadable == (f"{tmp_path / 'closed'}: Permission denied",)
    (finding,) = wrong(look)
    assert "1 folder cannot be read" in finding.sentence
    assert "permission" in finding.remedy


def test_folders_too_far_behind_a_link_are_told_with_that_reason(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / Path(*"d" * 40)).mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "link").symlink_to(tmp_path / "elsewhere")

    (finding,) = wrong(look_at_root(str(tmp_path / "models"), 5.0))

    assert "1 folder cannot be read" in finding.sentence
    assert "it lies more than 32 levels behind a link" in finding.sentence
    assert "permission" not in finding.remedy


def test_unreadable_folders_are_told() -> None:
    (finding,) = wrong(RootLook("/m", folders=3, unreadable=("/m/a: Permission denied", "/m/b: Input/output error")))

    assert "2 folders cannot be read: /m/a: Permission denied, /m/b: Input/output error" in finding.sentence


def test_a_network_file_system_is_polled_unless_that_is_forbidden() -> None:
    look = RootLook("/m", file_system="nfs4", is_network=True, folders=3)

    (by_itself,) = check_roots([look], "auto")

    assert by_itself.severity is Severity.OK
    assert "nfs4, polled" in by_itself.sentence
    assert "watch.polling" in wrong(look, polling="never")[0].remedy
    assert list(check_limits([look], "auto", WatchLimits(1, 1, 1), is_at_work=False)) == []


def test_a_file_system_that_ignores_case_is_a_note() -> None:
    findings = list(check_roots([RootLook("/m", ignores_case=True)], "auto"))

    assert [finding.severity for finding in findings] == [Severity.NOTE, Severity.OK]


def test_hard_links_that_differ_in_case_do_not_make_a_file_system_ignore_it(tmp_path: Path) -> None:
    (tmp_path / "Name").touch()
    assert not ignores_case(str(tmp_path))
    os.link(tmp_path / "Name", tmp_path / "nAME")

    assert not ignores_case(str(tmp_path))


# The kernel's limits


@pytest.mark.parametrize(("folders", "severity"), [(75_000, Severity.OK), (75_001, Severity.WARNING)])
def test_watches_are_left_to_other_programs(folders: int, severity: Severity) -> None:
    (finding,) = limits(folders, PLENTY)

    assert finding.severity is severity


def test_too_few_watches_come_with_the_command_that_raises_them_for_good() -> None:
    (finding,) = limits(2_000_000, PLENTY, complete=False)

    assert "at least 2,000,000 folders" in finding.sentence
    assert "sudo sysctl fs.inotify.max_user_watches=4194304" in finding.remedy
    assert "/etc/sysctl.d/" in finding.remedy


def test_no_instance_left_is_told_unless_the_daemon_has_its_own_already() -> None:
    full = WatchLimits(100_000, 128, 16_384, instances_used=128)

    (finding,) = limits(10, full)

    assert "max_user_instances=512" in finding.remedy
    assert [one.severity for one in limits(10, full, is_at_work=True)] == [Severity.OK]


def test_a_short_queue_of_events_is_a_note() -> None:
    assert [one.severity for one in limits(10, WatchLimits(100_000, 128, 256))] == [Severity.NOTE, Severity.OK]


def test_the_kernels_limits_are_read_and_this_users_instances_counted(tmp_path: Path) -> None:
    for name, value in (("max_user_watches", "5"), ("max_user_instances", "6"), ("max_queued_events", "7")):
        (tmp_path / name).write_text(f"{value}\n")
    import ctypes

    before = read_limits(tmp_path)
    descriptor = ctypes.CDLL(None).inotify_init()
    after = read_limits(tmp_path)
    os.close(descriptor)

    assert (before.watches, before.instances, before.queued_events) == (5, 6, 7)
    assert after.instances_used > 0
    assert read_limits(tmp_path / "none").watches == 0


def test_where_the_kernel_tells_no_limit_nothing_is_said() -> None:
    assert limits(10, WatchLimits(0, 0, 0)) == []
