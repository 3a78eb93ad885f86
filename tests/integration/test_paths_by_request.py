"""Paths that callers name: one spelling, model files only, and of links out of the roots those that were found."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until


class Linked:
    """A content that is a model, described otherwise at a link to a cache outside of the root: a conflict."""

    def __init__(self, tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> None:
        content = safetensors("cached")
        self.sha256 = sha256_of(content)
        self.cache = tmp_path / "cache"
        put(self.cache / "blobs" / "0a1b", content)
        first = put(models / "loras" / "first.safetensors", content)
        self.link = models / "loras" / "link.safetensors"
        self.link.symlink_to(self.cache / "blobs" / "0a1b")
        library = LegacyLibrary()
        library.add(first, name="Held", hash_hex=self.sha256, extra={"description": "held"})
        library.add(self.link, name="Said", extra={"description": "said"})
        self.daemon = make_daemon()
        self.daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
        self.daemon.start()
        self.daemon.wait_idle()
        (self.row,) = self.daemon.rows("SELECT * FROM pending_import")
        assert (self.row["path"], self.row["state"]) == (str(self.link), "conflict")


@pytest.fixture
def linked(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> Linked:
    return Linked(tmp_path, models, make_daemon)


def ask(daemon: DaemonProcess, path: Path | str, pending_status: str = "ignore") -> tuple[int, Any]:
    answer = daemon.post("/api/models/sha256", {"path": str(path), "pending_status": pending_status})
    return answer.status_code, answer.json()


def test_a_conflict_at_a_link_out_of_the_root_is_resolved(linked: Linked) -> None:
    assert ask(linked.daemon, linked.link) == (200, {"sha256": linked.sha256})
    assert ask(linked.daemon, linked.link, "pending")[0] == 409
    batch = linked.daemon.post("/api/migration/import_models", {"id": [linked.row["id"]]}).json()
    assert [row["pending"]["id"] for row in batch["conflict"]] == [linked.row["id"]]
    linked.daemon.must("pending", "resolve", str(linked.row["id"]), "--strategy", "override")
    assert linked.daemon.rows("SELECT * FROM pending_import") == []
    assert linked.daemon.get(f"/api/models/{linked.sha256}")["meta_json"]["description"] == "said"


def test_a_link_that_leads_elsewhere_now_is_not_followed_because_somebody_asks(linked: Linked) -> None:
    daemon = linked.daemon
    daemon.pause()
    secret = put(linked.cache / "secret.safetensors", safetensors("secret"))
    new = linked.link.with_name("new.safetensors")
    before = len(daemon.journal("hash.finished"))
    linked.link.unlink()
    for link in (linked.link, new):
        link.symlink_to(secret)
        for pending_status in ("ignore", "pending"):
            assert ask(daemon, link, pending_status)[0] == 403
    at = daemon.post("/api/migration/import_a_model", {"id": linked.row["id"], "path": str(new)})
    assert at.status_code == 403
    assert len(daemon.journal("hash.finished")) == before


class Lost:
    """A row whose file has another name now."""

    def __init__(self, tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> None:
        self.models = models
        self.outside = tmp_path / "outside"
        library = LegacyLibrary()
        library.add(models / "loras" / "old.safetensors", name="Described", extra={"description": "kept"})
        self.daemon = make_daemon()
        self.daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
        self.daemon.start()
        (row,) = wait_until(lambda: self.daemon.rows("SELECT * FROM pending_import WHERE state = 'missing'"))
        self.id: int = row["id"]
        self.new = put(models / "loras" / "new.safetensors", safetensors("new"))
        self.daemon.wait_model(self.new)

    @property
    def paths(self) -> set[str]:
        """Every path that the catalogue knows."""
        query = "SELECT path FROM locations UNION SELECT path FROM pending_import UNION SELECT path FROM models"
        return {row["path"] for row in self.daemon.rows(query)}


@pytest.fixture
def lost(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> Lost:
    return Lost(tmp_path, models, make_daemon)


@pytest.mark.parametrize("way", ["command", "request", "another name of the root"])
def test_a_path_on_a_detour_is_the_path_of_the_file(lost: Lost, tmp_path: Path, way: str) -> None:
    if way == "command":
        detour = os.path.relpath(lost.models / "vae" / ".." / "loras" / "." / "new.safetensors")
        lost.daemon.must("pending", "resolve", str(lost.id), "--at", f"./vae/../{detour}")
    else:
        detour = f"/{lost.models}//vae/../loras/./new.safetensors"
        if way == "another name of the root":
            (tmp_path / "alias").symlink_to(lost.models)
            detour = str(tmp_path / "alias" / "loras" / "new.safetensors")
        answer = lost.daemon.post("/api/migration/import_a_model", {"id": lost.id, "path": detour})
        assert (answer.status_code, answer.json()["action_taken"]) == (200, "merged")
        assert ask(lost.daemon, detour) == (200, {"sha256": sha256_of(lost.new)})
    assert lost.paths == {str(lost.new)}
    assert lost.daemon.get(f"/api/models/{sha256_of(lost.new)}")["meta_json"]["description"] == "kept"


def test_what_is_no_model_file_is_not_made_one(lost: Lost) -> None:
    """Neither the row nor the catalogue changes, whatever kind of thing lies at the path."""
    content = safetensors("elsewhere")
    (lost.models / "folder.safetensors").mkdir()
    os.mkfifo(lost.models / "pipe.safetensors")
    refused = {
        put(lost.models / "notes.txt", b"buy milk"): 400,
        put(lost.models / "half.safetensors.part", content): 400,
        put(lost.models / ".trash" / "hidden.safetensors", content): 400,
        lost.models: 400,
        lost.models / "folder.safetensors": 404,
        lost.models / "pipe.safetensors": 404,
        lost.models / "nothing.safetensors": 404,
        put(lost.outside / "other.safetensors", content): 403,
        lost.outside / "nothing.safetensors": 403,
    }
    row = "SELECT id, path, name, state, meta_json FROM pending_import"  # the sweep may try it again meanwhile
    before = lost.paths, lost.daemon.rows(row)
    for path, status in refused.items():
        answer = lost.daemon.post("/api/migration/import_a_model", {"id": lost.id, "path": str(path)})
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), path
        assert ask(lost.daemon, path)[0] == status, path
    empty = put(lost.models / "empty.safetensors", b"")
    answer = lost.daemon.post("/api/migration/import_a_model", {"id": lost.id, "path": str(empty)})
    assert (answer.status_code, "empty" in answer.json()["error"]) == (400, True)
    said = lost.daemon.command("pending", "resolve", str(lost.id), "--at", str(lost.models / "notes.txt"))
    assert (said.status, "notes.txt" in said.err) == (1, True), said
    assert (lost.paths, lost.daemon.rows(row)) == before
    assert lost.daemon.journal("file.moved") == []
