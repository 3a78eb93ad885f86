"""What only the owner can decide: conflicts, rows to try again, rows to drop."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import jpeg, png
from tests.integration.conftest import DaemonMaker
from tests.integration.oracle import is_understandable
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until


@dataclass
class Pair:
    """Two files of one content that are described differently: one is a model, the other waits for the owner."""

    daemon: DaemonProcess
    sha256: str
    row: dict[str, Any]
    image: Path

    @property
    def model(self) -> dict[str, Any]:
        """The model's details as they are now."""
        details: dict[str, Any] = self.daemon.get(f"/api/models/{self.sha256}/details")
        return details

    @property
    def tags(self) -> set[str]:
        """The names of the model's tags as they are now."""
        return {tag["name"] for tag in self.model["model"]["tags"]}

    def is_gone(self) -> bool:
        """Whether the row and its image are no more."""
        return not self.image.exists() and not self.daemon.rows(
            "SELECT id FROM pending_import WHERE id = ?", self.row["id"]
        )


STRATEGIES = ("merge", "override", "delete", "ignore")


@pytest.fixture
def pairs(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> dict[str, Pair]:
    """A pair for each strategy, in one daemon. The first of each has a hash, so it is the one that is a model."""
    library = LegacyLibrary()
    for number, name in enumerate(STRATEGIES):
        content = safetensors(name)
        first = put(models / "loras" / f"{name}.safetensors", content)
        second = put(models / "loras" / f"{name} again.safetensors", content)
        held = {"description": f"held {name}", "prompts": {"positive": "", "negative": "blurry"}}
        said = {"description": f"said {name}", "prompts": {"positive": "sunny", "negative": ""}, "rating": 5}
        hashed = {"hash_hex": sha256_of(content), "tags": ("held",), "extra": held}
        library.add(first, (".png", png(number)), name=f"Held {name}", **hashed)
        library.add(second, (".jpg", jpeg(number + 10)), name=f"Said {name}", tags=("said",), extra=said)
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    daemon.wait_idle()
    rows = {Path(row["path"]).stem.split()[0]: row for row in daemon.rows("SELECT * FROM pending_import")}
    assert {row["state"] for row in rows.values()} == {"conflict"}
    images = daemon.data_dir / "images/pending"
    return {
        name: Pair(daemon, sha256_of(safetensors(name)), rows[name], images / rows[name]["image"])
        for name in STRATEGIES
    }


def resolve(pair: Pair, strategy: str) -> str:
    """Resolve by the command line; returns what it says."""
    return pair.daemon.must("pending", "resolve", str(pair.row["id"]), "--strategy", strategy).out


def test_a_conflict_is_resolved_as_the_owner_says(pairs: dict[str, Pair]) -> None:
    before = {name: pair.model for name, pair in pairs.items()}
    shown = pairs["merge"].daemon.must("pending", "show", str(pairs["merge"].row["id"])).out
    assert "held merge" in shown
    assert "said merge" in shown
    assert all(is_understandable(pair.row["last_error"]) for pair in pairs.values())
    expected: dict[str, Callable[[Pair, dict[str, Any]], None]] = {
        "merge": expect_merged,
        "override": expect_overridden,
        "delete": expect_deleted,
        "ignore": expect_ignored,
    }
    for name, pair in pairs.items():
        told = {"merge": "merged", "override": "replaced", "delete": "dropped", "ignore": "left in the queue"}
        assert told[name] in resolve(pair, name)
        expected[name](pair, before[name])
        # Whatever was chosen, both files hold the model's content.
        assert len(pair.model["locations"]) == 2
    (remaining,) = pairs["merge"].daemon.rows("SELECT id FROM pending_import")
    assert remaining["id"] == pairs["ignore"].row["id"]


def expect_merged(pair: Pair, before: dict[str, Any]) -> None:
    model = pair.model["model"]
    assert model["name"] == "Held merge"
    assert model["meta_json"]["description"] == "held merge"
    assert model["meta_json"]["prompts"] == {"positive": "sunny", "negative": "blurry"}
    assert model["meta_json"]["rating"] == 5
    assert pair.tags == {"held", "said"}
    assert pair.model["images"][:1] == before["images"]
    assert [image["seq"] for image in pair.model["images"]] == [0, 1]
    assert pair.is_gone()


def expect_overridden(pair: Pair, before: dict[str, Any]) -> None:
    model = pair.model["model"]
    assert model["name"] == "Said override"
    assert model["meta_json"]["description"] == "said override"
    assert model["meta_json"]["prompts"] == {"positive": "sunny", "negative": "blurry"}
    assert pair.tags == {"held", "said"}
    (image,) = pair.model["images"]
    assert image["source_digest"] == sha256_of(jpeg(STRATEGIES.index("override") + 10)) != before["images"]
    assert pair.daemon.request("GET", f"/api/models/{pair.sha256}").json()["meta_json"]["images_count"] == 1
    assert pair.is_gone()


def expect_deleted(pair: Pair, before: dict[str, Any]) -> None:
    assert pair.model["model"] == before["model"]
    assert pair.model["images"] == before["images"]
    assert pair.is_gone()


def expect_ignored(pair: Pair, before: dict[str, Any]) -> None:
    assert pair.model["model"] == before["model"]
    assert pair.image.read_bytes() == jpeg(STRATEGIES.index("ignore") + 10)
    row = pair.daemon.get(f"/api/pending/{pair.row['id']}")["pending"]
    assert (row["state"], [tag["name"] for tag in row["tags"]]) == ("conflict", ["said"])


def test_the_interface_tells_both_sides_of_a_conflict_and_what_was_done(pairs: dict[str, Pair]) -> None:
    pair = pairs["merge"]
    asked = {"id": pair.row["id"]}
    answer = pair.daemon.post("/api/migration/import_a_model", asked)
    assert answer.status_code == 409
    assert answer.json()["existing"]["meta_json"]["description"] == "held merge"
    assert answer.json()["pending"]["meta_json"]["description"] == "said merge"
    assert pair.model["model"]["meta_json"]["images_count"] == 1
    done = pair.daemon.post("/api/migration/import_a_model", {**asked, "conf_strategy": "merge"})
    assert (done.status_code, done.json()["action_taken"]) == (200, "merged")
    assert pair.daemon.post("/api/migration/import_a_model", asked).status_code == 404
    # The same by path: the row of a conflict is asked for, and stays.
    other = {"path": pairs["override"].row["path"], "pending_status": "pending"}
    assert pair.daemon.post("/api/models/sha256", other).status_code == 409
    assert pairs["override"].row["id"] in [row["id"] for row in pair.daemon.rows("SELECT id FROM pending_import")]


def test_rows_that_failed_are_tried_again_when_the_owner_asks_and_dropped_rows_are_gone(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LegacyLibrary()
    gone = [models / "loras" / f"gone {number}.safetensors" for number in range(2)]
    for number, path in enumerate(gone):
        library.add(path, (".png", png(number)), tags=("favourite",))
    daemon = make_daemon(tables={"sweep": {"retry_base_seconds": 3600}})
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    daemon.wait_idle()
    rows = wait_until(lambda: daemon.rows("SELECT * FROM pending_import WHERE attempts > 0 ORDER BY id"))
    assert [row["state"] for row in rows] == ["missing", "missing"]
    assert "2 rows" in daemon.must("pending", "retry", "--all").out
    attempted = "SELECT * FROM pending_import WHERE state = 'missing' AND attempts = 1"
    wait_until(lambda: len(daemon.rows(attempted)) == 2, what="both rows to have been tried again")
    daemon.must("pending", "drop", str(rows[0]["id"]), "--yes")
    assert [row["id"] for row in daemon.rows("SELECT id FROM pending_import")] == [rows[1]["id"]]
    assert [path.name for path in (daemon.data_dir / "images/pending").iterdir()] == [rows[1]["image"]]
    daemon.stop()
    daemon.must("pending", "drop", str(rows[1]["id"]), "--yes")
    assert json.loads(daemon.must("pending", "list", "--json").out) == []
    assert not list((daemon.data_dir / "images/pending").iterdir())
    assert [record["pending_id"] for record in daemon.journal("pending.dropped")] == [row["id"] for row in rows]


def test_retrying_a_row_that_is_not_there_is_no_such_thing(daemon: DaemonProcess) -> None:
    done = daemon.command("pending", "retry", "7")
    assert (done.status, "7" in done.err) == (4, True)


def test_a_row_outside_every_root_waits_with_that_reason_and_its_file_is_never_opened(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LegacyLibrary()
    outside = put(tmp_path / "elsewhere" / "private.safetensors", safetensors("private"))
    link = models / "loras" / "link.safetensors"
    link.parent.mkdir()
    library.add(outside, tags=("favourite",))
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    (row,) = wait_until(lambda: daemon.rows("SELECT * FROM pending_import WHERE attempts > 0"))
    assert is_understandable(row["last_error"])
    assert "root" in row["last_error"]
    assert daemon.command("pending", "resolve", str(row["id"]), "--strategy", "merge").status == 1
    assert not daemon.journal("hash.finished")
