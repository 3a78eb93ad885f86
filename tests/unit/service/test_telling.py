"""What of the journal the operational log says: a line for each model, and whatever the owner should look at."""

import pytest

from modelkeep.service.telling import tell

FIELDS = {"migration": "0" * 32, "path": "/m/a.pt", "sha256": "ab" * 32, "action": "created"}


@pytest.mark.parametrize(("event", "level"), [("migration.finished", "INFO"), ("migration.failed", "WARNING")])
def test_the_end_of_a_migration_is_told(event: str, level: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "modelkeep"):
        tell([(event, FIELDS)])
    assert [record.levelname for record in caplog.records] == [level]
    said = caplog.records[0].msg
    assert isinstance(said, dict)
    assert said["sha256"] == FIELDS["sha256"]
    assert "migration" not in said


@pytest.mark.parametrize("record", [("hash.finished", FIELDS), ("migration.finished", {**FIELDS, "source_row": "7"})])
def test_steps_in_between_and_rows_of_an_import_are_not_told(
    record: tuple[str, dict[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", "modelkeep"):
        tell([record])
    assert caplog.records == []
