"""Models and tags are changed over HTTP and by the command line; of several at once nobody loses what he wrote."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors

from modelkeep.doctor.examination import examine
from modelkeep.settings.model import load_settings


def edit(daemon: DaemonProcess, sha256: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return daemon.request("PATCH", f"/api/models/{sha256}", json=body, headers=headers)


def test_what_is_changed_is_journalled_and_outlasts_a_kill(models: Path, make_daemon: DaemonMaker) -> None:
    daemon = make_daemon().start()
    file = put(models / "loras" / "hero.safetensors", safetensors("hero"))
    copy = put(models / "copy.safetensors", safetensors("hero"))
    sha256 = daemon.wait_model(file)
    assert daemon.wait_model(copy) == sha256
    (tag, other) = daemon.post("/api/tags_add", {"newtags": ["favourite", "other"]}).json()["tags"]
    shown = daemon.get(f"/api/models/{sha256}")
    shown["meta_json"]["description"] = "a hero"
    shown["tags"] = [tag]
    after = edit(daemon, sha256, shown)
    assert after.json() == {**shown, "tags": [tag]}
    # The image count is part of what is shown, so an image makes another version of it.
    form: dict[str, Any] = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(1, (24, 16)))}}
    assert daemon.request("POST", "/api/images/upload", **form).is_success
    stale = edit(daemon, sha256, {"name": "lost"}, **{"If-Match": after.headers["etag"]})
    assert (stale.status_code, stale.json()["existing"]["meta_json"]["images_count"]) == (412, 1)
    moved_to = str(copy) if shown["path"] == str(file) else str(file)
    assert edit(daemon, sha256, {"path": moved_to}).json()["path"] == moved_to
    assert edit(daemon, sha256, {"path": "/etc/passwd"}).status_code == 403
    assert edit(daemon, sha256, {"path": str(models / "nothing.safetensors")}).status_code == 409
    assert edit(daemon, "0" * 64, {"name": "x"}).status_code == 404
    seen = daemon.get(f"/api/models/{sha256}")
    moved = Path(seen["path"]).rename(models / "moved.safetensors")
    daemon.wait_model(moved)
    late = edit(daemon, sha256, {**seen, "name": "written before it moved"}).json()
    assert (late["name"], late["path"]) == ("written before it moved", str(moved))
    assert daemon.must("tag", sha256[:8], "third", "--json").json["tags"][-1]["name"] == "third"
    assert daemon.request("PATCH", f"/api/tags/{tag['id']}", json={"name": "best"}).is_success
    assert daemon.request("DELETE", f"/api/tags/{other['id']}").is_success
    before = daemon.get(f"/api/models/{sha256}"), daemon.get("/api/tags/details")
    daemon.kill()

    daemon.start()
    assert (daemon.get(f"/api/models/{sha256}"), daemon.get("/api/tags/details")) == before
    assert [tag["name"] for tag in before[0]["tags"]] == ["best", "third"]
    done = [record["action"] for record in daemon.journal("migration.finished") if "by the owner" in str(record)]
    acts = "tags_added edited image_uploaded edited edited tags_added edited tag_changed tag_removed"
    assert done == acts.split()
    planned = [record for record in daemon.journal("migration.planned") if record["action"] == "edited"]
    assert planned[0]["changed"] == ["meta", "tags"]
    assert (planned[0]["model"]["tags"], planned[0]["edited"]["tags"]) == ([], ["favourite"])
    daemon.stop()
    assert daemon.must("models", "edit", sha256[:8], "--name", "Hero", "--json").json["name"] == "Hero"
    findings = examine(load_settings(daemon.config)).findings
    assert [
        str(finding) for finding in findings if finding.is_wrong and finding.check in ("journal", "catalogue")
    ] == []


def test_of_several_at_once_one_wins_and_the_others_are_told(models: Path, daemon: DaemonProcess) -> None:
    hero = put(models / "hero.safetensors", safetensors("hero", 1 << 20))
    sha256 = daemon.wait_model(hero)
    _edit_at_once(daemon, sha256)
    _edit_while_copies_are_migrated(daemon, sha256, hero)
    _delete_during_reads(daemon, sha256, models)


def _edit_at_once(daemon: DaemonProcess, sha256: str) -> None:
    tag = daemon.request("GET", f"/api/models/{sha256}").headers["etag"]
    with ThreadPoolExecutor(8) as clients:
        answers = list(
            clients.map(lambda number: edit(daemon, sha256, {"name": str(number)}, **{"If-Match": tag}), range(8))
        )
        kept = list(clients.map(lambda number: edit(daemon, sha256, {"meta_json": {f"k{number}": number}}), range(8)))
        made = list(clients.map(lambda _: daemon.post("/api/tags_add", {"newtags": ["a", "b"]}).json(), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    winner = next(answer.json()["name"] for answer in answers if answer.status_code == 200)
    after = daemon.get(f"/api/models/{sha256}")
    assert {answer.status_code for answer in kept} == {200}
    assert (after["name"], {key for key in after["meta_json"] if key.startswith("k")}) == (
        winner,
        {f"k{number}" for number in range(8)},
    )
    assert made == made[:1] * 8


def _edit_while_copies_are_migrated(daemon: DaemonProcess, sha256: str, hero: Path) -> None:
    with ThreadPoolExecutor(4) as clients:
        edits = [clients.submit(edit, daemon, sha256, {"name": f"name {number}"}) for number in range(12)]
        copies = [put(hero.with_name(f"copy {number}.safetensors"), hero.read_bytes()) for number in range(6)]
        assert {each.result().status_code for each in edits} == {200}
    for copy in copies:
        assert daemon.wait_model(copy) == sha256
    daemon.wait_idle()
    assert daemon.get(f"/api/models/{sha256}")["name"].startswith("name ")
    assert len(daemon.get(f"/api/models/{sha256}/details")["locations"]) == 7


def _delete_during_reads(daemon: DaemonProcess, sha256: str, models: Path) -> None:
    for path in models.iterdir():
        path.unlink()
    daemon.scan()
    with ThreadPoolExecutor(4) as clients:
        reads = [clients.submit(daemon.request, "GET", f"/api/models/{sha256}") for _ in range(8)]
        deleted = list(clients.map(lambda _: daemon.request("DELETE", f"/api/models/{sha256}").status_code, range(2)))
        assert {read.result().status_code for read in reads} <= {200, 404}
    assert sorted(deleted) == [200, 404]
    assert edit(daemon, sha256, {"name": "late"}).status_code == 404
