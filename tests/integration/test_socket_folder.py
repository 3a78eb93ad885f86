"""The folder of the unix socket: made when it is missing, for the owner alone, and of use to an ordinary user."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from tests.integration.conftest import DaemonMaker
from tests.programs import without

obeys_modes = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason=without("setpriv"),
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@obeys_modes
def test_a_missing_socket_folder_is_made_for_the_owner_alone(tmp_path: Path, make_daemon: DaemonMaker) -> None:
    folder = tmp_path / "run" / "of this user"
    daemon = make_daemon(tables={"api": {"socket": str(folder / "mk.sock")}}, obeys_rights=True)
    daemon.socket = folder / "mk.sock"
    daemon.start()
    assert daemon.must("status", "--json").json["state"] == "running"
    assert [mode_of(each) for each in (folder.parent, folder, daemon.socket)] == [0o700, 0o700, 0o600]


@obeys_modes
def test_a_socket_folder_that_is_there_keeps_its_mode(tmp_path: Path, make_daemon: DaemonMaker) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o750)
    daemon = make_daemon(tables={"api": {"socket": str(folder / "mk.sock")}}, obeys_rights=True)
    daemon.socket = folder / "mk.sock"
    daemon.start()
    assert mode_of(folder) == 0o750
