"""What is no Hikaze v1 database is told with a sentence; versions of it that differ are read."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import without_rights

from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.hikaze import HikazeImporter

MakeDatabase = Callable[..., Path]


def read(source: Path, images: Path | None = None) -> SourceContent:
    return HikazeImporter().read(SourceOptions(source, images))


def refusal(source: Path, images: Path | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        read(source, images)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_missing_path_is_told(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "gone.sqlite3") == f"{tmp_path}/gone.sqlite3 does not exist; check the path of the source"
    )


def test_a_folder_without_the_database_is_told(tmp_path: Path) -> None:
    text = refusal(tmp_path)
    assert "holds neither hikaze_mm.sqlite3 nor data/hikaze_mm.sqlite3" in text


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "hikaze_mm.sqlite3").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("SQLite format 4")
    assert "is not an SQLite database" in refusal(tmp_path / "notes.txt")


@pytest.mark.timeout(60)
def test_a_named_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hikaze_mm.sqlite3")
    assert "is no regular file" in refusal(tmp_path)


def test_links_that_lead_to_each_other_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert "cannot be read" in refusal(tmp_path / "a")


def test_a_file_that_may_not_be_read_is_told(make_database: MakeDatabase) -> None:
    database = make_database()
    database.chmod(0)
    with without_rights():
        assert "may not be read by this user" in refusal(database)


def test_a_database_of_something_else_is_told_with_its_tables(make_database: MakeDatabase) -> None:
    text = refusal(make_database(tables="CREATE TABLE cats (id); CREATE TABLE dogs (id);"))
    assert "is not a database of Hikaze v1: it holds the tables cats, dogs" in text


def test_a_database_without_tables_is_told(make_database: MakeDatabase) -> None:
    assert "it holds no tables" in refusal(make_database(tables="PRAGMA user_version = 1;"))


def test_a_models_table_of_something_else_is_told_with_its_columns(make_database: MakeDatabase) -> None:
    text = refusal(make_database(tables="CREATE TABLE models (id, config);"))
    assert "has a table models with config, id, but without path, hash_hex" in text


@pytest.mark.parametrize(
    "tables",
    [
        "CREATE TABLE models (sha256 TEXT PRIMARY KEY, path, name);",
        "CREATE TABLE pending_import (id, path); CREATE TABLE db_meta (key, value);",
    ],
)
def test_a_database_of_hikaze_v2_is_told_as_such(make_database: MakeDatabase, tables: str) -> None:
    assert "is a database of Hikaze v2, not v1" in refusal(make_database(tables=tables))


def test_a_damaged_database_is_told(make_database: MakeDatabase) -> None:
    database = make_database([{"extra_json": "x" * 3000} for _ in range(50)])
    content = bytearray(database.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    database.write_bytes(content)
    text = refusal(database)
    assert f"{database} is damaged" in text
    assert "restore a backup" in text


def test_damage_outside_of_the_rows_is_told_too(make_database: MakeDatabase) -> None:
    tables = "CREATE TABLE models (id, path, hash_hex); CREATE INDEX by_path ON models (path);"
    database = make_database([{} for _ in range(10)], tables=tables)
    connection = sqlite3.connect(database)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_path'").fetchone()
    connection.close()
    content = bytearray(database.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    database.write_bytes(content)
    assert "is damaged" in refusal(database)


def test_a_database_that_was_cut_off_is_told(make_database: MakeDatabase) -> None:
    database = make_database([{"extra_json": "x" * 3000} for _ in range(50)])
    os.truncate(database, database.stat().st_size // 2)
    assert "is damaged" in refusal(database)


def test_only_the_columns_that_every_version_has_are_needed(make_database: MakeDatabase) -> None:
    tables = "CREATE TABLE models (hash_hex TEXT, id INTEGER PRIMARY KEY, path TEXT);"
    (row,) = read(make_database([{"path": "/m/a.ckpt"}], tables=tables)).rows
    assert (row.path, row.name, row.type, row.size_bytes, row.meta, row.tags) == ("/m/a.ckpt", "", "", 0, {}, ())


def test_tags_without_colours_are_read(make_database: MakeDatabase) -> None:
    tables = "CREATE TABLE models (id, path, hash_hex); CREATE TABLE tags (id, name);"
    tables += "CREATE TABLE model_tags (model_id, tag_id);"
    (row,) = read(make_database([{}], [((1, "kept"), [1])], tables=tables)).rows
    assert [tag.name for tag in row.tags] == ["kept"]


def test_a_database_without_rows_is_read(make_database: MakeDatabase) -> None:
    assert read(make_database()).rows == ()


def test_a_database_in_utf_16_is_read(make_database: MakeDatabase) -> None:
    tables = "PRAGMA encoding = 'UTF-16le'; CREATE TABLE models (id, path, name, hash_hex);"
    (row,) = read(make_database([{"path": "/m/水彩.ckpt", "name": "水彩"}], tables=tables)).rows
    assert (row.path, row.name) == ("/m/水彩.ckpt", "水彩")


def test_a_half_written_transaction_in_a_journal_is_rolled_back(make_database: MakeDatabase, tmp_path: Path) -> None:
    database = make_database([{"name": "before", "extra_json": "x" * 3000} for _ in range(200)])
    victim = tmp_path / "killed" / database.name
    victim.parent.mkdir()
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
    connection.execute("BEGIN")
    connection.execute("UPDATE models SET name = 'half'")
    for suffix in ("", "-journal"):
        shutil.copyfile(f"{database}{suffix}", f"{victim}{suffix}")
    connection.close()
    assert b"half" in victim.read_bytes()
    kept = {path: path.read_bytes() for path in victim.parent.iterdir()}
    assert {row.name for row in read(victim).rows} == {"before"}
    assert {path: path.read_bytes() for path in victim.parent.iterdir()} == kept


def test_a_symbolic_link_to_a_database_finds_the_wal_and_images_beside_the_target(sample: Path) -> None:
    link = sample.parent / "link.sqlite3"
    link.symlink_to(sample / "data/hikaze_mm.sqlite3")
    content = read(link)
    assert len(content.rows) == 17
    assert sum(1 for row in content.rows if row.image) == 6


def test_images_are_looked_for_where_the_owner_says(sample: Path) -> None:
    elsewhere = sample / "images"
    (sample / "data/images").rename(elsewhere)
    without = read(sample)
    assert [row.image for row in without.rows if row.image] == []
    assert sum(len(row.remarks) for row in without.rows) == 6
    content = read(sample, elsewhere)
    assert {Path(row.image).parent for row in content.rows if row.image} == {elsewhere}


def test_a_image_folder_that_does_not_exist_is_told_when_it_was_named(sample: Path) -> None:
    assert "does not exist" in refusal(sample, sample / "nowhere")


def test_a_image_folder_that_is_a_file_is_told(sample: Path) -> None:
    text = refusal(sample, sample / "data/hikaze_mm.sqlite3")
    assert "cannot be read: Not a directory" in text


def test_a_row_that_the_legacy_program_commits_meanwhile_is_seen_whole_or_not_at_all(sample: Path) -> None:
    writer = sqlite3.connect(sample / "data/hikaze_mm.sqlite3")
    writer.execute("INSERT INTO models (path, type, hash_hex, created_at) VALUES ('/srv/models/new.ckpt', '', '', 0)")
    assert len(read(sample).rows) == 17
    writer.commit()
    assert len(read(sample).rows) == 18
    writer.close()


def test_the_copy_is_private_to_this_user(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    copyfile = shutil.copyfile

    def watching(source: str, target: str) -> str:
        modes.append(stat.S_IMODE(Path(target).parent.stat().st_mode))
        return copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", watching)
    read(sample)
    assert modes == [0o700, 0o700]
