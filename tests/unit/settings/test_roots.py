"""The roots: what is refused, what is allowed, and the unix socket that lies beside the data."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelkeep.domain.naming import Root
from modelkeep.errors import SettingsError
from modelkeep.settings.model import RootSettings, Settings, load_settings

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile


def with_roots(data_dir: Path, *paths: Path | str) -> Settings:
    return load_settings(data_dir=data_dir, overrides={"roots": [{"path": str(path)} for path in paths]})


@pytest.mark.parametrize(
    ("root", "data_dir"),
    [("m", "m/data"), ("m/data/inner", "m/data"), ("m", "m"), ("m/", "m/./data"), ("x/../m", "m/data")],
)
def test_a_root_and_the_data_folder_in_one_another_are_refused(home: Path, root: str, data_dir: str) -> None:
    with pytest.raises(SettingsError) as caught:
        with_roots(Path(data_dir), root)
    assert f"'{home / 'm'}" in str(caught.value)
    assert f"data_dir '{home / 'm'}" in str(caught.value)
    assert "roots[0].path" in str(caught.value)


def test_a_link_does_not_hide_that_they_lie_in_one_another(home: Path) -> None:
    (home / "models" / "inner").mkdir(parents=True)
    (home / "data").symlink_to(home / "models" / "inner")
    with pytest.raises(SettingsError, match="lie in one another"):
        with_roots(home / "data", home / "models")


@pytest.mark.parametrize("kept", ["images", "images/pending", "journal", "modelkeep.db"])
def test_a_link_in_the_data_folder_that_leads_into_a_root_is_refused(home: Path, kept: str) -> None:
    (home / "models" / "kept").mkdir(parents=True)
    (home / "data" / kept).parent.mkdir(parents=True)
    (home / "data" / kept).symlink_to(home / "models" / "kept")
    with pytest.raises(SettingsError, match="lie in one another, as they are spelled or by a link"):
        with_roots(home / "data", home / "models")
    assert with_roots(home / "data", home / "models" / "loras").roots  # nothing is kept there


def test_names_that_only_begin_alike_are_no_overlap(home: Path) -> None:
    assert with_roots(home / "data", home / "data-models").roots == (RootSettings(path=home / "data-models"),)


def test_the_same_root_twice_is_refused(home: Path) -> None:
    with pytest.raises(SettingsError, match=r"roots\[1\]\.path: '.*/m' is a root already; name it once"):
        with_roots(home / "data", "m", "./m/")


def test_a_root_in_another_is_allowed(home: Path) -> None:
    settings = with_roots(home / "data", "m", "m/loras")
    assert [root.path for root in settings.model_roots()] == [str(home / "m"), str(home / "m" / "loras")]


def test_a_root_that_is_not_there_is_no_error(home: Path) -> None:
    assert with_roots(home / "data", "/media/unplugged/models").model_roots() == [Root("/media/unplugged/models")]


def test_a_link_stays_as_it_is_spelled(home: Path) -> None:
    (home / "far").mkdir()
    (home / "link").symlink_to(home / "far")
    assert with_roots(home / "data", "link").model_roots() == [Root(str(home / "link"))]


def test_what_comfyui_names_too_is_a_root_once(home: Path, write: "WriteFile") -> None:
    comfyui = home / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "extra_model_paths.yaml").write_text("x:\n  loras: /srv/models/loras\n  vae: /srv/vae\n")
    write(
        f'data_dir = "/srv/keep"\ncomfyui = "{comfyui}"\n'
        f'[[roots]]\npath = "/srv/models"\n[[roots]]\npath = "{comfyui}/models"\ntype = "all"\n'
    )
    assert load_settings().model_roots() == [
        Root("/srv/models"),
        Root(f"{comfyui}/models", "all"),
        Root("/srv/vae", "vae"),
    ]


def test_a_comfyui_around_the_data_folder_is_refused(home: Path) -> None:
    settings = load_settings(data_dir=home / "C" / "models" / "data", overrides={"comfyui": str(home / "C")})
    with pytest.raises(SettingsError, match=r"comfyui = .* lie in one another"):
        settings.model_roots()


def test_made_directly_settings_take_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKEEP_DEV", "1")
    assert Settings(data_dir=Path("/srv/keep")).dev is False


def test_the_socket_lies_in_the_data_folder(home: Path) -> None:
    assert load_settings(data_dir=Path("/srv/keep")).socket_path == Path("/srv/keep/modelkeep.sock")


def test_the_socket_lies_where_systemd_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/modelkeep:/run/other")
    assert load_settings(data_dir=Path("/srv/keep")).socket_path == Path("/run/modelkeep/modelkeep.sock")


def test_a_socket_can_be_chosen_or_left_out() -> None:
    chosen = load_settings(data_dir=Path("/srv/keep"), overrides={"api": {"socket": "/run/m.sock"}})
    assert chosen.socket_path == Path("/run/m.sock")
    assert load_settings(data_dir=Path("/srv/keep"), overrides={"api": {"socket": ""}}).socket_path is None


def test_a_data_folder_too_deep_for_a_socket_gets_one_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = Path("/srv") / ("d" * 90)
    digest = hashlib.sha256(bytes(deep)).hexdigest()[:16]
    assert load_settings(data_dir=deep).socket_path == Path(f"/tmp/modelkeep-{digest}.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert load_settings(data_dir=deep).socket_path == Path(f"/run/user/1000/modelkeep-{digest}.sock")
    assert load_settings(data_dir=deep / "x").socket_path != load_settings(data_dir=deep).socket_path
