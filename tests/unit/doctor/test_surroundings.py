import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.doctor.conftest import House, snapshot

from modelkeep.doctor.examination import examine
from modelkeep.doctor.findings import Finding, Severity
from modelkeep.doctor.premises import Premises, take_premises
from modelkeep.doctor.surroundings import (
    check_address,
    check_data_folder,
    check_hashing,
    check_rights,
    check_settings,
    judge_space,
)
from modelkeep.errors import SettingsError
from modelkeep.pipeline.sha256 import Hashlib
from modelkeep.settings.model import Settings, load_settings

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

GIB = 2**30


def first(check: Callable[[Premises], Iterator[Finding]], settings: Settings) -> Finding:
    return next(check(take_premises(settings)))


@pytest.mark.parametrize(
    ("free", "total", "severity"),
    [
        (GIB - 1, 10 * GIB, Severity.WARNING),
        (GIB, 10 * GIB, Severity.OK),
        (GIB, 100 * GIB, Severity.NOTE),
        (5 * GIB, 100 * GIB, Severity.OK),
        (0, 0, Severity.WARNING),
    ],
)
def test_a_disk_is_full_before_the_last_byte(free: int, total: int, severity: Severity) -> None:
    assert judge_space(free, total).severity is severity


def test_little_free_space_is_told_in_megabytes() -> None:
    assert judge_space(7_400_000, 2 * 10**9).sentence.startswith("7.4 MB of 2.0 GB are free")


def test_what_hashes_is_told_with_the_reason_why_it_is_not_faster() -> None:
    finding = check_hashing(Hashlib("the library was not built"))
    assert (finding.severity, finding.sentence) == (Severity.NOTE, "SHA-256 by hashlib: the library was not built")


@needs_root
def test_files_of_another_user_are_told_with_the_command_that_gives_them_back(house: House) -> None:
    os.chown(house.directory.catalogue, 12345, 12345)

    finding = house.the_wrong("rights")

    assert "modelkeep.db" in finding.sentence
    assert f"sudo chown -R root: {house.directory.path}" in finding.remedy


@needs_root
def test_whoever_is_not_the_owner_is_told_whose_rights_were_looked_at(house: House) -> None:
    for path in (house.directory.path, *house.directory.path.rglob("*")):
        os.chown(path, 12345, 12345)

    assert house.wrong() == []
    assert "12345" in house.notes("rights")[0]


@needs_root
def test_nothing_is_repaired_by_another_user_than_the_owner(house: House) -> None:
    (house.images / "stray.webp").touch()
    os.chown(house.directory.path, 12345, 12345)
    before = snapshot(house.directory.path)

    with pytest.raises(SettingsError, match="belongs to 12345"):
        house.repair()

    assert snapshot(house.directory.path) == before


def test_a_folder_that_may_not_be_entered_is_told_and_nothing_in_it_is_judged(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.directory.lock("modelkeep run")
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != house.directory.path and asked(path, mode))

    finding = house.the_wrong("rights")

    assert str(house.directory.path) in finding.sentence
    told = {one.check for one in house.examine().findings}
    assert not told & {"daemon", "address", "catalogue", "journal", "leftovers"}
    assert "roots" in told
    house.directory.unlock()


def test_a_file_that_may_not_be_written_is_a_problem(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = os.access
    closed = house.directory.catalogue
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and asked(path, mode))

    finding = first(check_rights, house.settings)

    assert finding.severity is Severity.PROBLEM
    assert str(closed) in finding.sentence


def test_a_data_folder_that_is_a_file_is_a_problem_and_nothing_is_looked_for_in_it(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    settings = Settings.model_validate({"data_dir": tmp_path / "data", "api": {"port": 0}})

    assert first(check_data_folder, settings).severity is Severity.PROBLEM
    assert not examine(settings).is_fine


def test_a_data_folder_on_a_network_file_system_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelkeep.doctor.surroundings.is_network_file_system", lambda _: True)

    finding = first(check_data_folder, house.settings)

    assert finding.severity is Severity.WARNING
    assert "data_dir" in finding.remedy


def test_a_port_that_another_program_has_is_a_problem_only_while_the_daemon_is_off(house: House) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings.model_validate({"data_dir": house.directory.path, "api": {"port": port}})

        finding = first(check_address, settings)
        house.directory.lock("modelkeep run")
        while_it_runs = list(check_address(take_premises(settings)))
        house.directory.unlock()

    assert finding.severity is Severity.PROBLEM
    assert f"port {port}" in finding.sentence
    assert while_it_runs == []
    assert first(check_address, settings).severity is Severity.OK


def test_an_address_of_another_machine_is_a_problem(house: House) -> None:
    api = {"host": "203.0.113.9", "port": 8189, "token": "secret"}
    settings = Settings.model_validate({"data_dir": house.directory.path, "api": api})

    finding = first(check_address, settings)

    assert finding.severity is Severity.PROBLEM
    assert "secret" not in finding.sentence


def test_the_configuration_that_was_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('data_dir = "data"\n')

    assert str(file) in first(check_settings, load_settings(file)).sentence
    assert first(check_settings, Settings.model_validate({"data_dir": tmp_path})).severity is Severity.NOTE


def test_a_comfyui_that_cannot_be_read_is_told_and_the_other_roots_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "extra_model_paths.yaml").write_text("a: [")
    settings = Settings.model_validate(
        {"data_dir": tmp_path / "data", "comfyui": str(tmp_path), "roots": [{"path": tmp_path / "models"}]}
    )

    findings = examine(settings).findings

    assert any(one.check == "settings" and "YAML" in one.sentence for one in findings)
    assert any(one.check == "roots" and str(tmp_path / "models") in one.sentence for one in findings)
