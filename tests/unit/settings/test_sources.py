"""Where values come from, and which source wins."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import modelkeep
from modelkeep.errors import SettingsError
from modelkeep.settings.model import load_settings

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile

CHECKOUT = Path(modelkeep.__file__).resolve().parents[2]
PORT = "[api]\nport = {}\n"


def test_command_line_beats_environment_beats_file_beats_default(
    write: "WriteFile", monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    assert load_settings().api.port == 8189
    write(PORT.format(1))
    assert load_settings().api.port == 1
    monkeypatch.setenv("MODELKEEP_API__PORT", "2")
    assert load_settings().api.port == 2
    assert load_settings(overrides={"api": {"port": 3}}).api.port == 3


def test_a_table_is_put_together_key_by_key_from_all_sources(
    write: "WriteFile", monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[api]\nport = 1\ntoken = "file"\n')
    monkeypatch.setenv("MODELKEEP_API__TOKEN", "environment")
    api = load_settings(overrides={"api": {"host": "0.0.0.0"}}).api
    assert (api.host, api.port, api.token) == ("0.0.0.0", 1, "environment")


def test_lists_and_tables_in_the_environment_are_json(write: "WriteFile", monkeypatch: pytest.MonkeyPatch) -> None:
    write('[[roots]]\npath = "/srv/file"\n')
    monkeypatch.setenv("MODELKEEP_ROOTS", '[{"path": "/srv/a"}, {"path": "b", "type": "loras"}]')
    monkeypatch.setenv("MODELKEEP_WATCH__EXTENSIONS", '["GGUF", ".gguf", " .Sft"]')
    monkeypatch.setenv("MODELKEEP_SWEEP", '{"interval_seconds": 5}')
    monkeypatch.setenv("MODELKEEP_DEV", "1")
    monkeypatch.setenv("MODELKEEP_HASHING__YIELD_UNDER_PRESSURE", "false")
    settings = load_settings()
    assert [(str(root.path), root.type) for root in settings.roots] == [("/srv/a", ""), (f"{Path.cwd()}/b", "loras")]
    assert settings.watch.extensions == (".gguf", ".sft")
    assert settings.sweep.interval_seconds == 5
    assert (settings.dev, settings.hashing.yield_under_pressure) == (True, False)


def test_dev_on_the_command_line_leaves_the_choice_when_it_is_absent(write: "WriteFile") -> None:
    write("dev = true\n")
    assert load_settings().dev is True
    assert load_settings(dev=False).dev is False


def test_exactly_one_file_is_read_the_first_that_exists(
    home: Path, write: "WriteFile", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().config_file == CHECKOUT / "config" / "modelkeep.toml"
    user = write(PORT.format(1))
    assert load_settings().config_file == user
    elsewhere = home / "xdg" / "modelkeep" / "modelkeep.toml"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("dev = true\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    settings = load_settings()
    assert (settings.config_file, settings.dev, settings.api.port) == (elsewhere, True, 8189)
    (home / "named.toml").write_text(PORT.format(2))
    monkeypatch.setenv("MODELKEEP_CONFIG", "~/named.toml")
    assert load_settings().config_file == home / "named.toml"
    assert load_settings(user).config_file == user


def test_a_relative_xdg_folder_is_ignored_as_its_specification_says(
    write: "WriteFile", monkeypatch: pytest.MonkeyPatch
) -> None:
    user = write("")
    monkeypatch.setenv("XDG_CONFIG_HOME", "elsewhere")
    assert load_settings().config_file == user


def test_a_named_file_that_does_not_exist_is_an_error(write: "WriteFile", monkeypatch: pytest.MonkeyPatch) -> None:
    write("")
    with pytest.raises(SettingsError, match=r"/no/file\.toml: there is no such file, though --config names it\."):
        load_settings(Path("/no/file.toml"))
    monkeypatch.setenv("MODELKEEP_CONFIG", "/no/other.toml")
    with pytest.raises(SettingsError, match=r"/no/other\.toml.*\$MODELKEEP_CONFIG"):
        load_settings()
    monkeypatch.setenv("MODELKEEP_CONFIG", "")
    assert load_settings().config_file is not None


def test_a_link_to_nothing_is_not_passed_over(home: Path) -> None:
    path = home / ".config" / "modelkeep" / "modelkeep.toml"
    path.parent.mkdir(parents=True)
    path.symlink_to("/no/such/file")
    with pytest.raises(SettingsError, match=r"modelkeep\.toml: it cannot be read: No such file"):
        load_settings()


def test_paths_in_a_file_start_at_its_folder(write: "WriteFile", home: Path) -> None:
    path = write(
        'data_dir = "state"\ncomfyui = "../ComfyUI"\n[[roots]]\npath = "models"\n'
        '[[roots]]\npath = "~/loras"\n[api]\nsocket = "m.sock"\n'
    )
    settings = load_settings()
    assert settings.data_dir == path.parent / "state"
    assert settings.comfyui == str(home / ".config" / "ComfyUI")
    assert [root.path for root in settings.roots] == [path.parent / "models", home / "loras"]
    assert settings.socket_path == path.parent / "m.sock"


def test_paths_elsewhere_start_at_the_current_folder(
    write: "WriteFile", home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    monkeypatch.setenv("MODELKEEP_DATA_DIR", "from/environment")
    assert load_settings().data_dir == home / "from" / "environment"
    assert load_settings(data_dir=Path("from/command-line")).data_dir == home / "from" / "command-line"


def test_a_step_up_from_a_link_starts_where_the_link_leads(home: Path) -> None:
    (home / "far" / "inner").mkdir(parents=True)
    (home / "link").symlink_to(home / "far" / "inner")
    assert load_settings(data_dir=Path("link/../data")).data_dir == home / "far" / "data"
    assert load_settings(data_dir=Path("link/data")).data_dir == home / "link" / "data"


def test_the_checkouts_own_file_starts_at_the_checkout() -> None:
    own = CHECKOUT / "config" / "modelkeep.toml"
    assert load_settings().data_dir == CHECKOUT / "data"
    assert load_settings(own).data_dir == CHECKOUT / "data"


def test_without_a_data_dir_in_the_file_a_checkout_has_its_own(write: "WriteFile") -> None:
    write("")
    assert load_settings().data_dir == CHECKOUT / "data"


@pytest.mark.parametrize("value", ["/var/lib/modelkeep", "/var/lib/modelkeep:/var/lib/other"])
def test_under_systemd_its_state_directory_is_used(
    write: "WriteFile", monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", value)
    assert load_settings().data_dir == Path("/var/lib/modelkeep")  # though the checkout's own file says `data`
    write("")
    assert load_settings().data_dir == Path("/var/lib/modelkeep")
    write('data_dir = "/srv/keep"\n')
    assert load_settings().data_dir == Path("/srv/keep")


def test_a_current_folder_that_was_deleted_does_no_harm(
    write: "WriteFile", home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    (home / "gone").mkdir()
    monkeypatch.chdir(home / "gone")
    monkeypatch.setenv("PWD", str(home / "gone"))
    (home / "gone").rmdir()
    assert load_settings(data_dir=Path("../data")).data_dir == home / "data"


def test_a_name_that_is_not_utf8_is_taken(write: "WriteFile", home: Path) -> None:
    write("")
    assert load_settings(data_dir=Path("a\udcffb")).data_dir == home / "a\udcffb"


INSTALLED = """
from modelkeep.settings.model import configuration_text, default_configuration_text, load_settings
settings = load_settings()
print(settings.data_dir, settings.config_file, sep="\\n")
print(default_configuration_text() == open({shipped!r}).read())
print("[[roots]]" in configuration_text([settings.data_dir], None))
"""


def test_installed_it_keeps_its_state_where_the_user_keeps_such_things(home: Path, write: "WriteFile") -> None:
    site = home / "site"
    shutil.copytree(
        CHECKOUT / "daemon" / "modelkeep", site / "modelkeep", ignore=shutil.ignore_patterns("__pycache__")
    )
    shipped = CHECKOUT / "config" / "modelkeep.toml"
    shutil.copy(shipped, site / "modelkeep")
    user = write("")

    def run(**environment: str) -> list[str]:
        result = subprocess.run(
            [sys.executable, "-c", INSTALLED.format(shipped=str(shipped))],
            env={**os.environ, "PYTHONPATH": str(site), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout.splitlines()

    assert run() == [str(home / ".local/state/modelkeep"), str(user), "True", "True"]
    assert run(XDG_STATE_HOME="/x")[0] == "/x/modelkeep"
    assert run(STATE_DIRECTORY="/var/lib/mk", XDG_STATE_HOME="/x")[0] == "/var/lib/mk"
