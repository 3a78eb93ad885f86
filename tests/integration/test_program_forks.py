"""Most tests start the program by a fork of a process that has done its imports: it has to be what an exec makes."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.process_groups import open_files
from tests.program_forks import Forked, only_by_exec
from tests.programs import lacking, without
from tests.waiting import wait_until

PARTS_OF_STATUS = (
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "NoNewPrivs",
    "Seccomp",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
)
_UNIQUE = re.compile(r"(?<=pym-).*|\[\d+\]")


def facts(daemon: DaemonProcess) -> dict[str, Any]:
    """Return what the kernel tells of a daemon that says that it is ready."""
    process = Path("/proc") / str(daemon.pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    opened = {_UNIQUE.sub("", path) for path in open_files(daemon.pid)}
    return {
        "open files": {path.replace(str(daemon.folder), "") for path in opened},
        "environment": dict(pair.split("=", 1) for pair in (process / "environ").read_text().split("\0") if pair),
        "folder": (process / "cwd").readlink(),
        "session": os.getsid(daemon.pid) == os.getpgid(daemon.pid) == daemon.pid,
        **{part: status[part] for part in PARTS_OF_STATUS},
    }


@pytest.mark.parametrize("obeys_rights", [False, True])
def test_a_fork_is_what_an_exec_makes(make_daemon: DaemonMaker, obeys_rights: bool) -> None:
    if obeys_rights and os.geteuid() == 0 and lacking("setpriv"):
        pytest.skip(without("setpriv"))
    forked, executed = (make_daemon(name=name, obeys_rights=obeys_rights) for name in ("forked", "executed"))
    forked.start()
    with only_by_exec():
        executed.start()
    assert isinstance(forked._process, Forked)
    assert not isinstance(executed._process, Forked)
    wait_until(lambda: facts(forked) == facts(executed))  # each may have something open for a moment
    assert facts(forked) == facts(executed)


def test_an_end_that_is_told_at_once_is_not_taken_for_the_process_id() -> None:
    told, teller = os.pipe()
    os.write(teller, b"12\n-9\n")
    os.close(teller)

    ended = Forked(["modelkeep"], told)

    assert (ended.pid, ended.wait()) == (12, -signal.SIGKILL)


def test_the_end_of_a_fork_is_told(daemon: DaemonProcess, capfd: pytest.CaptureFixture[str]) -> None:
    killed = daemon._running()
    assert killed.poll() is None
    daemon.kill()
    assert killed.wait() == killed.poll() == -signal.SIGKILL
    version, wrong = daemon.command("--version"), daemon.command("--no-such-option")
    assert (version.status, wrong.status, wrong.out) == (0, 2, "")
    assert version.out.startswith("modelkeep ")
    assert "--no-such-option" in wrong.err
    assert capfd.readouterr() == ("", "")
