"""One box for all tests of the service: booted once a session, whichever worker comes first."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

HERE = Path(__file__).parent
TOP = HERE.parents[1]
SYSTEMD = Path("/lib/systemd/systemd")
BOX_SECONDS = 540
NAME_SPACES = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--net", "--fork", "--kill-child"]
CANNOT = 77
"""What `box.sh` ends with when this machine does not let it build one."""

Seen = dict[str, Any]


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What was seen in the box, by step of `scenario.py`."""
    if os.geteuid() != 0 or not SYSTEMD.exists() or shutil.which("unshare") is None:
        pytest.skip("the service is tried under a systemd of its own: that takes root, systemd and unshare")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "systemd-box"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "status").exists():
            (shared / "status").write_text(str(_boot(shared)))
    status = int((shared / "status").read_text())
    if status == CANNOT:
        pytest.skip((shared / "boot.txt").read_text(errors="replace").strip().splitlines()[-1])
    return _seen(shared, status)


def _seen(shared: Path, status: int) -> Seen:
    try:
        seen: Seen = json.loads((shared / "seen.json").read_text())
    except OSError:
        seen = {"failed": f"nothing was seen, and the box ended with {status}"}
    for name in ("boot.txt", "said.txt", "log.txt"):
        path = shared / name
        print(
            f"--- {name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-60:]) if path.exists() else ""
        )
    return seen


def _boot(shared: Path) -> int:
    """Install the program's wheel in a box of its own, run the scenario there, and return how the box ended."""
    refused = _refusal()
    if refused:
        (shared / "boot.txt").write_text(f"no box can be made here: {refused}\n")
        return CANNOT
    shared.chmod(0o755)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(shared)]
    subprocess.run(build, cwd=TOP, check=True, capture_output=True)
    for name in ("scenario.py", "probe.py"):
        shutil.copy(HERE / name, shared)
    packages = sysconfig.get_paths()["purelib"]
    python = Path(sys.executable).resolve()
    (shared / "inside.sh").write_text(
        f"set -e\n{python} -m venv --without-pip /opt/modelkeep\n"
        # What modelkeep needs is there already: only it is installed, as pipx would, from its wheel.
        "echo /opt/packages >$(echo /opt/modelkeep/lib/python3*/site-packages)/needed.pth\n"
        "/opt/modelkeep/bin/python -m pip install -q --no-index --no-deps --ignore-installed /run/box/*.whl\n"
        "exec /opt/modelkeep/bin/python /run/box/scenario.py\n"
    )
    work = shared / "work"
    work.mkdir()
    box = ["sh", str(HERE / "box.sh"), str(work), str(shared), sys.base_prefix, packages]
    with (shared / "boot.txt").open("wb") as said, _own_cgroup() as cgroup:
        # The box's systemd makes its groups below this one, and nowhere else.
        enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(cgroup)]
        try:
            command = [*enter, "unshare", *NAME_SPACES, *box]
            return subprocess.run(
                command, stdout=said, stderr=said, timeout=BOX_SECONDS, env=_environment()
            ).returncode
        except subprocess.TimeoutExpired:
            return 1


def _refusal() -> str:
    """Return why this machine lets nobody make a box; empty when it may do so."""
    tried = subprocess.run(["unshare", *NAME_SPACES, "true"], capture_output=True, text=True)
    if tried.returncode:
        return tried.stderr.strip()
    top = _cgroups()
    return "" if top is not None and os.access(top, os.W_OK) else "no control group can be made"


def _cgroups() -> Path | None:
    """Return the control group of this process, of the second version."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    top = next((mount[1] for mount in mounts if mount[2] == "cgroup2" and "rw" in mount[3].split(",")), None)
    ours = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    return Path(top) / ours[0].removeprefix("0::/") if top is not None and ours else None


@contextmanager
def _own_cgroup() -> Iterator[Path]:
    """Make a control group for the box, and remove it with all that the box made below it."""
    ours = _cgroups()
    assert ours is not None
    group = ours / f"modelkeep-box-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        for folder, _, _ in os.walk(group, topdown=False):
            wait_until(partial(_is_removed, Path(folder)), what=f"{folder} to be left by its processes")


def _is_removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
