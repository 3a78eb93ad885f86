"""A conflict whose file is replaced before the owner decides: the decision is about the content of the old one."""

from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

ONE, TWO = safetensors("one"), safetensors("two")


def conflict_about(daemon: DaemonProcess, path: Path, tmp_path: Path) -> dict[str, Any]:
    """Describe two copies of a content differently; returns the row of the one that waits for the owner."""
    other = put(path.parent / "first.safetensors", ONE)
    daemon.wait_model(other)
    library = LegacyLibrary()
    library.add(other, name="First", extra={"description": "first"})
    library.add(path, name="Second", extra={"description": "second"}, tags=("mine",))
    put(path, ONE)
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    return conflict(daemon, path)


def conflict(daemon: DaemonProcess, path: Path) -> dict[str, Any]:
    """Wait for the row in conflict that describes a path."""
    query = "SELECT * FROM pending_import WHERE state = 'conflict' AND path = ?"
    return wait_until(lambda: daemon.rows(query, str(path)), what="the conflict")[0]


@pytest.fixture
def path(models: Path) -> Path:
    return models / "loras" / "second.safetensors"


@pytest.mark.parametrize("way", ["in its place", "beside it", "while it is away"])
def test_the_file_that_took_its_place_is_a_model_of_its_own(
    daemon: DaemonProcess, path: Path, tmp_path: Path, way: str
) -> None:
    row = conflict_about(daemon, path, tmp_path)
    if way == "beside it":
        path.rename(path.with_name("kept.safetensors"))
    elif way == "while it is away":
        path.unlink()
        wait_until(lambda: daemon.journal("file.missing"), what="the file to be missed")
    other = put(tmp_path / "two.part", TWO)
    other.replace(path)
    wait_until(
        lambda: daemon.rows("SELECT * FROM locations WHERE path = ? AND sha256 = ?", str(path), sha256_of(TWO)),
        what="the other file to be known",
    )
    daemon.wait_idle()
    found = daemon.get(f"/api/models/{sha256_of(TWO)}")
    assert (found["name"], found["type"], found["tags"]) == ("second.safetensors", "loras", [])
    assert found["meta_json"]["description"] == ""
    (left,) = daemon.rows("SELECT * FROM pending_import")
    assert (left["id"], left["state"], left["sha256"]) == (row["id"], "conflict", sha256_of(ONE))
    done = daemon.post("/api/migration/import_a_model", {"id": row["id"], "conf_strategy": "override"})
    assert done.is_success, done.text
    assert daemon.get(f"/api/models/{sha256_of(ONE)}")["meta_json"]["description"] == "second"
    assert daemon.get(f"/api/models/{sha256_of(TWO)}")["meta_json"] == found["meta_json"]
    assert daemon.rows("SELECT * FROM pending_import") == []
    assert daemon.rows("SELECT sha256 FROM locations WHERE path = ?", str(path)) == [{"sha256": sha256_of(TWO)}]


def test_a_conflict_is_decided_though_its_file_is_gone(daemon: DaemonProcess, path: Path, tmp_path: Path) -> None:
    row = conflict_about(daemon, path, tmp_path)
    path.unlink()
    wait_until(lambda: daemon.journal("file.missing"), what="the file to be missed")
    assert conflict(daemon, path)["id"] == row["id"]
    daemon.must("pending", "resolve", str(row["id"]), "--strategy", "merge")
    assert [tag["name"] for tag in daemon.get(f"/api/models/{sha256_of(ONE)}")["tags"]] == ["mine"]
