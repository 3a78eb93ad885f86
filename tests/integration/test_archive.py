"""Everything that is known goes into one file and comes back out of it, here and on another machine."""

import base64
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.archives import whole
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors
from tests.waiting import wait_until

from modelkeep.base import failpoints
from modelkeep.domain.archive import Archive
from modelkeep.importers.archive_file import ArchiveFile


def fill(daemon: DaemonProcess, models: Path) -> str:
    """Have a daemon know something of every kind, and return the hash of the model that is described."""
    hero = put(models / "loras" / "hero.safetensors", safetensors("hero"))
    put(models / "loras" / "plain.safetensors", safetensors("plain"))
    sidecar = {"description": "from a sidecar", "activation text": "cape"}
    put(models / "loras" / "plain.json", json.dumps(sidecar).encode())
    put(models / "loras" / "plain.mp4", b"a video, of which only the name is known")
    put(models / "loras" / "ghost.preview.png", png(7, (24, 16)))
    put(models / "loras" / "ghost.civitai.info", json.dumps({"id": 1, "modelId": 2, "files": []}).encode())
    within = f"data:image/png;base64,{base64.b64encode(png(8, (24, 16))).decode()}"
    put(models / "loras" / "ghost.swarm.json", json.dumps({"modelspec.preview_image": within}).encode())
    sha256 = daemon.wait_model(hero)
    daemon.wait_model(models / "loras" / "plain.safetensors")
    (tag,) = daemon.post("/api/tags_add", {"newtags": ["favourite"]}).json()["tags"]
    said = {"name": "The Hero", "meta_json": {"notes": "best at 0.7", "own key": [1, {"deep": None}]}, "tags": [tag]}
    assert daemon.request("PATCH", f"/api/models/{sha256}", json=said).is_success
    for number in (1, 2):
        image: dict[str, Any] = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(number, (24, 16)))}}
        assert daemon.request("POST", "/api/images/upload", **image).is_success
    query = "SELECT kept FROM record_images WHERE kept != ''"
    wait_until(lambda: daemon.rows(query), 60, "the image of what has no model to be kept")
    daemon.wait_idle()
    return sha256


def archived(daemon: DaemonProcess, path: Path) -> Archive:
    daemon.must("export", "archive", str(path))
    with ArchiveFile(path) as packed:
        return whole(packed.read())


def without_the_machine(archive: Archive) -> Archive:
    """Return an archive without what only says how far this machine has read its files."""
    models = tuple(
        replace(
            model,
            locations=tuple(replace(each, state="present", claimed=False, last_seen=0) for each in model.locations),
        )
        for model in archive.models
    )
    return replace(archive, models=models, contents=())


