from pathlib import Path

from modelkeep.cli.library import TypeCount, count_models
from modelkeep.domain.naming import Root

EXTENSIONS = (".safetensors", ".ckpt")


def make(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)


def test_model_files_are_counted_by_type_and_everything_else_is_not(tmp_path: Path) -> None:
    make(tmp_path / "loras" / "a.safetensors", 10)
    make(tmp_path / "loras" / "deep" / "B.SAFETENSORS", 20)
    make(tmp_path / "checkpoints" / "c.ckpt", 500)
    make(tmp_path / "top.ckpt", 1)
    make(tmp_path / "loras" / "notes.txt", 1000)
    make(tmp_path / "loras" / "half.safetensors.part", 1000)
    make(tmp_path / ".trash" / "loras" / "old.safetensors", 1000)

    assert count_models([Root(str(tmp_path))], EXTENSIONS) == [
        TypeCount("checkpoints", 1, 500),
        TypeCount("loras", 2, 30),
        TypeCount("", 1, 1),
    ]


def test_a_root_inside_another_is_counted_once_with_its_own_type(tmp_path: Path) -> None:
    make(tmp_path / "stuff" / "a.ckpt", 5)

    roots = [Root(str(tmp_path)), Root(str(tmp_path / "stuff"), "loras")]

    assert count_models(roots, EXTENSIONS) == [TypeCount("loras", 1, 5)]


def test_links_in_a_circle_and_links_to_nowhere_end_nothing(tmp_path: Path) -> None:
    make(tmp_path / "loras" / "a.ckpt", 5)
    (tmp_path / "loras" / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "loras" / "gone.ckpt").symlink_to(tmp_path / "nowhere")

    assert count_models([Root(str(tmp_path))], EXTENSIONS) == [TypeCount("loras", 1, 5)]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert count_models([Root(str(tmp_path / "gone"))], EXTENSIONS) == []


def test_a_folder_to_which_a_link_in_another_root_leads_is_counted_once(tmp_path: Path) -> None:
    make(tmp_path / "one" / "loras" / "a.ckpt", 5)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "linked").symlink_to(tmp_path / "one" / "loras")

    roots = [Root(str(tmp_path / "one")), Root(str(tmp_path / "two"))]

    assert count_models(roots, EXTENSIONS) == [TypeCount("loras", 1, 5)]
