"""Wrong hashes of a legacy database: whenever it is imported, what it says follows the file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

CLAIM = sha256_of(b"a hash that no file has")
CONTENT = safetensors("wrongly hashed")

Life = Callable[[DaemonProcess, Callable[[], object]], object]


def imported_first(daemon: DaemonProcess, take: Callable[[], object]) -> None:
    take()
    daemon.start()


def imported_while_its_file_is_queued(daemon: DaemonProcess, take: Callable[[], object]) -> None:
    daemon.start()
    daemon.pause()
    daemon.scan()
    wait_until(lambda: daemon.status()["pending"]["waiting"] == 1, what="the file to be queued")
    take()
    daemon.resume()


def imported_when_its_file_is_known(daemon: DaemonProcess, take: Callable[[], object]) -> None:
    daemon.start()
    wait_until(lambda: daemon.status()["models"] == 1, what="the file to be hashed")
    take()


@pytest.mark.parametrize("life", [imported_first, imported_while_its_file_is_queued, imported_when_its_file_is_known])
def test_what_is_said_follows_the_file_and_stays_under_the_hash(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker, life: Life
) -> None:
    path = models / "loras" / "wrong.safetensors"
    library = LegacyLibrary()
    library.add(
        path, (".png", png()), name="Chosen", hash_hex=CLAIM, extra={"description": "mine"}, tags=("favourite",)
    )
    database = library.write(tmp_path / "data")
    daemon = make_daemon()
    if life is imported_while_its_file_is_queued:
        daemon.start()
        daemon.pause()
        daemon.stop()
    put(path, CONTENT)
    life(daemon, lambda: daemon.must("import", "hikaze", str(database)))
    daemon.wait_model(path)
    wait_until(lambda: daemon.rows("SELECT * FROM models WHERE sha256 = ?", CLAIM), what="the row to be taken")
    daemon.wait_idle()
    for sha256 in (sha256_of(CONTENT), CLAIM):
        found = daemon.get(f"/api/models/{sha256}")
        assert found["name"] == "Chosen"
        assert found["meta_json"]["description"] == "mine"
        assert [tag["name"] for tag in found["tags"]] == ["favourite"]
        assert daemon.rows("SELECT seq FROM images WHERE sha256 = ?", sha256) == [{"seq": 0}]
    assert [(place["path"], place["sha256"]) for place in daemon.rows("SELECT * FROM locations")] == [
        (str(path), sha256_of(CONTENT))
    ]
    assert daemon.rows("SELECT * FROM pending_import") == []
    refuted = [(record["claimed"], record["found"]) for record in daemon.journal("claim.refuted")]
    assert refuted == [(CLAIM, sha256_of(CONTENT))]
    daemon.stop()
    daemon.must("doctor")
