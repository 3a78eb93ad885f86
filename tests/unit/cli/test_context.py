import sys
from pathlib import Path

import pytest

from modelkeep.cli.context import Invocation
from modelkeep.dev.demo import make_demo


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the program in `bin/`, which is not on the PATH."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "modelkeep"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


@pytest.mark.parametrize(
    ("called", "path", "shown"),
    [
        ("{folder}/bin/modelkeep", "/nowhere", "bin/modelkeep"),
        ("{folder}/bin/modelkeep", "{folder}/bin", "modelkeep"),
        ("/opt/my venv/modelkeep", "/nowhere", "'/opt/my venv/modelkeep'"),
        ("/x/modelkeep/__main__.py", "/nowhere", "modelkeep"),
    ],
)
def test_a_suggested_command_can_be_typed_as_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, called: str, path: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "argv", [called.format(folder=folder)])
    monkeypatch.setenv("PATH", path.format(folder=folder))

    assert Invocation().command("run") == f"{shown} run"


def test_a_suggested_command_means_the_same_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["modelkeep"])

    call = Invocation(Path("my config.toml"), Path("data"))

    assert call.command("status", "--watch").endswith(
        "modelkeep --config 'my config.toml' --data-dir data status --watch"
    )


def test_settings_are_read_once_and_dev_is_only_ever_turned_on(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKEEP_DEV", "1")

    call = Invocation(config)

    assert call.settings is call.settings
    assert call.settings.dev
    assert call.settings.data_dir == config.parent / "data"


def test_a_demo_in_the_data_folder_is_the_root_until_one_is_configured(tmp_path: Path) -> None:
    config = tmp_path / "modelkeep.toml"
    config.write_text('data_dir = "data"\n')
    assert Invocation(config).settings.roots == ()

    demo = make_demo(tmp_path / "data" / "demo")
    call = Invocation(config)
    assert [Path(root.path) for root in call.settings.roots] == [demo.models]
    assert call.shows_demo

    config.write_text(f'data_dir = "data"\n[[roots]]\npath = "{tmp_path}/models"\n')
    own = Invocation(config)
    assert [Path(root.path) for root in own.settings.roots] == [tmp_path / "models"]
    assert not own.shows_demo
