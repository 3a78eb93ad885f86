import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.doctor.conftest import A, B, C, House, snapshot

from modelkeep.base.clock import now_ms
from modelkeep.doctor.examination import examine
from modelkeep.doctor.findings import Severity
from modelkeep.journal.writer import JournalWriter
from modelkeep.settings.model import Settings


def test_a_sound_house_is_fine_and_every_check_has_spoken(house: House) -> None:
    examination = house.examine()

    assert [finding for finding in examination.findings if finding.is_wrong] == []
    assert examination.is_fine
    assert {finding.check for finding in examination.findings} >= {
        *("settings", "data folder", "rights", "free space", "daemon", "address", "sqlite", "catalogue", "models"),
        *("queue", "images", "originals", "leftovers", "journal", "roots", "inotify"),
    }


def test_looking_changes_nothing_at_all(house: House) -> None:
    before = snapshot(house.directory.path.parent)

    house.examine()

    assert snapshot(house.directory.path.parent) == before


def test_looking_at_what_a_killed_writer_left_changes_neither_the_database_nor_its_log(house: House) -> None:
    kill_a_writer(house)
    before = snapshot(house.directory.path)

    found = house.examine()

    after = snapshot(house.directory.path)
    index = f"{house.directory.catalogue.name}-shm"
    assert {name for name in before if before[name] != after.get(name)} <= {index}
    assert before.keys() == after.keys()
    assert found.is_fine
    assert any("left by a process that was killed" in finding.sentence for finding in found.findings)
    assert "7 models" in " ".join(finding.sentence for finding in found.findings), "the log holds the newest rows"


def kill_a_writer(house: House) -> None:
    """Leave the write-ahead log of a process that was killed after it had added four models."""
    folder, kept = house.directory.path, house.directory.path.parent / "kept"
    kept.mkdir()
    connection = sqlite3.connect(house.directory.catalogue)
    connection.executemany("INSERT INTO models(sha256) VALUES (?)", [(digit * 64,) for digit in "0123"])
    connection.commit()
    for path in folder.glob("modelkeep.db*"):
        shutil.copy2(path, kept)
    connection.close()
    for path in kept.iterdir():
        shutil.copy2(path, folder)


def test_a_folder_that_nobody_has_used_is_fine_and_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    settings = Settings.model_validate(
        {"data_dir": tmp_path / "new" / "data", "roots": [{"path": tmp_path / "models"}], "api": {"port": 0}}
    )

    assert examine(settings).is_fine
    assert sorted(tmp_path.iterdir()) == [tmp_path / "models"]


def test_every_finding_that_is_wrong_says_what_to_do(house: House) -> None:
    house.tier("low").unlink()
    house.tier("high", seq=1).unlink()
    (house.images / "stray.webp").touch()
    (house.pending / "99.png").touch()
    (house.staging / "half.webp").touch()
    house.execute("UPDATE pending_import SET state = 'lost' WHERE id = 5")
    shutil.rmtree(house.root)

    wrong = house.wrong()

    assert {finding.check for finding in wrong} == {"images", "originals", "leftovers", "queue", "roots"}
    assert all(finding.remedy for finding in wrong)


# Images


def test_a_lower_tier_that_is_gone_is_a_problem_that_can_be_repaired(house: House) -> None:
    house.tier("low").unlink()

    finding = house.the_wrong("images")

    assert finding.severity is Severity.PROBLEM
    assert f"{A[:12]}…_0 without low" in finding.sentence
    assert finding.repairable


def test_a_high_tier_that_is_gone_can_only_be_told(house: House) -> None:
    house.tier("high", seq=1).unlink()

    finding = house.the_wrong("images")

    assert f"{A[:12]}…_1 without high" in finding.sentence
    assert not finding.repairable


def test_an_empty_tier_counts_as_none(house: House) -> None:
    house.tier("medium").write_bytes(b"")

    assert "without medium" in house.the_wrong("images").sentence


@pytest.mark.parametrize("quality", ["high", "medium", "low"])
def test_a_tier_that_is_cut_off_is_found_by_its_header(house: House, quality: str) -> None:
    whole = house.tier(quality).read_bytes()
    house.tier(quality).write_bytes(whole[:-10])

    finding = house.the_wrong("images")

    assert f"the {quality} one" in finding.sentence
    assert "cut off" in finding.sentence
    assert finding.repairable == (quality != "high")


