"""What other tools write beside models is taken in while the daemon runs, in whatever order files come."""

import base64
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors, sha256_of
from tests.waiting import wait_until


def lora_manager(name: str, sha256: str = "", **others: Any) -> bytes:
    """Return a `.metadata.json` as LoRA Manager writes it."""
    known = {"file_name": "file", "model_name": name, "file_path": f"/elsewhere/{name}.safetensors", "size": 1}
    known |= {"modified": 1.0, "sha256": sha256, "base_model": "SDXL 1.0", "preview_url": "", "notes": "", "tags": []}
    return json.dumps(known | others).encode()


def rgthree(note: str, sha256: str = "") -> bytes:
    return json.dumps({"file": "x", "name": "x", "userNote": note, **({"sha256": sha256} if sha256 else {})}).encode()


def data_url(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def details_of(daemon: DaemonProcess, path: Path) -> dict[str, Any]:
    """Return all that is known of the model at a path, which is there."""
    found: dict[str, Any] = daemon.get(f"/api/models/{daemon.wait_model(path)}/details")
    return found


def said_of(daemon: DaemonProcess, path: Path) -> Mapping[str, Any]:
    details = details_of(daemon, path)
    known = {key: details["model"]["meta_json"].get(key) for key in ("notes", "trigger_words")}
    return known | {"name": details["model"]["name"], "images": len(details["images"])}


def says(daemon: DaemonProcess, path: Path, expected: Mapping[str, Any]) -> bool:
    return said_of(daemon, path) == expected


def put_model(path: Path) -> str:
    """Put a model of its own content at a path; returns its hash."""
    return sha256_of(put(path, safetensors(path.name)))


def test_whatever_lies_beside_a_model_reaches_it_in_any_order(models: Path, make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(tables={"sidecars": {"fallback_encoding": "gbk"}}).start()
    loras = models / "loras"

    # The sidecar before the model, after it, and the preview before both or last.
    for name, order in (("first", "smp"), ("second", "mps"), ("third", "psm"), ("fourth", "msp")):
        for step in order:
            if step == "m":
                put_model(loras / f"{name}.safetensors")
            elif step == "s":
                put(loras / f"{name}.metadata.json", lora_manager(f"The {name}", notes=f"of {name}", tags=["ink"]))
            else:
                put(loras / f"{name}.preview.png", png(seed=len(name)))
    for name in ("first", "second", "third", "fourth"):
        expected = {"notes": f"of {name}", "trigger_words": None, "name": f"The {name}", "images": 1}
        path = loras / f"{name}.safetensors"
        wait_until(partial(says, daemon, path, expected), what=str(expected))

    # A sidecar that changes: what the owner said meanwhile stays, the rest follows.
    sha256 = daemon.wait_model(loras / "first.safetensors")
    edited = daemon.request("PATCH", f"/api/models/{sha256}", json={"name": "Mine"})
    assert edited.status_code == 200
    put(loras / "first.metadata.json", lora_manager("first II", notes="another"))
    wait_until(lambda: said_of(daemon, loras / "first.safetensors")["notes"] == "another")
    assert said_of(daemon, loras / "first.safetensors")["name"] == "Mine"

    # A model that is renamed keeps it; a deleted sidecar takes nothing away.
    renamed = (loras / "second.safetensors").rename(loras / "renamed.safetensors")
    daemon.wait_model(renamed)
    (loras / "second.metadata.json").unlink()
    wait_until(lambda: daemon.journal("source.gone"))
    assert said_of(daemon, renamed)["notes"] == "of second"
    (source,) = details_of(daemon, renamed)["sources"]["lora-manager"]
    assert source["gone"]
    assert daemon.get("/api/orphans")["orphans"] == []

    # What modelkeep has written there itself is no news.
    third = loras / "third.safetensors"
    daemon.must("export", "rgthree", str(third))
    assert (loras / "third.safetensors.rgthree-info.json").is_file()
    put(loras / "third.txt", "\u6c34\u58a8\u753b".encode("gbk"))
    wait_until(lambda: "pysssss" in str(details_of(daemon, third)["sources"]), what="the note")
    (note,) = details_of(daemon, third)["sources"]["pysssss"]
    assert note["meaning"]["notes"] == "\u6c34\u58a8\u753b"  # in the encoding that is configured, here and in imports
    assert daemon.must("import", "pysssss", str(loras), "--json").json["records"][0]["taking"] == "unchanged"
    assert "rgthree" not in details_of(daemon, third)["sources"]
    # A video is no image of the model, and shown by its name.
    put(loras / "third.mp4", b"a video")
    wait_until(lambda: "third.mp4" in str(details_of(daemon, third)["sources"]), what="the video")
    shown = daemon.must("models", "show", str(third)).out
    assert "third.mp4" in shown
    assert "1 video" in shown

    # An image that stands in a sidecar becomes the model's, as one in a file.
    put(loras / "third.swarm.json", json.dumps({"modelspec.preview_image": data_url(png(seed=77))}).encode())
    wait_until(lambda: said_of(daemon, third)["images"] == 2, what="the image in the sidecar")
    causes = [record.get("cause", "") for record in daemon.journal("migration.finished")]
    assert any(cause.endswith("third.swarm.json#modelspec.preview_image") for cause in causes)
    assert daemon.journal("source.image_refused") == []
    imported = daemon.must("import", "rgthree", str(loras), "--json").json
    assert imported["records"] == []
    assert ["no news" in remark["reason"] for remark in imported["remarks"]] == [True]

    # Sidecars that are moved along with their folder, in a root that is moved into.
    (loras / "third.safetensors").unlink()
    other = models / "other"
    other.mkdir()
    loras.rename(other / "moved")
    moved = other / "moved" / "fourth.safetensors"
    daemon.wait_model(moved)
    keys = [source["key"] for source in details_of(daemon, moved)["sources"]["lora-manager"]]
    wait_until(
        lambda: (
            [source["key"] for source in details_of(daemon, moved)["sources"]["lora-manager"]]
            == [str(other / "moved" / "fourth.metadata.json")]
        ),
        what=f"the new place, not {keys}",
    )
    assert not daemon.has_failed_inside()


def test_orphans_are_kept_offered_and_given_away(models: Path, make_daemon: DaemonMaker) -> None:
    daemon = make_daemon()
    loras = models / "loras"
    sha256 = put_model(loras / "lamp new.safetensors")
    put(loras / "lamp old.safetensors.rgthree-info.json", rgthree("by hash", sha256))
    put(loras / "lamp old.metadata.json", lora_manager("lamp old", notes="without a hash"))
    put(loras / "lamp old.preview.png", png())
    within = {"modelspec.preview_image": data_url(png(seed=77))}
    put(loras / "lamp old.swarm.json", json.dumps(within).encode())
    daemon.start()
    daemon.wait_model(loras / "lamp new.safetensors")
    wait_until(lambda: said_of(daemon, loras / "lamp new.safetensors")["notes"] == "by hash")
    wait_until(lambda: len(daemon.get("/api/orphans")["orphans"]) == 3)
    wait_until(lambda: daemon.rows("SELECT * FROM record_images WHERE kept != ''"), what="the image to be kept")
    found = {orphan["kind"]: orphan for orphan in daemon.get("/api/orphans")["orphans"]}
    for orphan in found.values():
        assert [(offer["sha256"], offer["by"]) for offer in orphan["offers"]] == [(sha256, "neighbourhood")]
    assert "lamp new.safetensors (neighbourhood)" in " ".join(daemon.must("orphans", "list").out.split())

    # Their files may go: what they said, and the images, are kept.
    for suffix in (".preview.png", ".metadata.json", ".swarm.json"):
        (loras / f"lamp old{suffix}").unlink()
    wait_until(lambda: len(daemon.journal("source.gone")) == 3)
    whole = daemon.get(f"/api/orphans/{found['lora-manager']['id']}")
    assert whole["record"]["raw"]["notes"] == "without a hash"
    given = [str(found[kind]["id"]) for kind in ("preview", "swarmui")]
    assert daemon.command("orphans", "resolve", *given, "9999", "--drop").status == 4
    assert len(daemon.get("/api/orphans")["orphans"]) == 3
    daemon.must("orphans", "resolve", *given, "--model", "lamp new.safetensors")
    daemon.must("orphans", "resolve", str(found["lora-manager"]["id"]), "--drop")
    wait_until(lambda: said_of(daemon, loras / "lamp new.safetensors")["images"] == 2)
    assert daemon.get("/api/orphans")["orphans"] == []
    assert daemon.command("orphans", "show", "9999").status == 4
    wait_until(lambda: not daemon.rows("SELECT * FROM record_images WHERE kept != ''"))

    # Another model takes the old name: the note beside it is its note too, and the renamed one keeps it.
    put_model(loras / "lamp old.safetensors")
    wait_until(lambda: said_of(daemon, loras / "lamp old.safetensors")["notes"] == "by hash")
    assert said_of(daemon, loras / "lamp new.safetensors")["notes"] == "by hash"

    # Of two models that share a sidecar, the later one is the one that its hash means.
    later = safetensors("later")
    put(loras / "pair.metadata.json", lora_manager("Pair", sha256_of(later), notes="of the later"))
    put_model(loras / "pair.safetensors")
    wait_until(lambda: said_of(daemon, loras / "pair.safetensors")["notes"] == "of the later")
    put(loras / "pair.sft", later)
    wait_until(lambda: said_of(daemon, loras / "pair.sft")["notes"] == "of the later")
    wait_until(lambda: daemon.journal("source.withdrawn"))
    first = said_of(daemon, loras / "pair.safetensors")
    assert (first["name"], first["notes"]) == ("pair.safetensors", None)
    assert not daemon.has_failed_inside()
