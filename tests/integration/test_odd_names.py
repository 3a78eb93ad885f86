"""Whatever the kernel takes for a name is one: bytes of no character set, loops of links, the longest path of all."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.libraries import put, safetensors, sha256_of
from tests.waiting import wait_until


def test_every_name_that_the_kernel_allows_is_a_name(models: Path, daemon: DaemonProcess) -> None:
    (models / "loop").mkdir()
    (models / "loop" / "back").symlink_to(models)
    (models / "loop" / "self").symlink_to("self")
    (models / "loop" / "there").symlink_to("here")
    (models / "loop" / "here").symlink_to("there")
    names = [os.fsdecode(b"caf\xe9"), "café", "Café", "CAFÉ", "a\nb", " ", "%2e%2e", "'; --", "🌊" * 60]
    paths = [*(models / f"{name}.safetensors" for name in names), _longest_path(models)]
    wanted = {path: safetensors(number) for number, path in enumerate(paths)}
    for path, content in wanted.items():
        put(path, content)
    assert len(os.fsencode(paths[-1])) == os.pathconf(models, "PC_PATH_MAX") - 1
    too_long = _too_long_path(models)
    assert wait_hashes(daemon, wanted)
    daemon.scan()
    daemon.wait_idle()
    assert wait_hashes(daemon, wanted)
    assert len(daemon.journal("hash.finished")) == len(wanted)
    assert not daemon.journal("*.failed")
    for path in paths:
        wanted[path.rename(path.with_name(path.name.replace("sors", "SORS")))] = wanted.pop(path)
    assert wait_hashes(daemon, wanted)
    assert len(daemon.journal("hash.finished")) == len(wanted)
    assert too_long > os.pathconf(models, "PC_PATH_MAX")


def wait_hashes(daemon: DaemonProcess, contents: Mapping[Path, bytes]) -> bool:
    """Wait until exactly these files are the present models, as the HTTP interface tells them."""
    wanted = {path: sha256_of(content) for path, content in contents.items()}

    def told() -> bool:
        models = daemon.get("/api/models")["models"]
        return {Path(model["path"]): model["sha256"] for model in models} == wanted

    return wait_until(told, what="the models")


def _longest_path(folder: Path) -> Path:
    """Return a path below a folder of the most bytes that the kernel takes (the last of `PC_PATH_MAX` is a zero)."""
    left = os.pathconf(folder, "PC_PATH_MAX") - 1 - len(os.fsencode(folder))
    while left > 400:
        folder, left = folder / ("d" * 199), left - 200
    name = "x" * (left // 2 - 1)
    return folder / name / ("y" * (left - len(name) - 2 - len(".safetensors")) + ".safetensors")


def _too_long_path(folder: Path) -> int:
    """Make a file so deep that no path leads to it; returns how long its path would be."""
    at, length = os.open(folder, os.O_RDONLY), len(os.fsencode(folder))
    while length < 4500:
        os.mkdir("e" * 250, dir_fd=at)
        below = os.open("e" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at, length = below, length + 251
    os.close(os.open("deep.safetensors", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    return length
