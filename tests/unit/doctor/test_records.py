import shutil
from pathlib import Path

import pytest
from tests.unit.doctor.conftest import House

from modelkeep.doctor.findings import Severity
from modelkeep.doctor.models import RefutedClaim, read_refuted_claims
from modelkeep.journal.mark import mark_path
from modelkeep.journal.writer import JournalWriter


def segment_of(house: House) -> Path:
    (segment,) = house.directory.journal.iterdir()
    return segment


def test_a_flipped_bit_is_told_with_its_place(house: House) -> None:
    segment = segment_of(house)
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"import", b"imperl")
    segment.write_bytes(b"".join(lines))

    finding = house.the_wrong("journal")

    assert finding.severity is Severity.PROBLEM
    assert f"{segment.name} at byte {len(lines[0])}: its checksum does not fit" in finding.sentence
    assert not finding.repairable


def test_a_record_that_is_missing_is_told(house: House) -> None:
    segment = segment_of(house)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:1] + lines[2:]))

    assert "record 2 is missing" in house.the_wrong("journal").sentence


@pytest.mark.parametrize("cut", [1, 2, 17, 40])
def test_a_last_record_that_was_cut_off_is_a_warning_that_can_be_repaired(house: House, cut: int) -> None:
    segment = segment_of(house)
    segment.write_bytes(segment.read_bytes()[:-cut])

    (finding,) = [one for one in house.wrong("journal") if "cut off" in one.sentence]

    assert finding.severity is Severity.WARNING
    assert finding.repairable


def test_a_migration_without_an_end_is_told_with_its_path(house: House) -> None:
    journal = JournalWriter.open(house.directory.journal)
    journal.write("migration.planned", migration="x", path="/m/cut short")
    journal.close()

    finding = house.the_wrong("journal")

    assert "1 migration was interrupted: /m/cut short" in finding.sentence
    assert finding.repairable


def test_an_empty_catalogue_without_a_journal_is_a_note(house: House, fresh_file: Path) -> None:
    shutil.rmtree(house.directory.path)
    house.directory.path.mkdir()
    shutil.copy(fresh_file, house.directory.catalogue)

    assert house.wrong() == []
    assert "none yet" in house.notes("journal")[0]


@pytest.mark.parametrize("with_mark", [True, False])
def test_a_journal_that_is_gone_is_a_problem(house: House, with_mark: bool) -> None:
    shutil.rmtree(house.directory.journal)
    if not with_mark:
        mark_path(house.directory.journal).unlink()

    finding = house.the_wrong("journal")

    assert finding.severity is Severity.PROBLEM
    assert "is gone" in finding.sentence
    assert "is lost, but nothing else" in finding.sentence


def test_a_newest_segment_that_was_emptied_is_a_problem(house: House) -> None:
    segment_of(house).write_bytes(b"")

    assert "ends earlier than it did: records 1 to " in house.the_wrong("journal").sentence


def test_a_journal_that_cannot_be_read_is_told_and_the_rest_is_looked_at(house: House) -> None:
    segment = segment_of(house)
    segment.unlink()
    segment.symlink_to(house.directory.journal)
    house.directory.journal.rename(house.directory.path / "away")
    house.directory.journal.write_bytes(b"a file, not a folder")

    examination = house.examine()

    assert any(one.check == "journal" and one.severity is Severity.PROBLEM for one in examination.findings)
    assert any(one.check == "roots" and one.severity is Severity.OK for one in examination.findings)


def test_refuted_claims_are_read_from_sound_records_only(tmp_path: Path) -> None:
    journal = JournalWriter.open(tmp_path)
    journal.write("claim.refuted", path="/m/a", claimed="a", found="b")
    journal.write("claim.refuted", path="/m/damaged", claimed="c", found="d")
    journal.write("file.moved", path="/m/x", old='"event":"claim.refuted"')
    journal.close()
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"/m/damaged", b"/m/damageD"))

    assert list(read_refuted_claims(tmp_path)) == [RefutedClaim("/m/a", "a", "b")]
