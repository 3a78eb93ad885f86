"""A process that has done the program's imports, and forks: each fork becomes the program with arguments of its own.

    python -m tests.preloaded_program FD    requests come through the socket of that number, see `program_forks.py`

A fork is what the same command line would be by exec, from the first line of the program's entry on: its own process,
session, environment and standard streams. Before the fork imports are done, and what a process makes ready only once:
SQL statements and patterns. No thread runs then, and no file is open but the socket. What differs is told where it
matters: `/proc/PID/cmdline`, and what counts memory.
"""

import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from tests.crash.lives import rehearse

LOADED_FIRST = (
    *("modelkeep.cli.app", "modelkeep.cli.changing", "modelkeep.cli.reading", "modelkeep.service.running"),
    *("modelkeep.cli.models_view", "modelkeep.cli.pending_view", "modelkeep.cli.status_view", "alembic.command"),
    *("modelkeep.cli.import_progress", "modelkeep.cli.import_view", "modelkeep.cli.path_guess"),
    *("modelkeep.importers.reading", "modelkeep.importers.registry", "modelkeep.service.offline"),
    *(
        "asyncio",
        "httpx",
        "rich.table",
        "rich.progress",
        "typer.rich_utils",
        "PIL.Image",
    ),
    *(
        "uvicorn.lifespan.off",
        "uvicorn.loops.auto",
        "uvicorn.protocols.http.auto",
        "uvicorn.protocols.websockets.auto",
    ),
    *("apscheduler.executors.asyncio", "typer._click.decorators", "encodings.idna", "anyio._backends._asyncio"),
)
"""What most commands load; the rest loads when it is asked for, as it does without a fork."""

_RIGHTS = (1, 2, 3)
"""To pass over file modes and owners: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER of capability.h."""

_CAPABILITY_VERSION, _DROP_FROM_BOUNDING_SET, _EFFECTIVE, _PERMITTED = 0x20080522, 24, 0, 1


def main(control: socket.socket) -> None:
    """Answer requests until the other end is closed; returns in each fork of which the program is to be made."""
    for name in LOADED_FIRST:
        importlib.import_module(name)
    rehearse()
    inspect.getsourcelines(rehearse)  # FastAPI asks for those of each function that answers
    gc.freeze()
    assert threading.active_count() == len(list(Path("/proc/self/task").iterdir())) == 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the end of the tests is the end of this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the programs
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 4)
        if not text:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            _watch_over_a_fork(json.loads(text), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _watch_over_a_fork(request: dict[str, Any], told: int, *streams: int) -> None:
    """Fork once more and return there; this process tells the other's id, waits for its end and tells its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        os.close(told)
        _become(request, streams)
        return
    for stream in streams:
        os.close(stream)
    os.write(told, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: dict[str, Any], streams: tuple[int, ...]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["session"]:
        os.setsid()
    if request["is_powerless"]:
        _obey_rights()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(streams) + 1)
    os.chdir(request["folder"])
    sys.argv = request["arguments"]


def _obey_rights() -> None:
    """Do as `setpriv --bounding-set=-dac_override,-dac_read_search,-fowner` does."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    done = [libc.prctl(_DROP_FROM_BOUNDING_SET, number, 0, 0, 0) for number in _RIGHTS]
    done.append(libc.capget(header, sets))
    for index in (_EFFECTIVE, _PERMITTED):
        sets[index] &= ~sum(1 << number for number in _RIGHTS)
    done.append(libc.capset(header, sets))
    assert not any(done), os.strerror(ctypes.get_errno())


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("modelkeep", run_name="__main__", alter_sys=True)
