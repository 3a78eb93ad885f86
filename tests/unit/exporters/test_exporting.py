import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelkeep.disk.exported import ExportedFiles
from modelkeep.domain.naming import Root, is_temporary
from modelkeep.errors import ImageError
from modelkeep.exporters import writing
from modelkeep.exporters.base import Order
from modelkeep.exporters.existing import look_at
from modelkeep.exporters.exporting import Export, ExportOptions, FileOutcome
from modelkeep.exporters.registry import EXPORTERS
from modelkeep.exporters.writing import NotWritten, write_file

SHA256 = "40dc1708" * 8
PNG = b"\x89PNG a picture"
FULL = {"description": "felt", "notes": "soft"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "loras").mkdir(parents=True)
    (folder / "loras" / "felt.safetensors").write_bytes(b"model")
    return folder


def details(path: Path, *, images: bool = False, **more: Any) -> dict[str, Any]:
    """Return the answer about a model, as the interface gives it."""
    model = {
        "sha256": SHA256,
        "name": "Wool Felt",
        "type": "loras",
        "path": str(path),
        "size_bytes": 5,
        "created_at": 1_700_000_000_000,
        "tags": [{"id": 1, "name": "style"}],
        "meta_json": FULL,
    }
    location = {"path": str(path), "state": "present", "claimed": False}
    pictures = [{"seq": 0}] if images else []
    return {"model": model, "locations": [location], "images": pictures, "base": "SDXL", **more}


def picture_of(sha256: str, seq: int) -> bytes:
    return PNG


def export(root: Path, known: dict[str, Any], kind: str = "webui", **options: Any) -> list[FileOutcome]:
    settings = ExportOptions([Root(str(root))], (".safetensors", ".ckpt"), **options)
    exported = ExportedFiles(root.parent / "exported")
    return list(Export(EXPORTERS[kind], settings, exported, picture_of).files(known))


def told(outcomes: list[FileOutcome]) -> list[tuple[str, str]]:
    return [(Path(outcome.path).name, outcome.outcome) for outcome in outcomes]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_created_once_and_nothing_else_is_touched(root: Path) -> None:
    model = root / "loras" / "felt.safetensors"
    before = everything(root)

    first = export(root, details(model, images=True))
    after = everything(root)
    second = export(root, details(model, images=True))

    assert told(first) == [("felt.json", "created"), ("felt.preview.png", "created")]
    assert after.keys() - before.keys() == {"loras/felt.json", "loras/felt.preview.png"}
    assert after.items() >= before.items()
    assert after["loras/felt.preview.png"] == PNG
    assert told(second) == [("felt.json", "unchanged")]
    assert everything(root) == after


def test_a_dry_run_lists_the_same_and_writes_nothing(root: Path) -> None:
    model = root / "loras" / "felt.safetensors"
    dry = export(root, details(model, images=True), dry_run=True)

    assert everything(root).keys() == {"loras/felt.safetensors"}
    assert told(export(root, details(model, images=True))) == told(dry)


def test_a_file_of_another_is_completed_with_its_mode(root: Path) -> None:
    model, sidecar = root / "loras" / "felt.safetensors", root / "loras" / "felt.json"
    sidecar.write_text('{"unknown": 1, "notes": "theirs"}')
    sidecar.chmod(0o640)

    assert told(export(root, details(model))) == [("felt.json", "changed")]

    value = json.loads(sidecar.read_text())
    assert list(value)[:2] == ["unknown", "notes"]
    assert (value["notes"], value["description"]) == ("theirs", "felt")
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o640
    assert told(export(root, details(model), order=Order(prefer_ours=True))) == [("felt.json", "changed")]
    assert json.loads(sidecar.read_text())["notes"] == "soft"


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'{"notes": "\xff"}', b"[" * 100_000, b""],
)
def test_what_cannot_be_read_without_loss_is_never_overwritten(root: Path, content: bytes) -> None:
    sidecar = root / "loras" / "felt.json"
    sidecar.write_bytes(content)

    (outcome,) = export(root, details(root / "loras" / "felt.safetensors"), order=Order(prefer_ours=True))

    assert (outcome.outcome, sidecar.read_bytes()) == ("skipped", content)
    assert "not overwritten" in outcome.reason


