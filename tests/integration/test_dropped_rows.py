"""A row that was dropped by mistake: another import says so, and takes it again when it is asked to."""

from pathlib import Path

from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors


def test_a_row_dropped_by_mistake_comes_back_with_all_that_was_known_of_it(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LegacyLibrary()
    file = put(models / "loras" / "hero.pt", safetensors("hero"))
    library.add(file, (".png", png(1, (24, 16))), name="Hero", tags=("favourite",))
    source = library.write(tmp_path / "old")
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(source))
    (row,) = daemon.rows("SELECT id FROM pending_import")
    assert "--again" in daemon.must("pending", "drop", str(row["id"]), "--yes").out
    assert "--again" in daemon.must("import", "hikaze", str(source)).out
    assert daemon.rows("SELECT id FROM pending_import") == []
    daemon.start()
    daemon.wait_model(file)
    body = {"kind": "hikaze", "source": str(source)}
    assert '"dropped":1' in daemon.post("/api/import", body).text.replace(" ", "")
    assert daemon.post("/api/import", {**body, "again": True}).is_success
    daemon.wait_idle()
    (model,) = daemon.rows("SELECT name FROM models")
    assert (model["name"], daemon.status()["images"]) == ("Hero", 1)
    assert len(daemon.rows("SELECT * FROM model_tags")) == 1
    assert '"dropped":0' in daemon.post("/api/import", body).text.replace(" ", "")
