import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelkeep import errors
from modelkeep.cli import client as client_module
from modelkeep.cli.client import DaemonClient, connect, require
from modelkeep.cli.exits import DaemonNotRunning
from modelkeep.settings.model import Settings, load_settings


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config)


@pytest.fixture
def client(settings: Settings, daemon: Any) -> Iterator[DaemonClient]:
    found = connect(settings)
    assert found is not None
    with found:
        yield found


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.DaemonError),
        (403, errors.OutsideRoots),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (423, errors.Busy),
        (500, errors.DaemonError),
        (503, errors.DaemonError),
    ],
)
def test_an_error_answer_raises_what_it_stands_for(
    client: DaemonClient, daemon: Any, status: int, kind: type[Exception]
) -> None:
    daemon.answer("GET", "/x", {"error": "a sentence"}, status)

    with pytest.raises(kind, match=r"^a sentence$") as raised:
        client.get("/x")
    assert type(raised.value) is kind


@pytest.mark.parametrize("body", [b"<html>", {"detail": "x"}, [], "text", None])
def test_an_error_answer_of_another_shape_names_its_status(client: DaemonClient, daemon: Any, body: Any) -> None:
    daemon.answer("GET", "/x", body, 502)

    with pytest.raises(errors.DaemonError, match="502"):
        client.get("/x")


def test_an_answer_that_is_no_json_is_named(client: DaemonClient, daemon: Any) -> None:
    daemon.answer("GET", "/x", b"hello")

    with pytest.raises(errors.DaemonError, match="is not modelkeep"):
        client.get("/x")


def test_paths_that_are_no_utf8_arrive_in_bodies_as_they_are(client: DaemonClient, daemon: Any) -> None:
    daemon.answer("POST", "/x", {})

    client.post("/x", {"source": "/caf\udce9"})

    assert daemon.asked == [("POST", "/x", {"source": "/caf\udce9"})]


def test_paths_in_questions_travel_byte_for_byte(client: DaemonClient, daemon: Any) -> None:
    client_path = "/a b&c=d+é\udce9"
    daemon.answer("GET", "/x", {})

    client.get("/x", q=client_path, left_out=None)

    # The server of this test replaces what is no UTF-8; everything around it has to have survived.
    assert daemon.asked == [("GET", "/x", {"q": "/a b&c=d+é\ufffd"})]


def test_a_stream_is_read_line_by_line(client: DaemonClient, daemon: Any) -> None:
    daemon.answer("POST", "/x", [{"progress": 1}, {"report": 2}])

    assert list(client.post_stream("/x", {})) == [{"progress": 1}, {"report": 2}]


def test_a_stream_that_is_refused_raises_what_it_stands_for(client: DaemonClient, daemon: Any) -> None:
    daemon.answer("POST", "/x", {"error": "a sentence"}, 404)

    with pytest.raises(errors.NotFound, match="a sentence"):
        list(client.post_stream("/x", {}))


def test_no_socket_means_no_daemon(settings: Settings) -> None:
    assert connect(settings) is None
    with pytest.raises(DaemonNotRunning, match="start it with: modelkeep run"):
        require(settings, "modelkeep run")


def test_a_socket_that_a_killed_daemon_left_means_no_daemon(settings: Settings) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(settings.socket_path))

    assert connect(settings) is None


def test_a_configuration_without_a_socket_is_told_apart(config: Path) -> None:
    settings = load_settings(config, overrides={"api": {"socket": ""}})

    with pytest.raises(DaemonNotRunning, match=r"api\.socket"):
        require(settings, "modelkeep run")


def test_a_daemon_that_hangs_up_is_not_taken_for_an_answer(settings: Settings) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(settings.socket_path))
        server.listen()
        found = connect(settings)
        assert found is not None
        server.accept()[0].close()  # the probe of `connect`
        server.settimeout(60)
        with found, pytest.raises(errors.DaemonError, match="stopped while"):
            _get_while(server, found)


def _get_while(server: socket.socket, client: DaemonClient) -> None:
    import threading

    def hang_up() -> None:
        connection, _ = server.accept()
        connection.recv(10)
        connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        client.get("/x")
    finally:
        thread.join()


def test_a_daemon_that_does_not_answer_a_question_is_given_up_soon(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_READ_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(settings.socket_path))
        server.listen()  # and nobody accepts, as where a daemon was stopped with SIGSTOP
        found = connect(settings)
        assert found is not None
        with found, pytest.raises(errors.DaemonError, match="the daemon does not answer"):
            found.get("/api/status")
