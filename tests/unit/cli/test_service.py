"""The service's commands where nothing is installed by them: wrong use, rights, and what they show."""

import os
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli

from modelkeep.cli import service_place
from modelkeep.cli.service_place import place_of, put, unreachable_for

SHOWN = """\
LoadState=loaded
UnitFileState=enabled
ActiveState=active
SubState=running
Result=success
StatusText=hashing 1 (33 % of 12.0 GB, 680 MB/s); 2 of 2 roots watched
MainPID=4321
NRestarts=1
ActiveEnterTimestamp=Sat 2026-11-21 18:58:26 UTC
MemoryCurrent=123456789
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What systemd is asked; it answers that all is well."""
    asked: list[tuple[str, ...]] = []

    def run(*command: str) -> str:
        asked.append(command)
        return SHOWN

    monkeypatch.setattr(service_place, "run", run)
    monkeypatch.setattr("modelkeep.cli.service.require_systemd", lambda: None)
    return asked


def test_user_and_system_exclude_each_other(cli: Cli) -> None:
    assert cli("service", "status", "--user", "--system").exit_code == 2


def test_without_systemd_there_is_a_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = cli("service", "install", "--user")
    assert done.exit_code == 1
    assert "systemd does not run" in done.stderr


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_the_systems_service_is_roots_to_change(
    cli: Cli, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = cli("service", command, "--system")
    assert done.exit_code == 1
    assert "sudo" in done.stderr
    assert asked == []


def test_status_tells_what_systemd_knows(cli: Cli, asked: list[tuple[str, ...]]) -> None:
    done = cli("service", "status", "--user")
    assert done.exit_code == 0
    for told in (
        "user, enabled",
        "active (running)",
        "hashing 1 (33 %",
        "4321",
        "123 MB",
        "journalctl --user -u model",
    ):
        assert told in done.stdout
    assert asked[0][:3] == ("systemctl", "--user", "show")


def test_a_file_is_written_only_when_its_text_is_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "unit"
    assert [put(path, "a\n"), put(path, "a\n"), put(path, "b\n")] == [True, False, True]
    assert path.read_text() == "b\n"
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_an_account_cannot_read_is_known_beforehand(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inside").mkdir(parents=True)
    closed.chmod(0o700)
    asked = ["/usr", str(closed), str(closed / "inside")]
    assert list(unreachable_for("nobody", asked)) == asked[1:]


def test_units_of_a_user_lie_beside_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert place_of(system=False).unit == tmp_path / "systemd" / "user" / "modelkeep.service"
    assert place_of(system=True).drop_in == Path("/etc/systemd/system/modelkeep.service.d/50-installed.conf")
