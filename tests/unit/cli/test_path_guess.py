from pathlib import Path

import pytest

from modelkeep.cli.path_guess import common_folder, folders_to_try, guess_mapping
from modelkeep.domain.naming import PathMap


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("old", ["/srv/models", "D:\\AI\\models", "\\\\nas\\share\\models"])
def test_the_guess_maps_the_old_paths_to_the_files_that_are_here(old: str, tmp_path: Path) -> None:
    separator = "\\" if "\\" in old else "/"
    names = ["checkpoints/a.ckpt", "loras/style/b.safetensors", "loras/gone.safetensors"]
    for name in names[:2]:
        touch(tmp_path / "models" / name)
    paths = [f"{old}{separator}{name.replace('/', separator)}" for name in names]

    guessed = guess_mapping(paths, [str(tmp_path / "other"), str(tmp_path / "models")])

    assert guessed is not None
    assert PathMap((guessed,)).apply(paths[1]) == str(tmp_path / "models" / names[1])


def test_the_folder_that_holds_more_of_the_files_wins(tmp_path: Path) -> None:
    touch(tmp_path / "few" / "a.ckpt")
    touch(tmp_path / "many" / "a.ckpt")
    touch(tmp_path / "many" / "b.ckpt")

    guessed = guess_mapping(["/old/a.ckpt", "/old/b.ckpt"], [str(tmp_path / "few"), str(tmp_path / "many")])

    assert guessed == ("/old", str(tmp_path / "many"))


def test_nothing_is_guessed_where_nothing_is_found(tmp_path: Path) -> None:
    assert guess_mapping(["/old/a.ckpt"], [str(tmp_path)]) is None
    assert guess_mapping([], [str(tmp_path)]) is None


def test_models_near_the_source_are_tried_after_the_roots() -> None:
    folders = folders_to_try(["/mnt/models"], "/home/u/ComfyUI/custom_nodes/hikaze/data/hikaze_mm.sqlite3")

    assert folders[0] == "/mnt/models"
    assert "/home/u/ComfyUI/models" in folders


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["/srv/models/a/x", "/srv/models/b/y"], "/srv/models"),
        (["/srv/models/a/x"], "/srv/models/a"),
        (["D:\\models\\a\\x", "d:\\Models\\b\\y"], "D:\\models"),
        (["/srv/x", "/mnt/y"], ""),
        (["/srv/x", "D:\\y"], ""),
        (["C:\\x", "D:\\y"], ""),
        ([], ""),
    ],
)
def test_the_common_folder_is_the_innermost_that_holds_all(paths: list[str], folder: str) -> None:
    assert common_folder(paths) == folder
