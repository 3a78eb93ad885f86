"""The demo library is whole, believable, always the same, and made over nothing else."""

import hashlib
import shutil
import sqlite3
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from modelkeep.dev.demo import DemoLibrary, make_demo
from modelkeep.dev.place import MARKER
from modelkeep.domain.formats import Completeness, judge
from modelkeep.domain.header import ReadAt
from modelkeep.errors import ModelkeepError


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoLibrary:
    return make_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def rows(demo: DemoLibrary, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The rows of `models` by path below the folder of models, read from a copy."""
    copy = tmp_path_factory.mktemp("copy") / "copy.sqlite3"
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{demo.database}{suffix}", f"{copy}{suffix}")
    connection = sqlite3.connect(copy)
    connection.row_factory = sqlite3.Row
    found = {
        str(Path(row["path"]).relative_to(demo.models)): dict(row)
        for row in connection.execute(
            "SELECT m.*, (SELECT group_concat(t.name) FROM tags t JOIN model_tags l ON l.tag_id = t.id"
            " WHERE l.model_id = m.id) AS tags FROM models m"
        )
    }
    connection.close()
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reader_of(content: bytes) -> ReadAt:
    return lambda offset, length: content[offset : offset + length]


def model_files(demo: DemoLibrary) -> dict[str, Path]:
    return {str(path.relative_to(demo.models)): path for path in demo.models.rglob("*") if path.is_file()}


def test_the_files_have_the_sizes_and_formats_of_models(demo: DemoLibrary) -> None:
    files = model_files(demo)
    assert 20 <= len(files) <= 30
    for path in files.values():
        size = path.stat().st_size
        assert 50_000 <= size <= 320_000
        content = path.read_bytes()
        if path.suffix == ".safetensors":
            assert judge(path.name, size, reader_of(content)) is Completeness.WHOLE
        elif path.suffix == ".gguf":
            assert content[:8] == b"GGUF\x03\x00\x00\x00"
        else:
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
                assert "archive/data.pkl" in archive.namelist()


def test_the_database_lies_in_its_wal(demo: DemoLibrary) -> None:
    assert demo.database.stat().st_size == 4096
    assert demo.database.read_bytes()[18:20] == b"\x02\x02"
    assert Path(f"{demo.database}-wal").stat().st_size > 50_000
    assert not Path(f"{demo.database}-shm").exists()


def test_every_case_that_the_list_names_is_there(demo: DemoLibrary, rows: dict[str, dict[str, Any]]) -> None:
    files = model_files(demo)
    hashes = {name: digest(path) for name, path in files.items()}
    claims = {name: row["hash_hex"] for name, row in rows.items() if row["hash_hex"]}
    right = [name for name, claim in claims.items() if claim == hashes[name]]
    upper = [name for name, claim in claims.items() if claim != hashes[name] and claim.lower() == hashes[name]]
    wrong = [name for name, claim in claims.items() if claim.lower() != hashes[name]]
    assert (len(right) >= 5, upper, wrong) == (
        True,
        ["loras/style/watercolour.safetensors"],
        ["loras/detail/add_detail.safetensors"],
    )
    assert sorted(set(rows) - set(files)) == ["loras/detail/age_slider.safetensors"]
    assert sorted(set(files) - set(rows)) == [
        "checkpoints/new/mystery_merge.safetensors",
        "loras/new/just_downloaded.safetensors",
    ]
    twins = {value for value, count in Counter(hashes.values()).items() if count == 2}
    heroes, juggernauts = (
        [rows[name] for name in sorted(rows) if hashes.get(name) in twins and part in name]
        for part in ("hero", "juggernaut")
    )
    assert len(heroes) == len(juggernauts) == len(twins) == 2
    assert heroes[0]["extra_json"] != heroes[1]["extra_json"]
    assert [row["extra_json"] is None for row in juggernauts] == [True, False]


def test_rows_say_what_a_user_would_have_said(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["checkpoints/sd15/dreamlike_v2.safetensors"]
    assert row["tags"] == "checkpoints,favourite,photo"
    for part in ("description", "community_links", "prompts", "params", "/media/model_1_"):
        assert part in row["extra_json"]
    assert any("水彩" in name for name in rows)
    assert all(row["type"] in row["tags"].split(",") for row in rows.values())


def test_the_images_are_of_every_kind(demo: DemoLibrary) -> None:
    kinds: list[tuple[str | None, bool]] = []
    broken, turned, seen = [], [], set()
    for path in sorted(demo.images.iterdir()):
        try:
            with Image.open(path) as image:
                kinds.append((image.format, getattr(image, "n_frames", 1) > 1))
                upright = ImageOps.exif_transpose(image)
                if upright.size != image.size:
                    turned.append(path.name)
                seen.add(upright.convert("RGB").resize((16, 16)).tobytes())
        except UnidentifiedImageError:
            broken.append(path.name)
    assert set(kinds) == {("PNG", False), ("JPEG", False), ("WEBP", False), ("GIF", True)}
    assert (len(broken), len(turned), len(seen)) == (1, 1, len(kinds))


def test_the_content_is_the_same_every_time(demo: DemoLibrary, tmp_path: Path) -> None:
    again = make_demo(tmp_path / "new" / "demo")
    assert {name: digest(path) for name, path in model_files(again).items()} == {
        name: digest(path) for name, path in model_files(demo).items()
    }
    assert [digest(path) for path in sorted(again.images.iterdir())] == [
        digest(path) for path in sorted(demo.images.iterdir())
    ]


def test_a_library_that_is_there_is_returned_as_it_is(tmp_path: Path) -> None:
    first = make_demo(tmp_path)
    (first.models / "mine.safetensors").write_bytes(b"mine")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert make_demo(tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelkeepError, match="is not empty and no whole demo library"):
        make_demo(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis.txt"]


def test_a_library_that_was_never_finished_is_refused(tmp_path: Path) -> None:
    make_demo(tmp_path)
    (tmp_path / MARKER).unlink()
    with pytest.raises(ModelkeepError, match="no whole demo library"):
        make_demo(tmp_path)


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "demo"):
        with pytest.raises(ModelkeepError, match="cannot hold a demo library: Not a directory"):
            make_demo(place)
