import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.doctor.conftest import QUALITIES, A, B, House, encoded, snapshot

from modelkeep.base.clock import now_ms
from modelkeep.domain.images import TIERS, tier_size
from modelkeep.errors import CatalogueError, DataDirectoryBusy
from modelkeep.journal.soundness import check


def without(house: House, *tables: str) -> dict[str, list[tuple[object, ...]]]:
    """Return the catalogue but for these tables, and for the ids of migrations, which every opening forgets."""
    return {name: rows for name, rows in house.dump().items() if name not in {*tables, "migrations"}}


def test_a_sound_house_needs_nothing_and_keeps_every_row_and_file(house: House) -> None:
    catalogue, files = without(house), house.files()

    report = house.repair()

    assert (report.done, report.failed) == ((), ())
    assert (without(house), house.files()) == (catalogue, files)
    assert house.journal("doctor.repaired") == []


def test_lower_tiers_are_made_anew_from_the_high_one_and_the_others_stay_to_the_byte(house: House) -> None:
    house.tier("low").unlink()
    house.tier("medium").write_bytes(house.tier("medium").read_bytes()[:-9])
    kept = {name: facts for name, facts in house.files().items() if name != house.tier("medium").name}
    catalogue = without(house)

    report = house.repair()

    assert len(report.done) == 1
    assert house.wrong() == []
    files = house.files()
    assert {name: files[name] for name in kept} == kept
    assert files.keys() - kept.keys() == {house.tier("low").name, house.tier("medium").name}
    assert without(house) == catalogue
    ((width, height),) = house.rows(f"SELECT width, height FROM images WHERE sha256 = '{A}' AND seq = 0")
    for tier in TIERS:
        with Image.open(house.tier(tier.quality)) as image:
            assert image.size == tier_size((width, height), tier)
    (record,) = house.journal("doctor.repaired")
    assert record["sha256"] == A
    assert record["files"] == [house.tier("low").name, house.tier("medium").name]


def test_a_image_without_its_high_tier_is_left_as_it_is(house: House) -> None:
    house.tier("high").unlink()
    files = house.files()

    assert house.repair().done == ()
    assert house.files() == files
    assert len(house.wrong("images")) == 1


def test_a_high_tier_that_cannot_be_decoded_changes_nothing_and_is_told(house: House) -> None:
    whole = house.tier("high").read_bytes()
    house.tier("high").write_bytes(
        whole[:20] + b"\xff\xff\xff" + whole[23:]
    )  # there it says what kind of frame follows
    house.tier("low").unlink()
    files = house.files()

    report = house.repair()

    assert report.done == ()
    assert len(report.failed) == 1
    assert "could not be rendered again" in report.failed[0]
    assert house.files() == files
    assert not any(house.staging.iterdir())


def test_nothing_is_made_from_a_high_tier_that_is_another_image(house: House) -> None:
    house.tier("high").write_bytes(encoded(Image.new("RGB", (77, 33))))
    house.tier("low").unlink()
    files = house.files()

    assert house.repair().done == ()
    assert house.files() == files
    assert len(house.wrong("images")) == 2


def test_files_that_no_row_names_are_put_aside_and_nothing_is_deleted(house: House) -> None:
    strays = {f"{B}_0_low.webp": b"one", "holiday.png": b"two"}
    for name, content in strays.items():
        (house.images / name).write_bytes(content)
    house.put_aside.mkdir()
    (house.put_aside / "holiday.png").write_bytes(b"of an earlier repair")
    catalogue = without(house)

    report = house.repair()

    aside = {path.name: path.read_bytes() for path in house.put_aside.iterdir()}
    assert aside == {
        f"{B}_0_low.webp": b"one",
        "holiday.png": b"of an earlier repair",
        "holiday.png.1": b"two",
    }
    assert len(report.done) == 2
    assert house.wrong() == []
    assert "3 files of earlier repairs" in house.notes("images")[0]
    assert without(house) == catalogue
    told = {record["file"]: record["to"] for record in house.journal("doctor.repaired")}
    assert told == {
        f"{B}_0_low.webp": f"lost+found/{B}_0_low.webp",
        "holiday.png": "lost+found/holiday.png.1",
    }


def test_a_second_repair_puts_nothing_aside_that_lies_aside(house: House) -> None:
    (house.images / "holiday.png").write_bytes(b"two")
    house.repair()

    assert house.repair().done == ()


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE pending_import SET state = 'hashing' WHERE id = 5",
        "UPDATE pending_import SET state = 'conflict', sha256 = '' WHERE id = 5",
        "UPDATE pending_import SET state = 'conflict', sha256 = '{gone}' WHERE id = 5",
        "UPDATE pending_import SET state = 'failed', due_at = {far} WHERE id = 5",
    ],
)
def test_rows_that_nobody_would_take_up_wait_again(house: House, script: str) -> None:
    house.execute(script.format(gone="9" * 64, far=now_ms() + 30 * 86_400_000))
    others = without(house, "pending_import")
    ((conflict,),) = house.rows("SELECT state FROM pending_import WHERE id = 6")

    house.repair()

    ((state, due_at, image),) = house.rows("SELECT state, due_at, image FROM pending_import WHERE id = 5")
    assert (state, image) == ("waiting", "5.png")
    assert due_at <= now_ms()
    assert house.rows("SELECT state FROM pending_import WHERE id = 6") == [(conflict,)] == [("conflict",)]
    assert without(house, "pending_import") == others
    assert house.wrong() == []
    (record,) = house.journal("doctor.repaired")
    assert record["pending_id"] == 5
    assert str(record["path"]).endswith("waiting.safetensors")