def test_a_tier_of_another_size_is_found(house: House) -> None:
    shutil.copy(house.tier("low"), house.tier("medium"))

    assert "pixels instead of" in house.the_wrong("images").sentence


@pytest.mark.parametrize("name", [f"{B}_0_low.webp", f"{A}_7_high.webp", "holiday.png", ".hidden"])
def test_a_file_without_a_row_is_found(house: House, name: str) -> None:
    (house.images / name).write_bytes(b"x")

    finding = house.the_wrong("images")

    assert name in finding.sentence
    assert finding.repairable


def test_a_folder_among_the_images_is_told_and_left(house: House) -> None:
    (house.images / "album").mkdir()

    finding = house.the_wrong("images")

    assert "album" in finding.sentence
    assert not finding.repairable


def test_an_original_that_a_row_names_and_that_is_gone_is_a_problem(house: House) -> None:
    (house.pending / "5.png").unlink()

    finding = house.the_wrong("originals")

    assert "row 5 (5.png)" in finding.sentence
    assert not finding.repairable


def test_an_original_that_nothing_names_is_found(house: House) -> None:
    (house.pending / "77.png").write_bytes(b"x")

    assert "77.png" in house.the_wrong("originals").sentence


def test_an_original_that_could_not_be_used_is_no_leftover_and_may_be_gone(house: House) -> None:
    assert "1 original image could not be used" in house.notes("originals")[0]

    (house.pending / "4.png").unlink()

    assert house.wrong() == []


def test_staged_files_and_copies_of_legacy_databases_are_leftovers(house: House) -> None:
    (house.staging / "half.webp").touch()
    copy = house.directory.path / "modelkeep-import-x1"
    copy.mkdir()

    wrong = house.wrong()

    assert [finding.check for finding in wrong] == ["leftovers", "leftovers"]
    assert all(finding.repairable and finding.severity is Severity.WARNING for finding in wrong)


def test_images_that_a_committed_migration_is_still_to_publish_are_not_lost(house: House) -> None:
    """As after a kill between commit and publishing: the plan of the migration names both names."""
    house.tier("low").rename(house.staging / "migration1_low.webp")

    assert [finding.check for finding in house.wrong()] == ["leftovers"]


# The queue and models


def test_a_state_that_there_is_not_is_found(house: House) -> None:
    house.execute("UPDATE pending_import SET state = 'hashing' WHERE id = 5")

    finding = house.the_wrong("queue")

    assert "5 (" in finding.sentence
    assert finding.repairable


@pytest.mark.parametrize("sha256", ["", "zz", "9" * 64, A.upper()])
def test_a_conflict_with_no_model_is_found(house: House, sha256: str) -> None:
    house.execute(f"UPDATE pending_import SET sha256 = '{sha256}' WHERE id = 6")

    assert "in conflict with a model that does not exist: 6 (" in house.the_wrong("queue").sentence


def test_a_row_that_is_due_in_a_far_future_is_found(house: House) -> None:
    house.execute(f"UPDATE pending_import SET due_at = {now_ms() + 3 * 86_400_000} WHERE id = 5")

    finding = house.the_wrong("queue")

    assert finding.severity is Severity.WARNING
    assert finding.repairable


def test_a_row_that_failed_often_and_waits_for_a_day_is_fine(house: House) -> None:
    house.execute(f"UPDATE pending_import SET state = 'failed', due_at = {now_ms() + 86_400_000} WHERE id = 5")

    assert house.wrong() == []


def test_rows_outside_of_all_roots_are_counted_with_their_folder(house: House) -> None:
    house.execute("UPDATE pending_import SET path = '/elsewhere/loras/x.pt' WHERE id = 5")

    finding = house.the_wrong("queue")

    assert finding.sentence.startswith("1 row names a file in none of the configured roots, in /elsewhere/loras")
    assert "--map" in finding.remedy
    assert not finding.repairable


def test_a_main_path_that_is_no_present_location_is_found(house: House) -> None:
    house.execute(f"UPDATE models SET path = '/nowhere' WHERE sha256 = '{A}'")

    finding = house.the_wrong("models")

    assert "/nowhere" in finding.sentence
    assert finding.repairable


def test_a_model_whose_file_is_gone_keeps_the_path_at_which_it_was(house: House) -> None:
    house.execute(f"UPDATE locations SET state = 'missing' WHERE sha256 = '{B}'")
    house.execute(f"UPDATE models SET path = '/was/here' WHERE sha256 = '{B}'")

    assert house.wrong() == []


