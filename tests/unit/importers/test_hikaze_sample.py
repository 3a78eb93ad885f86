"""The library of a real user of Hikaze v1 is read whole, and left as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelkeep.domain.legacy import LegacyTag
from modelkeep.domain.naming import PathMap
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.hikaze import HikazeImporter

Snapshot = Callable[[Path], dict[str, tuple[Any, ...]]]


def read(sample: Path, *, source: str = "data/hikaze_mm.sqlite3") -> SourceContent:
    path_map = PathMap((("/srv/models", str(sample / "models")),))
    return HikazeImporter().read(SourceOptions(sample / source, path_map=path_map))


def test_every_row_that_lies_in_the_wal_is_read(sample: Path) -> None:
    content = read(sample)
    assert (len(content.rows), content.refusals, content.remarks) == (17, (), ())
    assert [row.key for row in content.rows] == [str(number) for number in range(1, 18)]
    assert sum(1 for row in content.rows if row.claim) == 4


def test_paths_are_mapped_and_every_file_but_the_lost_one_is_found(sample: Path) -> None:
    gone = [row.original_path for row in read(sample).rows if not Path(row.path).is_file()]
    assert gone == ["/srv/models/loras/detail/sliders/age.safetensors"]


def test_what_the_owner_wrote_arrives_and_image_references_do_not(sample: Path) -> None:
    row = read(sample).rows[6]
    assert row.meta == {
        "description": "the hero",
        "prompts": {"positive": "hero, cape", "negative": ""},
        "params": {"weight": 0.8},
    }
    assert row.image == str(sample / "data/images/model_7_1735689600007_preview.png")
    assert (row.name, row.type, row.size_bytes, row.created_at) == (
        "hero (v1.2).safetensors",
        "loras",
        8144,
        1795152010555,
    )


def test_tags_keep_their_names_colours_and_times_and_the_type_stays_one_of_them(sample: Path) -> None:
    assert read(sample).rows[3].tags == (
        LegacyTag("loras", "", 1795152010555),
        LegacyTag("favourite", "#f1c40f", 1795152010734),
        LegacyTag("スタイル", "", 1795152010734),
    )


def test_all_six_images_are_found(sample: Path) -> None:
    images = [Path(row.image) for row in read(sample).rows if row.image]
    assert sorted(images) == sorted((sample / "data/images").iterdir())


@pytest.mark.parametrize("source", ["data", ".", "data/hikaze_mm.sqlite3"])
def test_the_folder_and_the_plugin_folder_stand_for_the_database(sample: Path, source: str) -> None:
    content = read(sample, source=source)
    assert len(content.rows) == 17
    assert content.source == str(sample / "data/hikaze_mm.sqlite3")
    assert bool(content.remarks) == (source != "data/hikaze_mm.sqlite3")
    assert all(content.source in remark.reason for remark in content.remarks)


def test_reading_leaves_the_source_as_it_was(sample: Path, snapshot: Snapshot) -> None:
    before = snapshot(sample)
    read(sample)
    assert snapshot(sample) == before


def test_a_source_that_may_only_be_read_is_read_and_left_as_it_was(sample: Path, snapshot: Snapshot) -> None:
    for path in (*sample.rglob("*"), sample):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(sample)
    try:
        assert len(read(sample).rows) == 17
        assert snapshot(sample) == before
    finally:
        for path in (sample, *sample.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_without_the_shm_the_rows_of_the_wal_are_read_and_none_is_made(sample: Path, snapshot: Snapshot) -> None:
    (sample / "data/hikaze_mm.sqlite3-shm").unlink()
    before = snapshot(sample)
    assert len(read(sample).rows) == 17
    assert snapshot(sample) == before


def test_a_private_copy_is_made_where_it_is_wanted_and_removed(sample: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = scratch.stat().st_mtime_ns
    HikazeImporter().read(SourceOptions(sample, scratch=scratch))
    assert list(scratch.iterdir()) == []
    assert scratch.stat().st_mtime_ns != before


def test_the_same_source_has_the_same_digests_wherever_it_is_mapped_to(sample: Path) -> None:
    mapped = read(sample).rows
    unmapped = HikazeImporter().read(SourceOptions(sample)).rows
    assert [row.digest for row in mapped] == [row.digest for row in unmapped]
    assert len({row.digest for row in mapped}) == 17


def test_every_row_can_be_written_as_json_and_as_utf_8(sample: Path) -> None:
    for row in read(sample).rows:
        json.dumps(row.meta, allow_nan=False, ensure_ascii=False).encode()
