"""What the owner had begun by hand when the daemon was killed is no defect, and a repair brings it to its end."""

import json
from typing import TYPE_CHECKING

from modelkeep.journal.writer import JournalWriter

if TYPE_CHECKING:
    from tests.unit.doctor.conftest import House

A, B = "a" * 64, "b" * 64
ABOUT = {"path": "/m/one.safetensors", "sha256": A, "action": "image_removed", "image": 2}


def plan(house: "House", **files: list[str]) -> None:
    """Journal the plan of an act, as a killed daemon leaves it."""
    journal = JournalWriter.open(house.directory.journal)
    journal.write("migration.planned", migration="act", **ABOUT, **files)
    journal.sync()
    journal.close()


def test_files_that_a_committed_act_is_to_remove_are_no_strays(house: "House") -> None:
    removed = [f"{B}_0_{quality}.webp" for quality in ("high", "medium", "low")]
    for name in removed:
        (house.images / name).write_bytes(b"x")
    (house.pending / "99.png").write_bytes(b"x")
    plan(house, files=[], removed=removed, originals=["99.png"])
    left = json.dumps({"files": [], "image": "", "removed": removed, "originals": ["99.png"]})
    house.execute(f"INSERT INTO migrations VALUES ('act', 1, '{left}')")

    assert {finding.check for finding in house.wrong()} == {"journal"}
    report = house.repair()

    assert "completed the removal of an image of /m/one.safetensors" in report.done
    assert house.wrong() == []
    assert not any((house.images / name).exists() for name in removed)
    assert not (house.pending / "99.png").exists()
    assert not house.put_aside.exists()


def test_an_act_that_did_not_commit_is_taken_back(house: "House") -> None:
    (house.staging / "act_1_low.webp").write_bytes(b"x")
    before = house.files()
    plan(house, files=[], removed=[house.tier("high").name], originals=[])

    report = house.repair()

    assert "undid the removal of an image of /m/one.safetensors" in report.done
    assert house.wrong() == []
    assert house.files() == {name: facts for name, facts in before.items() if "act_1" not in name}