def test_a_model_without_any_location_is_a_note(house: House) -> None:
    house.execute(f"DELETE FROM locations WHERE sha256 = '{B}'")

    assert house.wrong() == []
    assert B[:12] in house.notes("models")[0]


def test_a_model_whose_path_holds_other_content_is_named_with_it(house: House) -> None:
    ((path,),) = house.rows(f"SELECT path FROM locations WHERE sha256 = '{B}'")
    house.execute(f"UPDATE locations SET sha256 = '{C}' WHERE path = '{path}'")

    assert house.wrong() == []
    (told,) = house.notes("models")
    assert f"({B[:12]}), whose path holds {C[:12]} now" in told


def test_both_truths_of_a_refuted_claim_are_listed(house: House) -> None:
    from modelkeep.journal.writer import JournalWriter

    house.execute(f"DELETE FROM locations WHERE sha256 = '{B}'")
    journal = JournalWriter.open(house.directory.journal)
    journal.write("claim.refuted", path="/m/plain", sha256=B, claimed=B, found=C)
    journal.write("claim.refuted", path="/m/one", sha256=A, claimed=A, found=C)  # A has its file all the same
    journal.close()

    (told,) = house.notes("claims")

    assert B[:12] in told
    assert C[:12] in told
    assert "/m/plain" in told
    assert house.notes("models") == []
    assert house.wrong() == []


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE models SET meta_json = '{' WHERE rowid = 1",
        "UPDATE models SET meta_json = '[]' WHERE rowid = 1",
        "UPDATE pending_import SET meta_json = '' WHERE id = 5",
        "UPDATE locations SET state = 'lost'",
        "INSERT INTO models(sha256) VALUES ('ABC')",
    ],
)
def test_values_that_the_daemon_could_not_read_are_found(house: House, script: str) -> None:
    house.execute(script)

    assert "cannot be read" in house.the_wrong("models").sentence


def test_numbers_that_only_python_calls_json_are_no_fault(house: House) -> None:
    house.execute("""UPDATE models SET meta_json = '{"weight": NaN}' WHERE rowid = 1""")

    assert house.wrong() == []


# Somebody at work


@pytest.fixture
def at_work(house: House) -> Iterator[House]:
    house.directory.lock("modelkeep run")
    yield house
    house.directory.unlock()


def test_what_is_in_motion_while_the_daemon_runs_is_not_judged(at_work: House) -> None:
    (at_work.staging / "half.webp").touch()
    (at_work.pending / "77.png").write_bytes(b"placed a moment ago, its row comes with the commit")
    segment = next(at_work.directory.journal.glob("*.jsonl"))
    with segment.open("ab") as file:
        file.write(b'{"seq":')

    examination = at_work.examine()

    wrong = [finding for finding in examination.findings if finding.is_wrong]
    assert [finding.check for finding in wrong] == ["journal"], "a line that stays half is damage"
    assert any("modelkeep run (process" in finding.sentence for finding in examination.findings)


def test_defects_that_stay_are_found_while_the_daemon_runs(at_work: House) -> None:
    at_work.tier("low").unlink()
    (at_work.images / f"{B}_3_low.webp").touch()

    assert len(at_work.wrong("images")) == 2


def test_who_is_at_work_is_known_without_taking_the_lock_from_anybody(house: House) -> None:
    lock = house.directory.lock_file
    lock.write_text('{"pid": 1, "purpose": "modelkeep run", "since": "long ago"}')  # a kill leaves it
    assert house.wrong() == []
    assert any("nothing else" in finding.sentence for finding in house.examine().findings)

    house.directory.lock("a test")

    assert any("a test (process" in finding.sentence for finding in house.examine().findings)
    house.directory.unlock()


def test_many_refuted_claims_with_long_names_are_told_in_brief(house: House) -> None:
    hashes = [f"{number:064x}" for number in range(14)]
    rows = ", ".join(f"('{sha256}', '/m/{'p' * 3000}', '{'n' * 5000}')" for sha256 in hashes)
    house.execute(f"INSERT INTO models (sha256, path, name) VALUES {rows}")
    journal = JournalWriter.open(house.directory.journal)
    for sha256 in hashes:
        journal.write("claim.refuted", path=f"/m/{'p' * 3000}", sha256=sha256, claimed=sha256, found=C)
    journal.close()

    told = house.notes("claims")

    assert len(told) == 11
    assert told[-1] == "and 4 more such models"
    assert max(map(len, told)) < 500
    assert "…" in told[0]
