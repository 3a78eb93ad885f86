"""The configuration file that ships, and the one that `init` writes."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelkeep.errors import SettingsError
from modelkeep.settings.configuration import configuration_text, default_configuration_text
from modelkeep.settings.model import Settings, load_settings

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile

DEFAULTS = Settings(data_dir=Path("/d")).model_dump(mode="json", exclude={"data_dir", "roots"})


def test_the_shipped_file_lists_every_option_with_its_default() -> None:
    shipped = tomllib.loads(default_configuration_text())
    assert shipped.pop("data_dir") == "data"
    assert shipped == DEFAULTS


def test_every_option_of_the_shipped_file_is_explained() -> None:
    for line in default_configuration_text().splitlines():
        if "=" in line and not line.startswith("#"):
            assert "  # " in line, line


def test_it_changes_nothing_but_the_folders(write: "WriteFile", home: Path) -> None:
    write(configuration_text([home / "models", Path("/srv/loras")], home / "ComfyUI"))
    loaded = load_settings()
    assert [(root.path, root.type) for root in loaded.roots] == [(home / "models", ""), (Path("/srv/loras"), "")]
    assert loaded.comfyui == str(home / "ComfyUI")
    expected: dict[str, Any] = {**DEFAULTS, "comfyui": str(home / "ComfyUI")}
    assert loaded.model_dump(mode="json", exclude={"data_dir", "roots"}) == expected


def test_it_leaves_the_data_folder_to_the_rule(write: "WriteFile", monkeypatch: pytest.MonkeyPatch) -> None:
    write(configuration_text([], None))
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/modelkeep")
    assert load_settings().data_dir == Path("/var/lib/modelkeep")


def test_without_folders_the_example_stays(write: "WriteFile") -> None:
    text = configuration_text([], None)
    assert '# path = "/srv/models"' in text
    write(text)
    assert load_settings().roots == ()


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, NAMES)
@example('a"b', "c\\d")
@example("\\1\\g<0>\n", "\x7f\x1f")
@example('data_dir = "', '# [[roots]]\n# x\ncomfyui = ""')
def test_any_name_comes_back_as_it_was(write: "WriteFile", root: str, comfyui: str) -> None:
    write(configuration_text([Path("/r") / root], Path("/c") / comfyui))
    loaded = load_settings()
    assert ([root.path for root in loaded.roots], loaded.comfyui) == ([Path("/r") / root], f"/c/{comfyui}")


def test_a_name_that_toml_cannot_hold_is_refused() -> None:
    with pytest.raises(SettingsError, match="is not UTF-8"):
        configuration_text([Path("/srv/\udcff")], None)
