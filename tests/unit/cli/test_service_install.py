"""What `service install` writes and asks of systemd; systemd itself is stood in for."""

import os
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli

from modelkeep.cli import service_install, service_place
from modelkeep.cli.context import Invocation
from modelkeep.cli.service_place import Place
from modelkeep.dev.demo import make_demo
from modelkeep.errors import DaemonError


class Systemd:
    """Answers as systemd does, and takes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.enabled = self.active = False
        self.starts = True

    def run(self, *command: str) -> str:
        words = [word for word in command if word not in ("systemctl", "--user", "modelkeep.service")]
        if words[0] == "show":
            return (
                f"UnitFileState={'enabled' if self.enabled else ''}\nActiveState={'active' if self.active else ''}\n"
            )
        if words[0] == "journalctl":
            return "modelkeep: port 8189 is in use\n"
        self.asked.append(" ".join(words))
        if words[0] in ("start", "restart") and not self.starts:
            raise DaemonError("systemctl start: the control process exited with error code")
        self.enabled |= words[0] == "enable"
        self.active |= words[0] == "start"
        return ""

    def heard(self) -> list[str]:
        """Return what it was asked since it was last asked this."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Systemd:
    systemd = Systemd()
    monkeypatch.setattr(service_place, "run", systemd.run)
    monkeypatch.setattr(service_install, "run", systemd.run)
    monkeypatch.setattr("modelkeep.cli.service.require_systemd", lambda: None)
    monkeypatch.setattr(
        service_install, "is_hidden", lambda path: path.startswith("/var/tmp/")
    )  # pytest's lie in /tmp
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return systemd


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return configure(tmp_path / "config" / "modelkeep" / "modelkeep.toml", tmp_path / "models")


