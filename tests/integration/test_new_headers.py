"""The same weights under a new header: what is known follows them when the old file is gone, and is offered else."""

import base64
import json
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
from blake3 import blake3
from safetensors.numpy import save
from tests.daemon_process import WITH_TENSORS, DaemonProcess
from tests.image_files import png, text_as_image
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, sha256_of
from tests.waiting import wait_until

WEIGHTS = numpy.random.default_rng(7).random(30_000, dtype=numpy.float32)


def with_title(title: str, **said: str) -> bytes:
    """Return the same weights under a header with another title, as the format's own library writes them."""
    return save({"weight": WEIGHTS}, metadata={"modelspec.title": title, **said})


OLD, NEW = with_title("One title"), with_title("Two title")
LONG = with_title("A title", more="x" * 5_000)
WITH_MORE = with_title("A title", more="y" * 70_000)


def write_in_place(path: Path, content: bytes) -> None:
    """Write as SwarmUI does: the same file, the same size, another header."""
    with path.open("r+b") as file:
        file.write(content)


def rename_over(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_bytes(content)
    draft.rename(path)


@pytest.fixture
def known(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> DaemonProcess:
    """A running daemon that knows a file's name, text, tag and image."""
    path = put(models / "x.safetensors", OLD)
    library = LegacyLibrary()
    library.add(path, (".png", png()), name="Chosen name", extra={"description": "of X"}, tags=["liked"])
    daemon = make_daemon(tables=WITH_TENSORS)
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    assert daemon.wait_model(path) == sha256_of(OLD)
    wait_until(lambda: daemon.rows("SELECT 1 FROM contents WHERE tensors != ''"), what="the digest of its tensors")
    daemon.wait_idle()
    return daemon


def facts_of(daemon: DaemonProcess, content: bytes) -> tuple[Any, ...]:
    """Return what is known of a content, as far as somebody said it."""
    response = daemon.request("GET", f"/api/models/{sha256_of(content)}/details")
    if response.status_code == 404:
        return ()
    details = response.json()
    model = details["model"]
    tags = [tag["name"] for tag in model["tags"]]
    return model["name"], model["meta_json"]["description"], tags, [image["seq"] for image in details["images"]]


ALL = ("Chosen name", "of X", ["liked"], [0])


def test_what_is_known_follows_the_weights_from_header_to_header(models: Path, known: DaemonProcess) -> None:
    path = models / "x.safetensors"
    write_in_place(path, NEW)
    wait_until(lambda: facts_of(known, NEW) == ALL, what="what is known to follow while the daemon runs")
    known.stop()
    rename_over(path, LONG)
    known.start()
    wait_until(lambda: facts_of(known, LONG) == ALL, what="what is known to follow when it runs again")
    edited = put(models / "edited.safetensors", WITH_MORE)
    known.wait_model(edited)
    path.unlink()
    wait_until(lambda: facts_of(known, WITH_MORE) == ALL, what="what is known to follow to a file beside")
    assert facts_of(known, OLD) == facts_of(known, NEW) == facts_of(known, LONG) == ALL
    assert known.request("GET", f"/api/images/{sha256_of(WITH_MORE)}_0.webp").status_code == 200
    told = [record for record in known.journal("migration.committed") if record["action"] == "inherited"]
    hashes = [sha256_of(content) for content in (OLD, NEW, LONG, WITH_MORE)]
    assert [(record["from"], record["sha256"]) for record in told] == list(pairwise(hashes))
    assert "took over" in known.must("journal", "--model", hashes[1]).out

    known.must("tag", str(edited), "new tag")
    rename_over(edited, OLD)
    wait_until(lambda: "new tag" in facts_of(known, OLD)[2], what="what was said meanwhile to come back")
    (left,) = models.iterdir()
    assert left.read_bytes() == OLD


def test_siblings_that_are_both_there_are_told_apart_offered_and_taken(models: Path, known: DaemonProcess) -> None:
    path = put(models / "y.safetensors", NEW)
    known.wait_model(path)
    wait_until(lambda: known.journal("model.recognised"), what="the sibling to be recognised")
    known.wait_idle()
    assert facts_of(known, NEW)[1] == ""
    details = known.get(f"/api/models/{sha256_of(NEW)}/details")
    assert details["digests"]["tensor-sha256"] == sha256_of(NEW[8 + int.from_bytes(NEW[:8], "little") :])
    assert details["header"]["keys"] == {"modelspec.title": "Two title"}
    assert [(sibling["sha256"], sibling["state"]) for sibling in details["siblings"]] == [(sha256_of(OLD), "present")]
    note = json.dumps({"file": "y", "name": "y", "sha256": sha256_of(OLD), "userNote": "mine"})
    put(models / "y.safetensors.rgthree-info.json", note.encode())
    sources = f"/api/models/{sha256_of(NEW)}/details"
    (source,) = wait_until(lambda: known.get(sources)["sources"].get("rgthree"), what="the note beside it")
    assert [(one["verdict"], one["of_sibling"]) for one in source["claims"]] == [("refuted", sha256_of(OLD))]
    assert "of another header of the same weights" in known.must("models", "show", str(path)).out
    found = known.get("/api/duplicates")
    assert found["duplicates"] == []
    assert [sorted(each["sha256"] for each in family) for family in found["siblings"]] == [
        sorted((sha256_of(OLD), sha256_of(NEW)))
    ]
    assert "same weights" in known.must("duplicates").out
    assert "Chosen name" in known.must("models", "show", str(path)).out
    for digits in (details["digests"]["autov3"], details["digests"]["tensor-sha256"][:8].upper()):
        hashes = {each["sha256"] for each in json.loads(known.must("models", "find", digits, "--json").out)}
        assert hashes == {sha256_of(OLD), sha256_of(NEW)}
    (found_by_header,) = json.loads(known.must("models", "find", "two TITLE", "--json").out)
    assert found_by_header["sha256"] == sha256_of(NEW)
    told = known.must("models", "confirm", str(path)).out
    assert blake3(NEW).hexdigest() in told
    assert json.loads(known.must("models", "find", blake3(NEW).hexdigest()[:8], "--json").out)[0]["path"] == str(path)
    known.must("models", "inherit", str(path), "Chosen name")
    assert facts_of(known, NEW) == ALL
    assert facts_of(known, OLD) == ALL

    known.stop()  # a library that an older modelkeep has hashed: nothing of its bytes is known but the SHA-256
    with closing(sqlite3.connect(known.folder / "state" / "modelkeep.db")) as connection, connection:
        connection.execute("DELETE FROM contents")
        connection.execute("DELETE FROM knowledge")
    known.start()
    wait_until(lambda: len(known.rows("SELECT 1 FROM contents WHERE tensors != ''")) == 2, what="the digests")
    known.wait_idle()
    again = known.get(f"/api/models/{sha256_of(NEW)}/details")
    assert (again["header"], again["digests"]["autov3"]) == (details["header"], details["digests"]["autov3"])
    assert facts_of(known, NEW) == ALL
    assert len(known.rows("SELECT 1 FROM knowledge")) == 2  # their headers have spoken, without another start


def test_an_image_in_a_header_becomes_the_models_if_it_has_none_and_can_be_used(
    models: Path, make_daemon: DaemonMaker
) -> None:
    def titled(title: str, image: bytes) -> bytes:
        url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
        return save(
            {"w": WEIGHTS[: 10 + len(title)]}, metadata={"modelspec.title": title, "modelspec.thumbnail": url}
        )

    good, bad = titled("good", png(3)), titled("broken", text_as_image())
    daemon = make_daemon(tables=WITH_TENSORS)
    daemon.start()
    for name, content in (("good", good), ("bad", bad)):
        daemon.wait_model(put(models / f"{name}.safetensors", content))
    wait_until(lambda: daemon.journal("image.refused"), what="the broken image to be told")
    wait_until(lambda: facts_of(daemon, good)[3] == [0], what="the image of the header")
    assert daemon.request("GET", f"/api/images/{sha256_of(good)}_0.webp").status_code == 200
    details = daemon.get(f"/api/models/{sha256_of(good)}/details")
    assert details["images"][0]["source_digest"] == sha256_of(png(3))
    assert details["header"]["keys"]["modelspec.thumbnail"]["summary"] == "picture"
    removed = daemon.request("DELETE", "/api/images/delete", params={"sha256": sha256_of(good), "seq": 0})
    assert removed.status_code == 200
    daemon.stop()
    daemon.start()
    daemon.wait_idle()
    assert (facts_of(daemon, good)[3], facts_of(daemon, bad)[3]) == ([], [])
