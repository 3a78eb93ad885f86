"""What the service manager hears, and that nothing is said where there is none."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkeep.base.notify import ServiceManager


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def test_variables_arrive_one_a_line_in_one_datagram(manager_socket: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()})
    manager.tell(READY=1, STATUS="two\nlines \udcff")
    assert manager_socket.recv(4096) == b"READY=1\nSTATUS=two lines \\udcff\n"


def test_an_abstract_socket_is_reached_too() -> None:
    name = f"modelkeep-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(60)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).tell(STOPPING=1)
        assert listening.recv(100) == b"STOPPING=1\n"


def test_reloading_carries_the_monotonic_time(manager_socket: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()}).tell_reloading()
    reloading, monotonic = manager_socket.recv(4096).decode().split()
    assert reloading == "RELOADING=1"
    assert before <= int(monotonic.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_a_manager_that_is_not_there_is_no_error(environment: dict[str, str]) -> None:
    ServiceManager(environment).tell(READY=1)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 0.0),
        ({"NOTIFY_SOCKET": "@x"}, 0.0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000"}, 3.0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_answered_only_when_it_asks_this_process(environment: dict[str, str], seconds: float) -> None:
    assert ServiceManager(environment).watchdog_seconds == seconds
