"""ComfyUI's folders as roots."""

from pathlib import Path

import pytest

from modelkeep.domain.naming import Root
from modelkeep.errors import SettingsError
from modelkeep.settings.comfyui import comfyui_roots, find_comfyui

EXTRA = """
# as ComfyUI's own example has it
comfyui:
    base_path: ~/shared/
    is_default: true
    checkpoints: models/checkpoints/
    text_encoders: |
        models/text_encoders/
        models/clip/  # legacy location still supported

    configs: models/configs/
    custom_nodes: custom_nodes/

a111:
    base_path: $WEBUI/stable-diffusion-webui
    checkpoints: models/Stable-diffusion
    loras: |
         models/Lora
         models/LyCORIS
    embeddings: [embeddings, /srv/embeddings]

other:
    base_path: beside
    vae: v
    hypernetworks:

nothing:

bare:
    vae: relative/vae
    controlnet: $WEBUI/controlnet
"""


@pytest.fixture
def folder(home: Path) -> Path:
    made = home / "ComfyUI"
    made.mkdir()
    return made


def test_without_the_file_its_models_folder_is_the_root(home: Path, folder: Path) -> None:
    assert comfyui_roots(folder) == [Root(str(folder / "models"))]
    assert comfyui_roots(home / "unplugged") == [Root(str(home / "unplugged" / "models"))]


def test_the_file_is_read_as_comfyui_reads_it(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBUI", "/opt")
    (folder / "extra_model_paths.yaml").write_text(EXTRA)
    assert comfyui_roots(folder) == [
        Root(str(folder / "models")),
        Root(f"{home}/shared/models/checkpoints", "checkpoints"),
        Root(f"{home}/shared/models/text_encoders", "text_encoders"),
        Root(f"{home}/shared/models/clip/  # legacy location still supported", "text_encoders"),
        Root("/opt/stable-diffusion-webui/models/Stable-diffusion", "checkpoints"),
        Root("/opt/stable-diffusion-webui/models/Lora", "loras"),
        Root("/opt/stable-diffusion-webui/models/LyCORIS", "loras"),
        Root("/opt/stable-diffusion-webui/embeddings", "embeddings"),
        Root("/srv/embeddings", "embeddings"),
        Root(f"{folder}/beside/v", "vae"),
        Root(f"{folder}/relative/vae", "vae"),
        Root("/opt/controlnet", "controlnet"),
    ]


def test_what_says_nothing_new_is_left_out(folder: Path) -> None:
    (folder / "extra_model_paths.yaml").write_text(
        "a:\n  base_path: models\n  loras: loras\n  vae: loras/vae\n  text_encoders: clip\n  clip: clip\n"
        "b:\n  loras: models/loras\n  checkpoints: /srv/all\nc:\n  checkpoints: /srv/all/sub\n  vae: /srv/all\n"
    )
    assert comfyui_roots(folder) == [
        Root(f"{folder}/models"),
        Root(f"{folder}/models/loras/vae", "vae"),
        Root(f"{folder}/models/clip", "text_encoders"),
        Root("/srv/all", "checkpoints"),
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a: [", r"it is not valid YAML \(line 1\)\."),
        (b"a:\n  b: c\n d: e\n", r"it is not valid YAML \(line 3\)\."),
        (b"\xff\xfe\x00", "it is not valid YAML"),
        (b"a: 2001-99-99", "it is not valid YAML"),
        (b"[" * 20000, "it is not valid YAML"),
        (b"!!python/object/apply:os.system ['true']", "it is not valid YAML"),
        (b"- a\n- b\n", "it has to hold sections"),
        (b"a: models/checkpoints", "section 'a' has to hold lines"),
        (b"a:\n  loras: 5\n", "loras has to be a path"),
        (b"a:\n  loras: {x: y}\n", "loras has to be a path"),
        (b"a:\n  loras: [5]\n", "loras has to be a path"),
        (b"a:\n  base_path: [x]\n", "base_path has to be a path"),
        (b'a:\n  loras: "x\\0y"\n', "loras has to be a path"),
    ],
)
def test_a_broken_file_is_named(folder: Path, content: bytes, what: str) -> None:
    path = folder / "extra_model_paths.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^{path}: {what}"):
        comfyui_roots(folder)


def test_an_empty_file_says_nothing(folder: Path) -> None:
    (folder / "extra_model_paths.yaml").write_text("# nothing yet\n")
    assert comfyui_roots(folder) == [Root(str(folder / "models"))]


def test_the_usual_places_are_looked_at(home: Path) -> None:
    for place in ("ComfyUI", "comfy/ComfyUI", "src/ComfyUI"):
        (home / place / "models").mkdir(parents=True)
    (home / "ComfyUI" / "main.py").touch()
    (home / "comfy" / "ComfyUI" / "extra_model_paths.yaml").touch()
    found = find_comfyui(home)
    assert [path for path in found if path.is_relative_to(home)] == [home / "ComfyUI", home / "comfy" / "ComfyUI"]


def test_a_comfyui_behind_a_link_is_found_once(home: Path) -> None:
    (home / "ComfyUI" / "models").mkdir(parents=True)
    (home / "ComfyUI" / "main.py").touch()
    (home / "comfyui").symlink_to(home / "ComfyUI")
    assert [path for path in find_comfyui(home) if path.is_relative_to(home)] == [home / "ComfyUI"]