def test_a_main_path_is_chosen_again_and_the_locations_stay(house: House) -> None:
    paths = {path for (path,) in house.rows(f"SELECT path FROM locations WHERE sha256 = '{A}'")}
    house.execute(f"UPDATE models SET path = '/nowhere' WHERE sha256 = '{A}'")
    others = without(house, "models")

    house.repair()

    ((chosen,),) = house.rows(f"SELECT path FROM models WHERE sha256 = '{A}'")
    assert chosen in paths
    assert without(house, "models") == others
    assert house.wrong() == []
    (record,) = house.journal("doctor.repaired")
    assert (record["sha256"], record["path"], record["was"]) == (A, chosen, "/nowhere")


def test_what_a_stop_left_is_cleared_away_and_told(house: House) -> None:
    (house.staging / "half.webp").write_bytes(b"x")
    (house.pending / "77.png").write_bytes(b"x")
    kept = {path.name for path in house.pending.iterdir()} - {"77.png"}
    copy = house.directory.path / "modelkeep-import-x1"
    copy.mkdir()
    (copy / "copy.sqlite3").write_bytes(b"x")

    report = house.repair()

    assert not any(house.staging.iterdir())
    assert {path.name for path in house.pending.iterdir()} == kept
    assert not copy.exists()
    assert len(report.done) == 3
    files = [record["files"] for record in house.journal("doctor.repaired")]
    assert files == [["half.webp"], ["77.png"], ["modelkeep-import-x1"]]
    assert house.wrong() == []


def test_a_torn_tail_is_cut_off_and_told(house: House) -> None:
    segment = next(house.directory.journal.glob("*.jsonl"))
    whole = segment.read_bytes()
    segment.write_bytes(whole + b'{"seq":99,"ts"')
    assert house.the_wrong("journal").repairable

    report = house.repair()

    assert report.done == ("removed 14 bytes of an incomplete record from the end of the journal",)
    assert segment.read_bytes().startswith(whole)
    assert check(house.directory.journal) == []
    assert house.wrong() == []


def test_damage_in_the_middle_of_the_journal_is_told_and_never_changed(house: House) -> None:
    segment = next(house.directory.journal.glob("*.jsonl"))
    content = bytearray(segment.read_bytes())
    content[60] ^= 1
    segment.write_bytes(content)

    house.repair()

    assert segment.read_bytes().startswith(bytes(content))
    finding = house.the_wrong("journal")
    assert f"{segment.name} at byte 0" in finding.sentence
    assert not finding.repairable


def test_migrations_that_were_cut_short_are_brought_to_an_end_and_told(house: House) -> None:
    """As after a kill between commit and publishing, and of another between plan and commit."""
    from modelkeep.journal.writer import JournalWriter

    for quality in QUALITIES:
        house.tier(quality).rename(house.staging / f"migration1_{quality}.webp")
    journal = JournalWriter.open(house.directory.journal)
    journal.write("migration.planned", migration="migration1", path="/m/one")
    journal.write("migration.planned", migration="migration99", path="/m/never")
    journal.close()
    assert {finding.check for finding in house.wrong()} == {"leftovers", "journal"}

    report = house.repair()

    assert "completed the migration of /m/one" in report.done
    assert "undid the migration of /m/never; its row is in the queue" in report.done
    assert all(house.tier(quality).exists() for quality in QUALITIES)
    assert house.wrong() == []


def test_everything_at_once_is_repaired_and_a_second_doctor_is_clean(house: House) -> None:
    house.tier("low", seq=1).unlink()
    (house.images / f"{B}_0_high.webp").write_bytes(b"x")
    (house.pending / "77.png").write_bytes(b"x")
    (house.staging / "half.webp").write_bytes(b"x")
    house.execute(f"UPDATE models SET path = '/nowhere' WHERE sha256 = '{A}'")
    house.execute("UPDATE pending_import SET state = 'hashing' WHERE id = 5")

    report = house.repair()

    assert len(report.done) == 6
    assert len(house.journal("doctor.repaired")) == 6
    assert check(house.directory.journal) == []
    assert house.wrong() == []


# What is refused


def test_nothing_is_repaired_while_the_daemon_runs(house: House) -> None:
    (house.images / "stray.webp").write_bytes(b"x")
    house.directory.lock("modelkeep run")
    before = snapshot(house.images)

    with pytest.raises(DataDirectoryBusy, match="modelkeep run"):
        house.repair()

    assert snapshot(house.images) == before
    house.directory.unlock()


@pytest.mark.parametrize("kind", ["damaged", "no database", "gone", "of another program", "newer"])
def test_nothing_is_judged_by_a_catalogue_that_cannot_be_relied_on(house: House, kind: str) -> None:
    (house.images / "stray.webp").write_bytes(b"x")
    spoil(house.directory.catalogue, kind)
    before = snapshot(house.directory.path)

    assert len(house.wrong("catalogue")) == 1
    with pytest.raises(CatalogueError, match="nothing was repaired"):
        house.repair()

    assert snapshot(house.directory.path) == before


def spoil(catalogue: Path, kind: str) -> None:
    if kind == "damaged":
        content = bytearray(catalogue.read_bytes())
        content[4096 * 2 : 4096 * 8] = bytes(4096 * 6)
        catalogue.write_bytes(content)
    elif kind == "no database":
        catalogue.write_bytes(b"this is a text, and no short one, so that it has more than a header\n" * 100)
    elif kind == "gone":
        catalogue.unlink()
    else:
        connection = sqlite3.connect(catalogue)
        if kind == "newer":
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        else:
            connection.execute("DROP TABLE alembic_version")
        connection.commit()
        connection.close()


def test_a_folder_that_nobody_has_used_is_not_furnished_by_a_repair(house: House) -> None:
    shutil.rmtree(house.directory.path)

    assert house.repair().done == ()
    assert not house.directory.path.exists()
