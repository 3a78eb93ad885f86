"""Who may have which paths of this machine read, call by call, as another user of it asks: over TCP."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n"
TINY = (24, 16)


def ask(daemon: DaemonProcess, path: str, body: object, token: str = "") -> httpx.Response:
    """Send what any program on this machine can send."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=daemon.url, timeout=60, verify=False) as client:
        return client.post(path, json=body, headers=headers)


def legacy(folder: Path, file: Path, image: tuple[str, bytes] | None = None) -> Path:
    library = LegacyLibrary()
    library.add(file, image, name="Hero")
    return library.write(folder)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder that another user may not read, and a database of his that names a file in it as an image."""
    put(tmp_path / "home" / ".ssh" / "id_rsa", KEY)
    library = LegacyLibrary()
    library.add(tmp_path / "nowhere.pt", extra={"images": ["/media/id_rsa"]})
    library.write(tmp_path / "theirs")
    return tmp_path / "home" / ".ssh"


def calls(source: object, images: object) -> list[tuple[str, dict[str, Any]]]:
    """Return every call that names paths of old databases and images."""
    whole = {"kind": "hikaze", "source": str(source), "images": str(images)}
    return [
        ("/api/migration/migrate_legacy_db", {"legacy_db_path": str(source), "legacy_images_dir": str(images)}),
        ("/api/import", whole),
        ("/api/import", {**whole, "dry_run": True}),
    ]


def test_another_user_of_the_machine_has_nothing_read(tmp_path: Path, secrets: Path, daemon: DaemonProcess) -> None:
    theirs = tmp_path / "theirs" / "hikaze_mm.sqlite3"
    sentences = set()
    for source, images in (
        (theirs, secrets),
        (theirs, ""),
        (tmp_path / "nothing", secrets / "nothing"),
        ("~nosuchuser/x", ""),
        ("relative", ""),
        (secrets / "id_rsa", ""),
        (f"{theirs.parent}/../theirs", ""),
    ):
        for path, body in calls(source, images):
            answer = ask(daemon, path, body)
            assert answer.status_code == 403, answer.text
            sentences.add(answer.json()["error"])
    # One sentence for all: it tells nobody what exists, and the owner what to do.
    (sentence,) = sentences
    assert all(word in sentence for word in ("modelkeep import", "api.token", "api.import_folders"))
    assert daemon.rows("SELECT * FROM pending_import") == []
    assert list((daemon.data_dir / "images" / "pending").iterdir()) == []


def test_what_is_no_image_is_never_given_out_though_the_owner_imports_it(
    tmp_path: Path, secrets: Path, daemon: DaemonProcess
) -> None:
    body = {"kind": "hikaze", "source": str(tmp_path / "theirs"), "images": str(secrets)}
    report = httpx.Response(200, text=daemon.post("/api/import", body).text.splitlines()[-1]).json()["report"]
    assert [entry["reason"].startswith("id_rsa is not an image") for entry in report["image_errors"]] == [True]
    assert daemon.request("GET", "/api/images/pending/1").status_code == 404
    assert KEY not in b"".join(path.read_bytes() for path in daemon.data_dir.rglob("*") if path.is_file())


def test_the_folders_that_the_owner_names_are_for_everybody_and_links_out_of_them_are_not(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    shared, comfyui = tmp_path / "shared", tmp_path / "ComfyUI"
    file = put(models / "hero.pt", safetensors("hero"))
    legacy(shared / "old", file, (".png", png(1, TINY)))
    legacy(comfyui / "custom_nodes" / "hikaze" / "data", models / "other.pt")
    legacy(comfyui / "input", models / "uploaded.pt")
    legacy(tmp_path / "outside", models / "outside.pt")
    (shared / "link").symlink_to(tmp_path / "outside")
    daemon = make_daemon(tables={"api": {"import_folders": [str(shared)]}})
    text = daemon.config.read_text()
    daemon.config.write_text(f'comfyui = "{comfyui}"\n{text}')
    daemon.start()
    for source, expected in (
        (shared / "old" / "hikaze_mm.sqlite3", 200),
        (comfyui / "custom_nodes" / "hikaze", 200),
        (shared / "gone", 400),
        (shared / "link", 403),
        (shared / ".." / "outside", 403),
        (comfyui / "input", 403),
    ):
        answer = ask(daemon, "/api/migration/migrate_legacy_db", {"legacy_db_path": str(source)})
        assert answer.status_code == expected, (source, answer.text)
    outside = {"legacy_db_path": str(shared / "old"), "legacy_images_dir": str(tmp_path / "outside")}
    assert ask(daemon, "/api/migration/migrate_legacy_db", outside).status_code == 403
    daemon.wait_model(file)
    wait_until(lambda: daemon.status()["images"] == 1, what="the image of the imported row")


def test_with_a_token_whoever_shows_it_is_the_owner(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> None:
    source = legacy(tmp_path / "old", models / "hero.pt")
    daemon = make_daemon(tables={"api": {"token": "s3cret"}}).start()
    for path, body in calls(source, ""):
        assert ask(daemon, path, body).status_code == 401
        assert ask(daemon, path, body, "s3cret").is_success
    shutil.rmtree(source.parent)
    assert (
        ask(daemon, "/api/migration/migrate_legacy_db", {"legacy_db_path": str(source)}, "s3cret").status_code == 400
    )


def test_a_home_folder_that_is_not_known_is_a_fault_of_the_request(daemon: DaemonProcess) -> None:
    for path, body in calls("~nosuchuser/x", ""):
        answer = daemon.post(path, body)
        assert (answer.status_code, "names a home folder that is not known" in answer.json()["error"]) == (400, True)


def test_a_path_outside_the_roots_is_403_whether_or_not_there_is_a_file(
    tmp_path: Path, models: Path, secrets: Path, daemon: DaemonProcess
) -> None:
    row_file = put(models / "waiting.pt", safetensors("waiting"))
    daemon.pause()
    source = legacy(tmp_path / "old", models / "moved.pt")
    assert daemon.post("/api/import", {"kind": "hikaze", "source": str(source)}).is_success
    (row,) = daemon.rows("SELECT id FROM pending_import WHERE path LIKE '%moved.pt'")
    (models / "link.pt").symlink_to(secrets / "id_rsa")
    (models / "dangling.pt").symlink_to(secrets / "nothing")
    answers = {
        (answer.status_code, answer.text)
        for name in (secrets / "id_rsa", secrets / "nothing", models / "link.pt", models / "dangling.pt")
        for answer in (
            ask(daemon, "/api/models/sha256", {"path": str(name)}),
            ask(daemon, "/api/migration/import_a_model", {"id": row["id"], "path": str(name)}),
        )
    }
    assert [status for status, _ in answers] == [403]
    assert ask(daemon, "/api/models/sha256", {"path": str(row_file)}).json()["sha256"] == sha256_of(row_file)
