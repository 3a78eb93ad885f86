"""What is known is written beside the models by the owner's command, daemon or not, and is no news to the daemon."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors
from tests.waiting import wait_until

from modelkeep.domain.knowledge import SourceRecord
from modelkeep.importers.sidecars.formats import find, read_sidecar


def test_the_owner_has_what_is_known_written_for_other_tools(
    models: Path, tmp_path: Path, make_daemon: DaemonMaker
) -> None:
    file = put(models / "loras" / "hero.safetensors", safetensors("hero"))
    content = file.read_bytes()
    daemon = make_daemon().start()
    sha256 = daemon.wait_model(file)
    said = {"name": "The Hero", "meta_json": {"notes": "best at 0.7", "trigger_words": ["hero", "cape"]}}
    assert daemon.request("PATCH", f"/api/models/{sha256}", json=said).is_success
    form: dict[str, Any] = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(1, (24, 16)))}}
    assert daemon.request("POST", "/api/images/upload", **form).is_success

    dry = daemon.must("export", "lora-manager", "--dry-run", "--json").json
    assert {path.name for path in file.parent.iterdir()} == {file.name}
    done = daemon.must("export", "lora-manager", "--json").json
    assert done["files"] == dry["files"]
    assert done["counts"] == {"created": 2, "changed": 0, "unchanged": 0, "skipped": 0, "failed": 0}

    sidecar, picture = file.with_name("hero.metadata.json"), file.with_name("hero.preview.png")
    record = read_sidecar(find(str(file.parent), [file.name, sidecar.name], (".safetensors",))[0])
    assert isinstance(record, SourceRecord)
    assert (record.meaning.title, record.meaning.notes) == ("The Hero", "best at 0.7")
    assert record.meaning.trigger_words == ("hero", "cape")
    assert record.claims[0].value == sha256 == hashlib.sha256(content).hexdigest()
    assert json.loads(sidecar.read_text())["preview_url"] == str(picture)
    assert Image.open(io.BytesIO(picture.read_bytes())).format == "PNG"

    before = daemon.get(f"/api/models/{sha256}/details")
    # What somebody else writes is adopted, so by then what was exported has been looked at.
    file.with_name("hero.sha256").write_text(sha256)
    wait_until(lambda: daemon.get(f"/api/models/{sha256}/details")["sources"], 60, "the other's words")
    after = daemon.get(f"/api/models/{sha256}/details")
    assert [source["key"] for sources in after["sources"].values() for source in sources] == [
        str(file.with_name("hero.sha256"))
    ]
    assert (before["sources"], after["images"]) == ({}, before["images"])
    imported = daemon.must("import", "lora-manager", str(models), "--json").json
    assert (imported["counts"]["taken"], len(imported["remarks"])) == (0, 1)
    file.with_name("hero.sha256").unlink()
    daemon.stop()
    again = daemon.must("export", "lora-manager", "--json").json
    elsewhere = daemon.must("export", "json", sha256[:8], "--to", str(tmp_path / "out"), "--json").json
    assert again["counts"] == {"created": 0, "changed": 0, "unchanged": 1, "skipped": 0, "failed": 0}
    assert [entry["path"] for entry in elsewhere["files"]] == [
        str(tmp_path / "out" / "models" / "loras" / "hero.safetensors.modelkeep.json")
    ]
    assert "1 file: 1 unchanged." in daemon.must("export", "lora-manager").out
    assert daemon.command("export", "nothing").status == 2
    assert daemon.command("export", "json", "--root", str(tmp_path / "mistyped")).status == 2
    failed = daemon.command("export", "json", "--to", str(file))
    assert (failed.status, failed.out.splitlines()[-1]) == (1, "1 file: 1 failed.")
    assert {path.name for path in file.parent.iterdir()} == {file.name, sidecar.name, picture.name}
    assert file.read_bytes() == content
