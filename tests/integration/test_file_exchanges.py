"""Two files that change places in one step (RENAME_EXCHANGE): what is known of each goes with it."""

from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.exchanges import exchange
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until


def test_known_files_keep_what_is_known_of_them_and_are_not_read_again(
    models: Path, make_daemon: DaemonMaker
) -> None:
    # Before the start: an event that still tells of a writer would be a reason to read them again.
    one, other = (put(models / f"{name}.safetensors", safetensors(name)) for name in ("one", "other"))
    daemon = make_daemon().start()
    hashes = {path: daemon.wait_model(path) for path in (one, other)}
    daemon.wait_idle()
    hashed = len(daemon.journal("hash.finished"))
    exchange(one, other)
    for path, before in ((one, other), (other, one)):
        wait_until(lambda: daemon.wait_model(path) == hashes[before], what=f"{path.name} to be the other")  # noqa: B023
    daemon.wait_idle()
    assert len(daemon.journal("hash.finished")) == hashed


def test_rows_that_wait_go_with_their_files(tmp_path: Path, models: Path, daemon: DaemonProcess) -> None:
    daemon.pause()
    library = LegacyLibrary()
    files = {name: put(models / f"{name}.safetensors", safetensors(name)) for name in ("one", "other")}
    for name, file in files.items():
        library.add(file, name=f"Called {name}", extra={"description": f"of {name}"})
    body = {"kind": "hikaze", "source": str(library.write(tmp_path / "old"))}
    assert daemon.post("/api/import", body).is_success
    contents = {name: sha256_of(file) for name, file in files.items()}
    exchange(files["one"], files["other"])
    wait_until(lambda: len(daemon.journal("file.moved")) == 2, what="the exchange to be followed")
    daemon.must("resume")
    for name, sha256 in contents.items():
        wait_until(lambda: sha256 in {m["sha256"] for m in daemon.get("/api/models")["models"]})  # noqa: B023
        model = daemon.get(f"/api/models/{sha256}")
        assert (model["name"], model["meta_json"]["description"]) == (f"Called {name}", f"of {name}")


def test_a_file_that_is_renamed_to_and_fro_is_where_it_was(models: Path, daemon: DaemonProcess) -> None:
    path = put(models / "one.safetensors", safetensors("one"))
    sha256 = daemon.wait_model(path)
    for _ in range(5):
        path.rename(models / "other.safetensors").rename(path)
    (models / "later.safetensors").write_bytes(safetensors("later"))
    daemon.wait_model(models / "later.safetensors")
    daemon.wait_idle()
    assert daemon.wait_model(path) == sha256
    assert {row["path"] for row in daemon.rows("SELECT path FROM locations WHERE state = 'present'")} == {
        str(path),
        str(models / "later.safetensors"),
    }
