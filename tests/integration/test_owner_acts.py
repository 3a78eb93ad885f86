"""What the owner does by hand, over real HTTP: images come and go, models are forgotten, rows taken in batches."""

import json
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from tests.daemon_process import DaemonProcess
from tests.image_files import gigantic_png, jpeg, png, text_as_image, truncated_png
from tests.integration.conftest import DaemonMaker
from tests.integration.mount_points import mounting
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of

from modelkeep.doctor.examination import examine
from modelkeep.doctor.findings import Finding
from modelkeep.images.tiers import render_tiers
from modelkeep.settings.model import load_settings

QUALITIES = ("high", "medium", "low")
TINY = (48, 32)


def upload(daemon: DaemonProcess, sha256: str, content: bytes) -> httpx.Response:
    return daemon.request("POST", "/api/images/upload", data={"sha256": sha256}, files={"image": ("x.png", content)})


def shown(daemon: DaemonProcess, sha256: str, sources: Sequence[bytes]) -> list[int]:
    """Return which of these images a model shows, by their place in the list, after asking for every quality."""
    rendered = [render_tiers(source, "x").files for source in sources]
    found = []
    for name in daemon.post("/api/images/get_sample_imgs", {"hash": sha256}).json():
        files = {
            quality: daemon.request("GET", f"/api/images/{name}", params={"quality": quality}).content
            for quality in QUALITIES
        }
        found.append(rendered.index(files))
    assert daemon.get("/api/images/get_img_count", sha256=sha256) == {"count": len(found)}
    return found


def _look_around(daemon: DaemonProcess, sha256: str) -> set[bytes]:
    """Ask for each image again and again; returns what was shown."""
    transport = httpx.HTTPTransport(uds=str(daemon.socket))
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as browser:
        answers = [
            browser.get(f"/api/images/{sha256}_{seq}.webp", params={"quality": "low"})
            for _ in range(15)
            for seq in range(6)
        ]
    assert {answer.status_code for answer in answers} <= {200, 404}
    return {answer.content for answer in answers if answer.is_success}