def configure(path: Path, *roots: Path | str, data_dir: Path | str = "../../data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = [f'[[roots]]\npath = "{root}"\n' for root in roots]
    path.write_text("".join([f'data_dir = "{data_dir}"\n', *blocks]))
    return path


def test_a_user_gets_unit_and_drop_in_and_the_data_folder(
    cli: Cli, systemd: Systemd, config: Path, tmp_path: Path
) -> None:
    done = cli("service", "install", "--user")
    assert done.exit_code == 0, done.stderr
    assert systemd.heard() == ["daemon-reload", "enable", "start"]
    units = tmp_path / "config" / "systemd" / "user"
    assert "PrivateUsers=yes" in (units / "modelkeep.service").read_text()
    drop_in = (units / "modelkeep.service.d" / "50-installed.conf").read_text()
    data = tmp_path / "data"
    assert f"--config {config} --data-dir {data} run\n" in drop_in
    assert f"ReadWritePaths={data}\n" in drop_in
    assert data.stat().st_mode & 0o777 == 0o700


def test_again_with_other_roots_it_is_restarted_and_without_left_alone(
    cli: Cli, systemd: Systemd, config: Path, tmp_path: Path
) -> None:
    cli("service", "install", "--user")
    systemd.heard()
    assert "nothing has changed" in cli("service", "install", "--user").stdout
    assert systemd.heard() == []
    configure(config, tmp_path / "models", tmp_path / "more")
    assert "Restarted" in cli("service", "install", "--user").stdout
    assert systemd.heard() == ["daemon-reload", "restart"]


def test_uninstalling_leaves_the_owners_own_drop_in(cli: Cli, systemd: Systemd, config: Path, tmp_path: Path) -> None:
    cli("service", "install", "--user")
    systemd.heard()
    own = tmp_path / "config" / "systemd" / "user" / "modelkeep.service.d" / "mine.conf"
    own.write_text("[Service]\nNice=19\n")
    done = cli("service", "uninstall", "--user")
    assert systemd.heard() == ["disable --now", "daemon-reload", "reset-failed"]
    assert "data stay" in done.stdout
    assert [path.name for path in own.parents[1].rglob("*")] == ["modelkeep.service.d", "mine.conf"]
    assert config.exists()


def test_a_service_that_does_not_start_is_told_with_the_way_to_its_log(
    cli: Cli, systemd: Systemd, config: Path
) -> None:
    systemd.starts = False
    done = cli("service", "install", "--user")
    assert done.exit_code == 1
    assert "journalctl --user -u modelkeep" in done.stderr
    assert "port 8189 is in use" in done.stderr


@pytest.mark.parametrize("has_demo", [False, True])
def test_without_a_root_there_is_nothing_to_install(cli: Cli, systemd: Systemd, config: Path, has_demo: bool) -> None:
    configure(config)
    if has_demo:  # that `make run` made; it stands in for a root, but not for a service's
        make_demo(Invocation(config).settings.data_dir / "demo")
    done = cli("service", "install", "--user")
    assert done.exit_code == 1
    assert f"add a [[roots]] with its path to {config}" in done.stderr
    assert systemd.heard() == []


def test_what_the_service_would_not_see_is_refused(cli: Cli, systemd: Systemd, config: Path, tmp_path: Path) -> None:
    configure(config, tmp_path / "models", data_dir="/var/tmp/modelkeep-test-data")
    try:
        done = cli("service", "install", "--user")
    finally:
        Path("/var/tmp/modelkeep-test-data").rmdir()
    assert done.exit_code == 1
    assert "temporary files" in done.stderr
    assert systemd.heard() == []


def test_what_only_the_environment_says_is_told(
    cli: Cli, systemd: Systemd, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKEEP_API__PORT", "8190")
    done = cli("service", "install", "--user")
    assert "MODELKEEP_API__PORT of your environment will not reach the service" in done.stdout


# The system's


@pytest.fixture
def system(systemd: Systemd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of its own: returns where its configuration belongs."""
    etc = tmp_path / "etc"
    place = Place("system", etc / "systemd" / "system", ())
    monkeypatch.setattr("modelkeep.cli.service.place_of", lambda system: place)
    monkeypatch.setattr(service_install, "USERS_FILE", etc / "sysusers.d" / "modelkeep.conf")
    monkeypatch.setattr(service_install, "SYSTEM_FILE", etc / "modelkeep" / "modelkeep.toml")
    monkeypatch.setattr(service_install, "unreachable_for", lambda account, paths: iter(()))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return etc / "modelkeep" / "modelkeep.toml"


def test_the_systems_configuration_is_the_given_one_with_the_services_data_folder(
    cli: Cli, systemd: Systemd, system: Path, config: Path
) -> None:
    config.write_text(config.read_text() + "[watch]\nsettle_seconds = 7.5\n")
    done = cli("service", "install", "--system")
    assert done.exit_code == 0, done.stderr
    text = system.read_text()
    assert text.startswith('data_dir = "/var/lib/modelkeep"\n')
    assert "settle_seconds = 7.5" in text
    assert systemd.heard()[0].startswith("systemd-sysusers ")
    assert system.stat().st_mode & 0o777 == 0o644


def test_a_token_stays_a_secret(cli: Cli, systemd: Systemd, system: Path, config: Path) -> None:
    config.write_text(config.read_text() + f'[api]\ntoken = "{"secret" * 4}"\n')
    assert cli("service", "install", "--system").exit_code == 0
    assert system.stat().st_mode & 0o777 == 0o600  # until its group is the account's


def test_a_configuration_that_means_something_else_in_etc_is_refused(
    cli: Cli, systemd: Systemd, system: Path, config: Path
) -> None:
    configure(config, "../models")
    done = cli("service", "install", "--system")
    assert done.exit_code == 1
    assert "write its paths in full" in done.stderr
    assert not system.exists()


def test_a_systems_configuration_with_another_data_folder_is_left_and_told(
    cli: Cli, systemd: Systemd, system: Path, config: Path, tmp_path: Path
) -> None:
    configure(system, tmp_path / "models", data_dir=tmp_path / "elsewhere")
    done = cli("service", "install", "--system")
    assert done.exit_code == 1
    assert 'data_dir = "/var/lib/modelkeep"' in done.stderr
    assert "elsewhere" in system.read_text()
