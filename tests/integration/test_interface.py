"""What other programs rely on: the shape of the status, one story for one model, and what a request may open."""

import os
from pathlib import Path
from typing import Any

from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

STATUS: dict[str, Any] = {
    "state": str,
    "version": str,
    "pid": int,
    "uptime_s": float,
    "paused": bool,
    "models": int,
    "images": int,
    "tags": int,
    "locations": {"present": int, "missing": int, "unreachable": int},
    "pending": {"waiting": int, "hashing": int, "conflict": int, "failed": int, "missing": int},
    "hashing": {
        "active": list,
        "queued": int,
        "queued_bytes": int,
        "stepped_back": str,
        "workers": int,
        "implementation": str,
    },
    "watch": {"roots": list, "overflows": int},
    "journal": {"seq": int, "segments": int, "bytes": int},
}
ROOT: dict[str, Any] = {"path": str, "state": str, "directories": int}
ACTIVE: dict[str, Any] = {"path": str, "bytes_done": int, "bytes_total": int, "bytes_per_s": int}


def shape_of(value: Any, like: Any) -> Any:
    """Return the types of a JSON value, as deep as `like` goes."""
    if isinstance(like, dict) and isinstance(value, dict):
        return {key: shape_of(inner, like.get(key)) for key, inner in value.items()}
    return type(value)


def test_the_status_has_exactly_the_keys_and_types_that_are_promised(models: Path, make_daemon: DaemonMaker) -> None:
    daemon = make_daemon()
    for state in ("stopped", "running"):
        status = daemon.must("status", "--json").json
        assert (shape_of(status, STATUS), list(status)) == (STATUS, list(STATUS))
        assert status["state"] == state
        if state == "stopped":
            daemon.start()
    assert [shape_of(root, ROOT) for root in daemon.status()["watch"]["roots"]] == [ROOT]
    with (models / "large.ckpt").open("wb") as file:
        file.truncate(1 << 30)
    active = wait_until(lambda: daemon.status()["hashing"]["active"], what="the file to be hashed")
    assert [shape_of(each, ACTIVE) for each in active] == [ACTIVE]
    status = daemon.status()
    assert (status["pending"]["hashing"] or status["models"]) == 1
    daemon.pause()
    assert daemon.status()["state"] == "paused"


def test_the_journal_of_one_model_is_one_story_through_its_renames(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LegacyLibrary()
    first = put(models / "loras" / "first name.safetensors", safetensors("story"))
    library.add(first, (".png", png()), tags=("favourite",))
    put(models / "loras" / "another.safetensors", safetensors("another"))
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    sha256 = daemon.wait_model(first)
    daemon.wait_idle()
    second = first.rename(first.with_name("second name.safetensors"))
    daemon.wait_model(second)
    (models / "loras").rename(models / "renamed")
    third = models / "renamed" / second.name
    daemon.wait_model(third)
    third.unlink()
    wait_until(lambda: daemon.journal("file.missing"))
    stories = [
        daemon.must("journal", "--json", "--model", name).out
        for name in (str(third), str(first), sha256[:10], "second name")
    ]
    assert len(set(stories)) == 1
    told = daemon.get("/api/journal", model=str(third))["records"]
    assert [record["event"] for record in told] == [
        "file.detected",
        "file.settled",
        "hash.finished",
        "migration.planned",
        "migration.committed",
        "image.published",
        "migration.finished",
        "file.moved",
        "file.moved",
        "file.missing",
    ]
    assert not any("another" in str(record) for record in told)
    shown = daemon.must("journal", "--model", str(third)).out
    assert shown.count("moved: ") == 2


def test_hashing_by_request_answers_for_files_inside_the_roots_and_for_no_other(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon().start()
    daemon.pause()
    inside = put(models / "loras" / "inside.safetensors", safetensors("inside"))
    outside = put(tmp_path / "outside" / "secret.safetensors", safetensors("secret"))
    escaping = models / "escaping.safetensors"
    escaping.symlink_to(outside)
    (models / "way out").symlink_to(outside.parent)
    wait_until(lambda: daemon.rows("SELECT * FROM pending_import WHERE path = ?", str(inside)))
    refused = [
        outside,
        tmp_path / "outside" / "nothing.safetensors",
        escaping,
        models / "way out" / "secret.safetensors",
        models / ".." / "outside" / "secret.safetensors",
        Path("/etc/passwd"),
        Path("loras/inside.safetensors"),
    ]
    sentences = set()
    for path in refused:
        answer = daemon.post("/api/models/sha256", {"path": str(path), "pending_status": "ignore"})
        assert answer.status_code == 403, path
        sentences.add(answer.text)
    assert len(sentences) == 1, "a refusal tells something about the path"
    assert daemon.post("/api/models/sha256", {"path": str(models / "loras")}).status_code in (400, 404)
    missing = daemon.post("/api/models/sha256", {"path": str(models / "nothing.safetensors")})
    assert (missing.status_code, list(missing.json())) == (404, ["error"])
    # What is asked for is answered though the daemon is paused.
    done = daemon.post("/api/models/sha256", {"path": str(inside), "pending_status": "pending"})
    assert done.json() == {"sha256": sha256_of(inside), "action_taken": "created"}
    assert daemon.get(f"/api/models/{sha256_of(inside)}")["path"] == str(inside)
    again = daemon.post("/api/models/sha256", {"path": str(inside), "pending_status": "pending"})
    assert again.json() == {"sha256": sha256_of(inside)}


def test_asking_for_a_hash_alone_migrates_nothing_and_the_migration_may_be_asked_for_next(
    models: Path, daemon: DaemonProcess
) -> None:
    daemon.pause()
    path = put(models / "asked.safetensors", safetensors("asked"))
    wait_until(lambda: daemon.status()["hashing"]["queued"], what="the file to wait for a worker")
    asked = {"path": str(path)}
    alone = daemon.post("/api/models/sha256", {**asked, "pending_status": "ignore"})
    assert alone.json() == {"sha256": sha256_of(path)}
    done = daemon.post("/api/models/sha256", {**asked, "pending_status": "pending"})
    assert (done.status_code, done.json()) == (200, {"sha256": sha256_of(path), "action_taken": "created"})


def test_a_scan_that_is_asked_for_tells_how_many_files_it_saw(models: Path, daemon: DaemonProcess) -> None:
    daemon.pause()
    put(models / "waits.safetensors", safetensors("waits"))
    wait_until(lambda: daemon.status()["pending"]["waiting"] == 1)
    assert daemon.scan() == {"status": "success", "scanned": 1, "added": 0, "pending_ids": [], "skipped": 1}
    daemon.resume()
    daemon.wait_idle()
    assert daemon.scan() == {"status": "success", "scanned": 1, "added": 0, "pending_ids": [], "skipped": 1}


def test_a_scan_finds_what_no_event_told_of(models: Path, daemon: DaemonProcess) -> None:
    path = put(models / "found.safetensors", safetensors("found"))
    daemon.wait_model(path)
    # A write through a name of the file that lies in no root makes no event.
    outside = models.parent / "outside.safetensors"
    os.link(path, outside)
    outside.write_bytes(safetensors("rewritten"))
    daemon.must("scan")
    wait_until(lambda: daemon.wait_model(path) == sha256_of(outside))
