import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from modelkeep.cli.app import app
from modelkeep.settings.model import load_settings

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def init(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def make_comfyui(folder: Path) -> Path:
    (folder / "models" / "loras").mkdir(parents=True)
    (folder / "main.py").write_text("")
    (folder / "models" / "loras" / "a.safetensors").write_bytes(b"x" * 1500)
    return folder


def test_the_written_configuration_is_the_one_that_is_read_next(tmp_path: Path, home: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / 'quo"te').mkdir()

    result = init("init", "--root", str(tmp_path / "one"), "--root", str(tmp_path / 'quo"te'))

    assert result.exit_code == 0, result.output
    settings = load_settings()
    assert settings.config_file == home / ".config" / "modelkeep" / "modelkeep.toml"
    assert [root.path for root in settings.model_roots()] == [str(tmp_path / "one"), str(tmp_path / 'quo"te')]
    assert f"Written: {settings.config_file}" in result.stdout
    assert "modelkeep run" in result.stdout


def test_relative_roots_are_written_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)

    assert init("--config", "new.toml", "init", "--root", "models").exit_code == 0

    written = tomllib.loads((tmp_path / "new.toml").read_text("utf-8"))
    assert written["roots"] == [{"path": str(tmp_path / "models"), "type": ""}]


def test_the_data_folder_of_the_command_line_is_written_down(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    config = tmp_path / "new.toml"

    result = init(
        "--config", str(config), "--data-dir", str(tmp_path / "data"), "init", "--root", str(tmp_path / "models")
    )

    assert result.exit_code == 0, result.output
    assert load_settings(config).data_dir == tmp_path / "data"


def test_what_is_found_is_shown_by_type(tmp_path: Path) -> None:
    comfyui = make_comfyui(tmp_path / "elsewhere")

    result = init("--config", str(tmp_path / "new.toml"), "init", "--comfyui", str(comfyui))

    assert result.exit_code == 0, result.output
    assert str(comfyui / "models") in result.stdout
    assert "loras" in result.stdout
    assert "1 model file, 1.5 kB" in result.stdout
    assert load_settings(tmp_path / "new.toml").comfyui == str(comfyui)


def test_without_options_the_comfyui_in_the_usual_place_is_taken(home: Path) -> None:
    comfyui = make_comfyui(home / "ComfyUI")

    result = init("init")

    assert result.exit_code == 0, result.output
    assert f"Found ComfyUI: {comfyui}" in result.stdout
    assert [root.path for root in load_settings().model_roots()] == [str(comfyui / "models")]


def test_where_nothing_is_found_nothing_is_written(home: Path) -> None:
    result = init("init")

    assert result.exit_code == 1
    assert "modelkeep init --root DIR" in result.stderr
    assert not (home / ".config").exists()


@pytest.mark.parametrize("option", ["--root", "--comfyui"])
def test_a_folder_that_does_not_exist_is_named(option: str, tmp_path: Path) -> None:
    result = init("--config", str(tmp_path / "new.toml"), "init", option, str(tmp_path / "gone"))

    assert result.exit_code == 2
    assert str(tmp_path / "gone") in result.stderr
    assert not (tmp_path / "new.toml").exists()


def test_an_existing_configuration_is_left_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("# mine\n")
    (tmp_path / "models").mkdir()

    result = init("--config", str(config), "init", "--root", str(tmp_path / "models"))

    assert result.exit_code == 1
    assert str(config) in result.stderr
    assert config.read_text() == "# mine\n"


def test_a_root_whose_name_no_configuration_can_hold_is_refused(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    Path(folder).mkdir()

    result = init("--config", str(tmp_path / "new.toml"), "init", "--root", folder)

    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr
    assert not (tmp_path / "new.toml").exists()


def test_a_home_folder_that_nobody_knows_is_a_folder_that_is_not_there() -> None:
    result = init("init", "--root", "~nosuchuser/models")
    assert (result.exit_code, "there is no such folder" in result.stderr) == (2, True)