def test_links_are_not_written_through(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    target.write_text("{}")
    (root / "loras" / "felt.json").symlink_to(target)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "far.safetensors").write_bytes(b"x")
    (root / "linked").symlink_to(tmp_path / "outside")

    (beside,) = export(root, details(root / "loras" / "felt.safetensors"))
    (behind,) = export(root, details(root / "linked" / "far.safetensors"))

    assert (beside.outcome, target.read_text()) == ("skipped", "{}")
    assert "link" in beside.reason
    assert "link leads there out of the root" in behind.reason
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["far.safetensors"]


def test_a_stem_that_two_models_share_is_left_alone_unless_the_format_has_full_names(root: Path) -> None:
    model = root / "loras" / "felt.safetensors"
    model.with_suffix(".ckpt").write_bytes(b"other")

    (shared,) = export(root, details(model, images=True), previews=False)
    full = export(root, details(model), kind="rgthree")

    assert (shared.outcome, shared.reason) == ("skipped", "felt.ckpt would share it")
    assert told(full) == [("felt.safetensors.rgthree-info.json", "created")]


@pytest.mark.parametrize("preview", ["felt.webp", "FELT.Preview.PNG", "felt.thumb.jpg", "felt.mp4"])
def test_a_preview_that_is_there_is_enough(root: Path, preview: str) -> None:
    (root / "loras" / preview).write_bytes(b"theirs")
    model = root / "loras" / "felt.safetensors"

    assert told(export(root, details(model, images=True))) == [("felt.json", "created")]


def test_the_picture_of_a_model_called_preview_is_not_anothers(root: Path) -> None:
    (root / "loras" / "felt.preview.safetensors").write_bytes(b"m")
    model = root / "loras" / "felt.safetensors"

    assert told(export(root, details(model, images=True))) == [("felt.json", "created")]


def test_lora_manager_is_told_of_the_preview_and_an_image_that_is_gone_is_told(root: Path) -> None:
    def gone(sha256: str, seq: int) -> bytes:
        raise ImageError("it is gone")

    model = root / "loras" / "felt.safetensors"
    settings = ExportOptions([Root(str(root))], (".safetensors",))
    export_ = Export(EXPORTERS["lora-manager"], settings, ExportedFiles(root.parent / "exported"), gone)

    sidecar, picture = export_.files(details(model, images=True))

    assert (sidecar.outcome, picture.outcome) == ("created", "failed")
    assert json.loads(Path(sidecar.path).read_text())["preview_url"] == ""


def test_another_folder_gets_the_same_files_in_folders_like_the_roots(root: Path, tmp_path: Path) -> None:
    model = root / "loras" / "felt.safetensors"

    (outcome,) = export(root, details(model), to=tmp_path / "out", previews=False)

    assert outcome.path == str(tmp_path / "out" / "models" / "loras" / "felt.json")
    assert json.loads(Path(outcome.path).read_text())["notes"] == "soft"
    assert everything(root).keys() == {"loras/felt.safetensors"}


def test_what_the_disk_does_not_take_has_failed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder can be made here")

    (outcome,) = export(root, details(root / "loras" / "felt.safetensors"), to=tmp_path / "out", previews=False)

    assert (outcome.outcome, outcome.reason) == ("failed", "it cannot be written: Not a directory")


def test_only_some_folders_and_only_what_lies_in_a_root(root: Path, tmp_path: Path) -> None:
    model = root / "loras" / "felt.safetensors"

    assert export(root, details(model), only=(str(root / "checkpoints"),)) == []
    (outside,) = export(root, details(tmp_path / "elsewhere.safetensors"))
    (missing,) = export(root, {**details(model), "locations": []})
    assert "no configured root" in outside.reason
    assert "content is there" in missing.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(root: Path) -> None:
    (root / "loras").chmod(0o555)
    try:
        (outcome,) = export(root, details(root / "loras" / "felt.safetensors"))
    finally:
        (root / "loras").chmod(0o755)
    assert outcome.reason == "its folder may not be written"


