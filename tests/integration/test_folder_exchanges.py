"""Folders that change places, come and go: afterwards every file is known where it lies, and every later one seen."""

from pathlib import Path

from tests.exchanges import exchange
from tests.integration.conftest import DaemonMaker
from tests.integration.watching import wait_states
from tests.libraries import put, safetensors
from tests.waiting import wait_until


def test_after_two_folders_changed_places_what_comes_and_goes_in_them_is_seen(
    models: Path, make_daemon: DaemonMaker
) -> None:
    one, other = models / "one", models / "other"
    for folder in (one, other):
        for name in ("a", "deep/b"):
            put(folder / f"{name}.safetensors", safetensors((folder.name, name)))
        put(folder / f"only {folder.name}" / "c.safetensors", safetensors((folder.name, "c")))
    daemon = make_daemon().start()
    sha256_by_path = {path: daemon.wait_model(path) for path in models.rglob("*.safetensors")}
    daemon.wait_idle()
    hashed = len(daemon.journal("hash.finished"))
    exchange(one, other)

    def place(path: Path) -> Path:
        folder = {one: other, other: one}[models / path.relative_to(models).parts[0]]
        return folder / Path(*path.relative_to(models).parts[1:])

    for path, sha256 in sha256_by_path.items():
        wait_until(lambda: daemon.wait_model(place(path)) == sha256)  # noqa: B023 - asked at once
    later = [
        put(folder / "later.safetensors", safetensors(folder))
        for folder in (one, other, one / "deep", other / "deep")
    ]
    later.append(put(one / "only other" / "later.safetensors", safetensors("later")))
    for path in later:
        daemon.wait_model(path)
    (one / "a.safetensors").unlink()
    (other / "only one" / "c.safetensors").unlink()

    wait_states(daemon, one, a="missing", b="present", c="present", later="present")
    wait_states(daemon, other / "only one", c="missing")
    assert len(daemon.journal("hash.finished")) == hashed + len(later)
    assert {record["cause"] for record in daemon.journal("file.detected")[len(sha256_by_path) :]} == {"watch"}
    assert not daemon.journal("watch.repaired")