def test_images_come_and_go_and_a_model_whose_file_is_gone_is_forgotten(daemon: DaemonProcess, models: Path) -> None:
    sources = [png(seed, TINY) for seed in range(6)]
    file = put(models / "loras" / "hero.safetensors", safetensors("hero"))
    sha256 = daemon.wait_model(file)
    with ThreadPoolExecutor(4) as browsers:
        answers = list(browsers.map(lambda source: upload(daemon, sha256, source), [*sources, *sources[:3]]))
    assert {answer.status_code for answer in answers} == {200}
    names = [answer.json()["base_name"] for answer in answers]
    assert sorted(names[:6]) == [f"{sha256}_{seq}" for seq in range(6)]
    assert names[6:] == names[:3]
    in_order = shown(daemon, sha256, sources)
    assert sorted(in_order) == list(range(6))

    tag = daemon.request("GET", f"/api/images/{sha256}").headers["etag"]
    again = daemon.request("GET", f"/api/images/{sha256}_0.webp", headers={"If-None-Match": tag})
    assert again.status_code == 304
    with ThreadPoolExecutor(5) as browsers:
        reading = [browsers.submit(_look_around, daemon, sha256) for _ in range(2)]
        removed = list(browsers.map(lambda seq: _remove(daemon, sha256, seq), (0, 0, 2)))
    assert {answer.status_code for answer in removed} == {200}
    whole = {render_tiers(source, "x").files["low"] for source in sources}
    assert all(reader.result() <= whole for reader in reading), "somebody was shown half an image"
    left = shown(daemon, sha256, sources)
    assert (len(left), left) == (3, [image for image in in_order if image in left])
    assert _remove(daemon, sha256, 3).status_code == 404
    assert daemon.request("GET", f"/api/images/{sha256}_3.webp").status_code == 404
    changed = daemon.request("GET", f"/api/images/{sha256}_0.webp", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    for content, status in ((text_as_image(), 415), (truncated_png(), 415), (gigantic_png(), 413), (b"", 415)):
        refused = upload(daemon, sha256, content)
        assert (refused.status_code, "what was sent" in refused.json()["error"]) == (status, True)
    assert upload(daemon, "d" * 64, sources[0]).status_code == 404

    assert daemon.request("DELETE", f"/api/models/{sha256}").status_code == 409
    file.unlink()
    daemon.scan()
    assert "is forgotten, with 3 images" in daemon.must("models", "purge", sha256[:12], "--yes").out
    assert daemon.request("GET", f"/api/models/{sha256}").status_code == 404
    assert daemon.request("DELETE", f"/api/models/{sha256}").status_code == 404
    assert not list((daemon.data_dir / "images").glob("*.webp"))
    daemon.stop()
    actions = [record.get("action") for record in daemon.journal("migration.finished")]
    assert actions == ["created", *["image_uploaded"] * 6, *["image_removed"] * 3, "purged"]
    assert [finding.sentence for finding in _wrong_at(daemon)] == []


def test_a_batch_takes_every_row_to_its_own_end(tmp_path: Path, models: Path, daemon: DaemonProcess) -> None:
    daemon.pause()
    library = LegacyLibrary()
    contents = {"one": "one", "two": "two", "held": "held", "again": "held"}
    files = {name: put(models / "loras" / f"{name}.pt", safetensors(content)) for name, content in contents.items()}
    for name, file in files.items():
        library.add(file, (".jpg", jpeg(len(name), TINY)), name=f"Called {name}", extra={"description": name})
    library.add(models / "loras" / "nowhere.pt", None, name="Called nowhere")
    body = {"kind": "hikaze", "source": str(library.write(tmp_path / "old"))}
    assert daemon.post("/api/import", body).is_success
    rows = {Path(row["path"]).stem: row for row in daemon.rows("SELECT * FROM pending_import")}
    ids = {name: row["id"] for name, row in rows.items()}
    assert ids.keys() == {*contents, "nowhere"}

    original = daemon.request("GET", f"/api/images/pending/{ids['one']}")
    assert (original.content, original.headers["content-type"]) == (jpeg(3, TINY), "image/jpeg")
    named = daemon.request("GET", f"/api/images/pending/{rows['one']['image']}")
    assert named.content == original.content

    wanted = [ids["one"], ids["two"], ids["held"], ids["nowhere"], 10_000]
    with ThreadPoolExecutor(2) as browsers:
        answers = list(browsers.map(lambda _: _batch(daemon, wanted), range(2)))
    # One batch migrates a row; the other joins it and is told the same, or comes too late and is told that.
    assert {row for answer in answers for row in answer["success"]} == set(wanted[:3])
    for answer in answers:
        told = {row["id"]: row["error"] for row in answer["failed"]}
        assert "no row 10000" in told[10_000]
        assert answer["total"] == len(told) + len(answer["success"]) == 5
    reasons = [row["error"] for answer in answers for row in answer["failed"] if row["id"] == ids["nowhere"]]
    assert any("no file" in reason for reason in reasons)

    conflict = _batch(daemon, [ids["again"]])["conflict"]
    held = {"id": sha256_of(files["held"]), "path": str(files["held"])}
    assert conflict == [{"pending": {"id": ids["again"], "path": str(files["again"])}, "existing": held}]
    assert _batch(daemon, [ids["again"]], "ignore")["ignored"] == [ids["again"]]
    assert _batch(daemon, [ids["again"]], "merge")["success"] == [ids["again"]]
    assert daemon.request("GET", f"/api/images/pending/{ids['again']}").status_code == 404
    assert daemon.get("/api/images/get_img_count", sha256=held["id"]) == {"count": 2}


def test_images_on_a_disk_that_cannot_be_written_are_told_and_outlasted(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon().start()
    sha256 = daemon.wait_model(put(models / "loras" / "hero.safetensors", safetensors("hero")))
    assert upload(daemon, sha256, png(1, TINY)).is_success
    library = LegacyLibrary()
    library.add(models / "loras" / "nowhere.pt", (".jpg", jpeg(1, TINY)), name="Called nowhere")
    source = str(library.write(tmp_path / "old"))
    images = daemon.data_dir / "images"
    advice = f"Read-only file system; mount the disk of {images}"
    with mounting(tmp_path / "mounts") as mounts:
        mounts.read_only(images)
        for answer in (_remove(daemon, sha256, 0), upload(daemon, sha256, png(2, TINY))):
            assert (answer.status_code, advice in answer.json()["error"]) == (507, True), answer.text
        imported = daemon.command("import", "hikaze", source)
        assert (imported.status, advice in imported.err) == (1, True), imported.err
        assert advice in str(daemon.journal("import.failed")[-1]["error"])
        assert shown(daemon, sha256, [png(1, TINY)]) == [0]

        daemon.kill()
        _commit_removal(daemon, sha256)
        daemon.start()
        (trouble,) = daemon.status()["troubles"]
        assert (trouble["part"], advice in trouble["error"]) == ("images", True)
        assert [record["part"] for record in daemon.journal("trouble.began")] == ["images"]
        assert daemon.rows("SELECT id FROM migrations WHERE id = 'removal'")
    assert upload(daemon, sha256, png(2, TINY)).is_success
    assert "troubles" not in daemon.status()
    assert shown(daemon, sha256, [png(2, TINY)]) == [0]
    assert _remove(daemon, sha256, 0).is_success
    assert not daemon.rows("SELECT id FROM migrations WHERE id = 'removal'")
    assert not list(images.glob("*.webp"))


def _commit_removal(daemon: DaemonProcess, sha256: str) -> None:
    """Leave what a removal leaves that was committed, and cut off before its files were removed."""
    removed = [f"{sha256}_0_{quality}.webp" for quality in QUALITIES]
    with closing(sqlite3.connect(daemon.data_dir / "modelkeep.db")) as catalogue, catalogue:
        catalogue.execute("DELETE FROM images WHERE sha256 = ?", (sha256,))
        (columns,) = catalogue.execute("SELECT group_concat(name) FROM pragma_table_info('migrations')").fetchone()
        values = {"id": "removal", "plan_json": json.dumps({"files": [], "removed": removed})}
        row = [values.get(column, 1) for column in columns.split(",")]
        catalogue.execute(f"INSERT INTO migrations VALUES ({','.join('?' * len(row))})", row)


def _remove(daemon: DaemonProcess, sha256: str, seq: int) -> httpx.Response:
    return daemon.request("DELETE", "/api/images/delete", params={"sha256": sha256, "seq": seq})


def _batch(daemon: DaemonProcess, ids: list[int], strategy: str | None = None) -> dict[str, Any]:
    answer = daemon.post("/api/migration/import_models", {"id": ids, "conflict_strategy": strategy})
    assert answer.status_code == 207, answer.text
    told: dict[str, Any] = answer.json()
    return told


def _wrong_at(daemon: DaemonProcess) -> list[Finding]:
    """Return what the doctor finds wrong with the data folder itself."""
    checks = ("images", "originals", "leftovers", "journal", "catalogue", "models")
    findings = examine(load_settings(daemon.config)).findings
    return [finding for finding in findings if finding.is_wrong and finding.check in checks]
