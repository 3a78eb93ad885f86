"""Opening a catalogue of whatever age, and refusing what is none."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from modelkeep.catalogue import upgrade as upgrading
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.tables import metadata
from modelkeep.catalogue.upgrade import back_up, known_revisions, upgrade
from modelkeep.domain.browsing import Order, Wanted
from modelkeep.errors import CatalogueError

from .conftest import A, B, dump, execute, hashed, names_in, rows_of

FOREIGN = "CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO songs VALUES (1, 'x');"


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the shipped revisions, used instead of them, to which a test may add newer ones."""
    folder = tmp_path / "revisions"
    shutil.copytree(upgrading.REVISIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(upgrading, "REVISIONS", folder)
    yield folder
    monkeypatch.undo()


def add_revision(revisions: Path, body: str) -> None:
    head = max(path.name[:4] for path in (revisions / "versions").glob("0*.py"))
    text = (
        f'revision = "9999"\ndown_revision = "{head}"\n\nfrom alembic import op\n\n\ndef upgrade() -> None:\n{body}'
    )
    (revisions / "versions" / "9999_next.py").write_text(text)


def schema_of(path: Path) -> list[tuple[str, ...]]:
    rows = rows_of(path, "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
    # A column that was added stands behind a comma on a line of its own.
    return [(kind, name, " ".join(re.sub(r"([,()])", r" \1 ", sql or "").split())) for kind, name, sql in rows]


def test_the_names_of_the_files_tell_what_alembic_knows() -> None:
    script = ScriptDirectory(str(upgrading.REVISIONS))
    assert known_revisions() == [revision.revision for revision in script.walk_revisions()][::-1]


class TestANewFile:
    def test_it_is_made_with_every_table(self, tmp_path: Path) -> None:
        path = tmp_path / "modelkeep.db"
        assert upgrade(path) is None
        assert {*metadata.tables, "alembic_version", "sqlite_sequence"} == set(dump(path))

    def test_it_is_what_the_revisions_end_with(self, file: Path, tmp_path: Path, revisions: Path) -> None:
        upgraded = tmp_path / "upgraded.db"
        config = Config()
        config.set_main_option("script_location", str(revisions))
        with sa.create_engine(f"sqlite:///{upgraded}", poolclass=sa.NullPool).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        assert schema_of(file) == schema_of(upgraded)
        assert rows_of(file, "SELECT * FROM alembic_version") == rows_of(upgraded, "SELECT * FROM alembic_version")

    def test_its_columns_are_those_that_the_code_knows(self, file: Path) -> None:
        inspector = sa.inspect(sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool))
        for name, table in metadata.tables.items():
            assert [column["name"] for column in inspector.get_columns(name)] == list(table.columns.keys())

    def test_its_indexes_are_those_that_the_code_knows(self, file: Path) -> None:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
        for name, table in metadata.tables.items():
            assert {row[0] for row in rows_of(file, query, name)} == {str(index.name) for index in table.indexes}

    def test_an_empty_file_becomes_a_catalogue(self, tmp_path: Path) -> None:
        path = tmp_path / "modelkeep.db"
        path.touch()
        assert upgrade(path) is None
        assert "models" in dump(path)

    @pytest.mark.parametrize("name", ["100% of it?", "a#b&c=d", "mit Leerzeichen", "模型", "caf\udce9"])
    async def test_the_folder_may_have_any_name(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        catalogue = Catalogue.open(folder / "modelkeep.db")
        try:
            assert (await catalogue.counts())["models"] == 0
        finally:
            catalogue.close()
        assert (folder / "modelkeep.db").stat().st_size > 0


class TestAFileOfThisAge:
    async def test_it_is_opened_again_with_what_is_in_it(self, tmp_path: Path) -> None:
        path = tmp_path / "modelkeep.db"
        catalogue = Catalogue.open(path)
        await hashed(catalogue, "/m/a.pt", A)
        catalogue.close()
        before = dump(path)
        Catalogue.open(path).close()
        assert dump(path) == before
        assert not any("before-upgrade" in name for name in names_in(tmp_path))


class TestAnOlderFile:
    async def test_it_is_upgraded_after_a_backup_copy(self, file: Path, revisions: Path) -> None:
        catalogue = Catalogue(file)
        await hashed(catalogue, "/m/a.pt", A)
        catalogue.close()
        before = dump(file)
        add_revision(revisions, '    op.execute("ALTER TABLE models ADD COLUMN rating INTEGER")\n')
        backup = upgrade(file)
        assert backup is not None
        assert dump(file.with_name(backup)) == before
        assert rows_of(file, "SELECT sha256, rating FROM models") == [(A, None)]
        assert rows_of(file, "SELECT version_num FROM alembic_version") == [("9999",)]
        assert upgrade(file) is None

    async def test_models_of_one_without_their_index_of_dates_are_found_by_them(self, file: Path) -> None:
        catalogue = Catalogue(file)
        for number, sha256 in enumerate((B, A)):
            await hashed(catalogue, f"/m/{number}.pt", sha256)
        catalogue.close()
        schema = schema_of(file)
        execute(file, "UPDATE models SET created_at = rowid")
        execute(file, "DROP INDEX ix_models_created_at; UPDATE alembic_version SET version_num = '0009'")
        before = dump(file)
        catalogue = Catalogue.open(file)
        try:
            newest = await catalogue.browsed_hashes(Wanted(), Order.NEWEST, 1)
        finally:
            catalogue.close()
        assert (newest, schema_of(file)) == ([A], schema)
        assert dump(file.with_name("modelkeep.db.before-upgrade-from-0009")) == before

    def test_an_upgrade_that_fails_leaves_the_catalogue_as_it_was(self, file: Path, revisions: Path) -> None:
        before = dump(file)
        body = """\
            op.execute("CREATE TABLE half (id INTEGER)")
            op.execute("INSERT INTO tags (name) VALUES ('half')")
            op.execute("SELECT * FROM no_such_table")
        """
        add_revision(revisions, dedent(body).replace("op.", "    op."))
        with pytest.raises(CatalogueError, match="no_such_table"):
            upgrade(file)
        assert dump(file) == before

    async def test_the_backup_holds_what_only_the_write_ahead_log_has(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        assert file.with_name("modelkeep.db-wal").stat().st_size > 0
        copy = file.with_name(back_up(file, "0001"))
        assert dump(copy) == dump(file)
        assert rows_of(copy, "PRAGMA integrity_check") == [("ok",)]

    def test_a_backup_that_was_cut_short_is_made_anew(self, file: Path) -> None:
        file.with_name("modelkeep.db.before-upgrade-from-0001.tmp").write_bytes(b"half of a copy")
        copy = file.with_name(back_up(file, "0001"))
        assert dump(copy) == dump(file)
        assert not any(name.endswith(".tmp") for name in names_in(file.parent))


class TestWhatIsRefused:
    def test_a_newer_catalogue_is_not_touched(self, file: Path) -> None:
        execute(file, "UPDATE alembic_version SET version_num = '9999'")
        before = file.read_bytes()
        with pytest.raises(CatalogueError, match=r"newer modelkeep.*9999"):
            Catalogue.open(file)
        assert file.read_bytes() == before

    def test_a_database_of_another_program_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "modelkeep.db"
        execute(path, FOREIGN)
        with pytest.raises(CatalogueError, match=r"another program.*songs"):
            Catalogue.open(path)
        assert list(dump(path)) == ["songs"]

    def test_a_database_of_another_program_is_left_byte_for_byte(self, tmp_path: Path) -> None:
        path = tmp_path / "modelkeep.db"
        execute(path, FOREIGN)
        before = path.read_bytes()
        with pytest.raises(CatalogueError):
            Catalogue.open(path)
        assert path.read_bytes() == before

    def test_a_file_that_is_no_database_is_a_sentence(self, tmp_path: Path) -> None:
        path = tmp_path / "modelkeep.db"
        content = b"not a database at all, but long enough to have a header " * 50
        path.write_bytes(content)
        with pytest.raises(CatalogueError, match=r"modelkeep\.db cannot be opened as a catalogue"):
            Catalogue.open(path)
        assert path.read_bytes() == content

    def test_a_folder_in_its_place_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="cannot be opened"):
            Catalogue.open(tmp_path)

    def test_a_folder_that_is_not_there_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="cannot be opened"):
            Catalogue.open(tmp_path / "nowhere" / "modelkeep.db")
