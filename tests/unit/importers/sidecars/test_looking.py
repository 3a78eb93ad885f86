"""Which files are seen when a folder is looked at while the daemon runs."""

from pathlib import Path

from modelkeep.domain.naming import MODEL_EXTENSIONS
from modelkeep.importers.sidecars.looking import look_into


def test_example_prompts_are_seen_when_their_model_comes_after_them(tmp_path: Path) -> None:
    for prompts in ("fox.v1", "other"):
        (tmp_path / prompts).mkdir()
        (tmp_path / prompts / "evening.txt").write_text("a fox")
    (tmp_path / "fox.v1.safetensors").write_bytes(b"model")
    (tmp_path / "link.safetensors").write_bytes(b"model")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "file.safetensors").write_bytes(b"model")
    (tmp_path / "file").write_bytes(b"no folder")

    look = look_into([str(tmp_path)], MODEL_EXTENSIONS, lambda _: True)

    assert list(look.seen) == [str(tmp_path / "fox.v1" / "evening.txt")]
    assert look.folders == [str(tmp_path), str(tmp_path / "fox.v1")]
