import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from modelkeep import __version__
from modelkeep.cli.exits import signals_held_back, terminated_in_order


def test_a_termination_calls_a_coroutine_off_in_order() -> None:
    ended = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what is cleaned up may itself have to wait
            ended.append("in order")
            raise

    with pytest.raises(KeyboardInterrupt), terminated_in_order():
        asyncio.run(work())

    assert ended == ["in order"]


def test_a_termination_outside_of_coroutines_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), terminated_in_order():
        signal.raise_signal(signal.SIGTERM)


def test_a_termination_interrupts_even_where_ctrl_c_is_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), terminated_in_order():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with terminated_in_order():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_that_are_held_back_arrive_when_the_work_is_whole() -> None:
    done = []

    def work() -> None:
        with terminated_in_order(), signals_held_back():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert done == ["whole"]


WITH_MORE_TO_SAY = """\
import atexit, sys, threading
from modelkeep import cli
from modelkeep.__main__ import main
def run(run=cli.run):
    atexit.register(print, "at exit")
    if sys.argv.pop() == "later":
        threading.Thread(target=lambda: (threading.main_thread().join(), print("later"))).start()
    sys.argv.append("--version")
    run()
cli.run = run
main()
"""


def _end_of_program(more: str, out: int | IO[bytes]) -> "subprocess.CompletedProcess[bytes]":
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run([sys.executable, "-c", WITH_MORE_TO_SAY, more], stdout=out, stderr=-1, env=buffered)


@pytest.mark.parametrize(("more", "said"), [("nothing", []), ("later", ["later"])])
def test_the_program_ends_when_all_is_said_and_done(more: str, said: list[str]) -> None:
    done = _end_of_program(more, subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [f"modelkeep {__version__}", *said, "at exit"]


def test_what_the_program_could_not_say_is_no_success() -> None:
    with Path("/dev/full").open("wb") as full:
        done = _end_of_program("nothing", full)
    assert done.returncode == 120
    assert b"No space left on device" in done.stderr