def test_what_is_known_survives_the_way_to_another_machine_and_finds_its_files_there(
    models: Path, tmp_path: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon().start()
    sha256 = fill(daemon, models)
    first = archived(daemon, tmp_path / "first.zip")
    assert {model.name for model in first.models} >= {"The Hero"}
    assert {record.record.kind for record in first.sources} == {"webui", "civitai-helper", "preview", "swarmui"}
    assert [record.record.stem for record in first.sources if record.kept] == ["ghost"]
    named = [image.path for record in first.sources for image in record.record.images]
    assert str(models / "loras" / "plain.mp4") in named
    assert len(next(model for model in first.models if model.sha256 == sha256).images) == 2
    assert daemon.command("export", "archive", str(tmp_path / "first.zip")).status == 1
    shown = daemon.get(f"/api/models/{sha256}")
    daemon.stop()
    models.rename(tmp_path / "the other machine")

    other_models = tmp_path / "elsewhere"
    put(other_models / "new place" / "renamed.safetensors", safetensors("hero"))
    other = make_daemon(other_models, name="other")
    dry = other.must("import", "archive", str(tmp_path / "first.zip"), "--dry-run", "--json").json
    steps = tmp_path / "steps"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELKEEPTEST_FAILPOINT_LOG", str(steps))
        report = other.must("import", "archive", str(tmp_path / "first.zip"), "--json").json
    assert (report["migrated"], report["images_processed"], report["refusals"]) == (2, 3, [])
    assert (dry["migrated"], dry["images_processed"]) == (2, 3)
    second = archived(other, tmp_path / "second.zip")
    assert without_the_machine(second) == without_the_machine(first)

    again = other.must("import", "archive", str(tmp_path / "first.zip"), "--json").json
    assert (again["migrated"], again["pending"], again["updated"], again["images_processed"]) == (0, 0, 0, 0)
    assert archived(other, tmp_path / "third.zip") == second

    killed = make_daemon(other_models, name="killed")
    commit = [
        step for step in steps.read_text().partition("image.publish.before@1\n")[0].split() if "commit.before" in step
    ]
    kill_import_at(killed, tmp_path / "first.zip", commit[-1])
    assert killed.must("models", "list", "--json").json == []
    kill_import_at(killed, tmp_path / "first.zip", "image.publish.before@2")
    finished = killed.must("import", "archive", str(tmp_path / "first.zip"), "--json").json
    assert (finished["migrated"], finished["images_processed"], finished["rows"]) == (0, 0, finished["unchanged"])
    assert archived(killed, tmp_path / "killed.zip") == second

    other.start()
    found = other_models / "new place" / "renamed.safetensors"
    assert other.wait_model(found) == sha256
    known = other.get(f"/api/models/{sha256}")
    assert (known["name"], known["meta_json"], known["path"]) == ("The Hero", shown["meta_json"], str(found))
    for seq in (0, 1):
        image = f"/api/images/{sha256}_{seq}.webp"
        assert other.request("GET", image, params={"quality": "low"}).content.startswith(b"RIFF")
    assert archived(other, tmp_path / "running.zip").models
    (within,) = [orphan["id"] for orphan in other.get("/api/orphans")["orphans"] if orphan["kind"] == "swarmui"]
    other.must("orphans", "resolve", str(within), "--model", str(found))
    wait_until(lambda: len(other.get(f"/api/models/{sha256}/details")["images"]) == 3, what="the image in a sidecar")
    assert other.must("doctor", "--json").status == 0


def kill_import_at(daemon: DaemonProcess, archive: Path, point: str) -> None:
    """Begin an import that ends at a fail point, as if it were killed there."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELKEEPTEST_FAILPOINT", point)
        importing = daemon.begin("import", "archive", str(archive))
    assert importing.wait(120) == failpoints.EXIT_STATUS


def rewritten(source: Path, target: Path, name: str, data: bytes) -> Path:
    """Copy an archive with another content of one member."""
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "w") as written:
        for each in read.namelist():
            written.writestr(each, data if each == name else read.read(each))
    return target


def test_a_model_that_is_known_keeps_its_words_and_the_owner_is_asked_about_others(
    models: Path, tmp_path: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon().start()
    sha256 = fill(daemon, models)
    archive = tmp_path / "a.zip"
    archived(daemon, archive)
    for changes in ({"notes": "worst at 0.7"}, {"own key": None}):
        assert daemon.request("PATCH", f"/api/models/{sha256}", json={"meta_json": changes}).is_success
    image = next(name for name in (zipfile.ZipFile(archive).namelist()) if name.endswith("_0_low.webp"))
    before = daemon.get(f"/api/models/{sha256}/details")

    report = daemon.must("import", "archive", str(archive), "--json").json
    conflicts = daemon.must("pending", "list", "--state", "conflict", "--json").json
    again = daemon.must("import", "archive", str(archive), "--json").json

    assert report["pending"] == 1
    assert [(row["path"], row["meta_json"]["notes"]) for row in conflicts] == [
        (before["model"]["path"], "best at 0.7")
    ]
    assert daemon.get(f"/api/models/{sha256}/details") == before
    assert (again["pending"], again["unchanged"]) == (0, again["rows"])
    daemon.stop()

    fresh = make_daemon(tmp_path / "none", name="fresh")
    damaged = rewritten(archive, tmp_path / "damaged.zip", image, b"RIFF0000WEBP no picture")
    foretold = fresh.must("import", "archive", str(damaged), "--dry-run", "--json").json
    part = fresh.must("import", "archive", str(damaged), "--json").json
    assert foretold == {**part, "dry_run": True}
    assert (part["migrated"], part["images_processed"], len(part["image_errors"])) == (2, 2, 1)
    lines = rewritten(archive, tmp_path / "lines.zip", "models.jsonl", b'{"sha256": "x"}\n')
    assert "is not as it has to be" in fresh.command("import", "archive", str(lines)).err
    assert "no archive" in fresh.command("import", "archive", str(Path(__file__))).err
