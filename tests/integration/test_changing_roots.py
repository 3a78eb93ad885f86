"""Roots in roots that are added, left out, given a type or exchanged while the daemon runs: nothing gets lost."""

import os
import signal
from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.exchanges import exchange
from tests.integration.watching import roots_of, states_below, wait_states
from tests.libraries import put, safetensors
from tests.waiting import wait_until


def follow(daemon: DaemonProcess, *roots: Path | tuple[Path, str]) -> None:
    """Have a running daemon follow these roots."""
    daemon.configure(roots, {})
    os.kill(daemon.pid, signal.SIGHUP)
    paths = {root if isinstance(root, Path) else root[0] for root in roots}
    wait_until(lambda: roots_of(daemon).keys() == paths, what="the roots to be followed")
    wait_until(
        lambda: {root["state"] for root in roots_of(daemon).values()} <= {"watching", "unreachable"}, what="the scans"
    )


def test_what_lies_in_a_nested_root_belongs_to_the_outer_one_while_it_is_left_out(
    models: Path, daemon: DaemonProcess
) -> None:
    inner = models / "loras"
    for name in ("loras/a", "loras/deep/b", "c"):
        daemon.wait_model(put(models / f"{name}.safetensors", safetensors(name)))
    hashed = len(daemon.journal("hash.finished"))
    present = {f"{name}.safetensors": "present" for name in "abc"}
    for number, roots in enumerate([(models, inner), (models,), (inner,), (models, inner), (models,)]):
        follow(daemon, *roots)
        states = present if models in roots else {**present, "c.safetensors": "unreachable"}
        wait_until(lambda: states_below(daemon, models) == states, what=f"{states} with {roots}")  # noqa: B023
        later = put(inner / "deep" / "later.safetensors", safetensors(number))
        daemon.wait_model(later)
        later.unlink()
        wait_until(lambda: states_below(daemon, inner).get("later.safetensors") == "missing")
        (row,) = daemon.rows("SELECT sha256 FROM locations WHERE path = ?", str(later))
        assert daemon.request("DELETE", f"/api/models/{row['sha256']}").is_success
    assert len(daemon.journal("hash.finished")) == hashed + 5
    assert daemon.status()["locations"] == {"present": 3, "missing": 0, "unreachable": 0}


def test_what_was_out_of_reach_in_a_nested_root_is_looked_at_when_only_the_outer_one_is_left(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    inner = models / "loras"
    path = put(inner / "a.safetensors", safetensors("a"))
    daemon.wait_model(path)
    follow(daemon, models, inner)
    inner.rename(tmp_path / "away")
    wait_states(daemon, inner, a="unreachable")
    follow(daemon, models)
    wait_states(daemon, inner, a="missing")
    (tmp_path / "away").rename(inner)
    wait_states(daemon, inner, a="present")


def test_a_new_type_of_a_root_is_that_of_the_files_that_come_later(models: Path, daemon: DaemonProcess) -> None:
    follow(daemon, (models, "loras"))
    first = daemon.wait_model(put(models / "x" / "a.safetensors", safetensors("a")))
    follow(daemon, (models, "vae"), (models / "x", "unet"))
    second = daemon.wait_model(put(models / "x" / "b.safetensors", safetensors("b")))
    third = daemon.wait_model(put(models / "c.safetensors", safetensors("c")))
    types = [daemon.get(f"/api/models/{sha256}")["type"] for sha256 in (first, second, third)]
    assert types == ["loras", "unet", "vae"]


def test_two_roots_that_change_places_on_the_disk_are_known_where_they_are(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    other = tmp_path / "other"
    sha256 = {}
    for root in (models, other):
        for name in ("same", root.name):
            put(root / f"{name}.safetensors", safetensors((root.name, name)))
    follow(daemon, models, other)
    for path in (*models.iterdir(), *other.iterdir()):
        sha256[path] = daemon.wait_model(path)
    exchange(models, other)
    for path, content in sha256.items():
        place = {models: other, other: models}[path.parent] / path.name
        wait_until(lambda: daemon.wait_model(place) == content)  # noqa: B023
    wait_until(lambda: daemon.status()["locations"]["present"] == 4)