def test_hashes_beside_models_are_only_replaced_on_request(root: Path) -> None:
    model, sidecar = root / "loras" / "felt.safetensors", root / "loras" / "felt.sha256"
    sidecar.write_text(f"{SHA256}  felt.safetensors\n")
    assert told(export(root, details(model), kind="pysssss")) == [("felt.sha256", "unchanged")]

    sidecar.write_text("0" * 64)
    (kept,) = export(root, details(model), kind="pysssss")
    (replaced,) = export(root, details(model), kind="pysssss", order=Order(prefer_ours=True))
    assert (kept.outcome, replaced.outcome, sidecar.read_text()) == ("skipped", "changed", SHA256)
    # Nothing of another's text is left in one that was replaced, so it is no news.
    assert ExportedFiles(root.parent / "exported").holds(hashlib.sha256(sidecar.read_bytes()).hexdigest())
    sidecar.write_text("\n")
    assert told(export(root, details(model), kind="pysssss")) == [("felt.sha256", "changed")]


def test_a_file_that_changed_or_appeared_meanwhile_is_left_as_it_is(root: Path) -> None:
    sidecar = root / "loras" / "felt.json"
    absent = look_at(str(sidecar))
    sidecar.write_text("theirs")
    with pytest.raises(NotWritten, match="appeared"):
        write_file(str(sidecar), b"ours", absent)

    seen = look_at(str(sidecar))
    sidecar.write_text("theirs again")
    with pytest.raises(NotWritten, match="changed"):
        write_file(str(sidecar), b"ours", seen)
    assert everything(root).keys() == {"loras/felt.json", "loras/felt.safetensors"}
    assert sidecar.read_text() == "theirs again"


KILLED = """
import sys
from modelkeep.exporters.existing import look_at
from modelkeep.exporters.writing import write_file
write_file(sys.argv[1], b"new", look_at(sys.argv[1]))
"""


@pytest.mark.parametrize("point", ["export.rename.before", "export.rename.after"])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_kill_leaves_the_old_file_or_the_new_one(root: Path, point: str, old: bytes | None) -> None:
    sidecar = root / "loras" / "felt.json"
    if old is not None:
        sidecar.write_bytes(old)

    environment = {**os.environ, "MODELKEEPTEST_FAILPOINT": point, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(sidecar)], env=environment, check=False)

    assert killed.returncode == 137
    held = sidecar.read_bytes() if sidecar.exists() else None
    assert held == (old if point.endswith("before") else b"new")
    left = {path.name for path in sidecar.parent.iterdir()} - {"felt.json", "felt.safetensors"}
    assert all(is_temporary(name) and name.startswith(writing.TEMPORARY_PREFIX) for name in left)


def test_what_a_killed_export_left_is_swept_later(root: Path) -> None:
    left = root / "loras" / f"{writing.TEMPORARY_PREFIX}0123"
    left.write_bytes(b"half")
    export(root, details(root / "loras" / "felt.safetensors"))
    assert left.exists()

    os.utime(left, (0, 0))
    export(root, details(root / "loras" / "felt.safetensors"))
    assert not left.exists()


@pytest.fixture
def noted(tmp_path: Path) -> ExportedFiles:
    return ExportedFiles(tmp_path / "exported")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_written_is_known_by_its_content_wherever_it_is_moved(root: Path, noted: ExportedFiles) -> None:
    assert not noted.holds("00" * 32)
    (outcome,) = export(root, details(root / "loras" / "felt.safetensors"))

    moved = Path(outcome.path).rename(root / "moved.json")

    assert noted.holds(digest(moved))
    moved.write_text("edited")
    assert not noted.holds(digest(moved))


def test_what_another_wrote_and_nobody_took_in_is_news_still(root: Path, noted: ExportedFiles) -> None:
    model, sidecar = root / "loras" / "felt.safetensors", root / "loras" / "felt.json"
    sidecar.write_text('{"notes": "theirs"}')
    export(root, details(model))
    assert not noted.holds(digest(sidecar))

    sidecar.write_text('{"notes": "theirs, again"}')
    export(root, details(model, sources={"webui": [{"key": str(sidecar), "kind": "webui", "raw": {}}]}))
    assert noted.holds(digest(sidecar))


def test_notes_of_what_was_written_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "exported"
    ExportedFiles(path).note([("/a", b"a")])
    path.write_bytes(path.read_bytes() + b"0123")
    reader = ExportedFiles(path)
    assert reader.holds(hashlib.sha256(b"a").hexdigest())

    ExportedFiles(path).note([("/b", b"b"), ("/b", b"b"), ("/a", b"a")])

    assert reader.holds(hashlib.sha256(b"b").hexdigest())
    assert len(path.read_bytes().splitlines()) == 3
    path.unlink()
    assert not reader.holds(hashlib.sha256(b"a").hexdigest())
