"""The operational log: one readable line an event on standard error, never anything on standard output."""

import io
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from modelkeep.base.journald import Journald
from modelkeep.base.log import configure_logging, get_logger, log_together
from modelkeep.errors import SettingsError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    names = (None, "modelkeep", "uvicorn.access")
    before = [
        (logger, logger.level, logger.handlers[:], logger.propagate) for logger in map(logging.getLogger, names)
    ]
    yield
    for logger, level, handlers, propagate in before:
        logger.level, logger.handlers, logger.propagate = level, handlers, propagate
        logger.manager._clear_cache()  # type: ignore[attr-defined]


def fail_with(secret: str) -> None:
    raise ValueError(f"bad value of {len(secret)} letters")


def logged(level: str = "info", *, terminal: bool = False) -> io.StringIO:
    stream = Terminal() if terminal else io.StringIO()
    logging.getLogger().handlers = []  # pytest's own cannot send a surrogate from one process to another
    configure_logging(level, stream=stream)
    return stream


def test_line_has_time_level_logger_event_and_fields() -> None:
    stream = logged()
    get_logger("watch").warning("root.unreachable", path="/srv/my models", folders=3, polling=True, why=None)
    timestamp, rest = stream.getvalue().split(" ", 1)
    assert datetime.fromisoformat(timestamp.removeprefix("timestamp=")).tzinfo is not None
    assert rest == (
        'level=warning logger=watch event=root.unreachable path="/srv/my models" folders=3 polling=true why=\n'
    )


class Journal:
    """Stands for journald: a socket, and the stream that systemd would have connected with it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "journal"))
        self.socket.settimeout(60)
        self.stream = (folder / "stream").open("w+", encoding="utf-8")
        found = os.fstat(self.stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr("modelkeep.base.log.Journald", lambda: Journald(str(folder / "journal")))

    def received(self) -> dict[str, bytes]:
        """Return the fields of the next record, as systemd.io/JOURNAL_NATIVE_PROTOCOL spells them."""
        data, rights, _, _ = socket.recv_fds(self.socket, 65_536, 1)
        if rights:
            with os.fdopen(rights[0], "rb") as file:
                file.seek(0)
                data = file.read()
        fields: dict[str, bytes] = {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                length = int.from_bytes(data[:8], sys.byteorder)
                value, data = data[8 : 8 + length], data[9 + length :]
            fields[name.decode()] = value
        return fields


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    logging.getLogger().handlers = []  # pytest's own cannot send a surrogate from one process to another
    journal = Journal(tmp_path, monkeypatch)
    configure_logging("debug", stream=journal.stream)
    yield journal
    configure_logging(stream=io.StringIO())  # closes the connection
    journal.socket.close()
    journal.stream.close()


class _Counting(io.StringIO):
    """A stream that counts what is written to it."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_lines_that_belong_together_are_written_with_one_call() -> None:
    out = _Counting()
    configure_logging(stream=out)
    log_together("watch", [("info", "file.seen", {"path": f"/m/{name}.pt"}) for name in ("a b", "\x1b")])
    assert out.writes == 1
    together = out.getvalue().splitlines()
    for name in ("a b", "\x1b"):
        get_logger("watch").info("file.seen", path=f"/m/{name}.pt")
    alone = out.getvalue().splitlines()[2:]
    assert [line.partition(" ")[2] for line in together] == [line.partition(" ")[2] for line in alone]


def test_of_events_together_those_below_the_level_are_left_out_and_one_that_cannot_be_told_holds_up_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise ValueError

    out = logged("info")
    told: list[tuple[str, str, dict[str, object]]] = [
        ("debug", "file.seen", {}),
        ("info", "file.gone", {"path": Unspeakable()}),
        ("warning", "root.unreachable", {}),
    ]
    log_together("watch", told)
    assert [line.partition(" ")[2] for line in out.getvalue().splitlines()] == [
        "level=warning logger=watch event=root.unreachable"
    ]
    assert "ValueError" in capsys.readouterr().err


def test_journald_gets_events_together_as_it_gets_each(journal: Journal) -> None:
    log_together(
        "watch", [("warning", "root.unreachable", {"path": "/m"}), ("info", "root.returned", {"path": "/m"})]
    )
    for event, priority in (("root.unreachable", b"4"), ("root.returned", b"6")):
        fields = journal.received()
        assert (fields["MODELKEEP_EVENT"], fields["PRIORITY"]) == (event.encode(), priority)
        assert (fields["MODEL_PATH"], fields["MODELKEEP_LOGGER"]) == (b"/m", b"watch")


def test_journald_gets_events_with_their_fields_and_priorities(journal: Journal) -> None:
    logger = get_logger("watch")
    for level, priority in (("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)):
        getattr(logger, level)("migration.finished", sha256="ab" * 32, path="/m/a b.pt", action="insert", tried=None)
        assert journal.received() == {
            "MESSAGE": f'migration.finished sha256={"ab" * 32} path="/m/a b.pt" action=insert tried='.encode(),
            "PRIORITY": str(priority).encode(),
            "SYSLOG_IDENTIFIER": b"modelkeep",
            "MODELKEEP_EVENT": b"migration.finished",
            "MODELKEEP_LOGGER": b"watch",
            "MODEL_SHA256": b"ab" * 32,
            "MODEL_PATH": b"/m/a b.pt",
            "MODELKEEP_ACTION": b"insert",
        }


def test_journald_gets_names_byte_for_byte_and_a_person_sees_them_spelled_out(journal: Journal) -> None:
    path = b"/m/a\nPRIORITY=0\n\x1b[31m\xff.pt"
    get_logger("watch").info("file.detected", path=os.fsdecode(path), note="\ud800")
    fields = journal.received()
    assert fields["MODEL_PATH"] == path
    assert fields["PRIORITY"] == b"6"
    assert fields["MODELKEEP_NOTE"] == b"\\ud800"
    assert b"\n" not in fields["MESSAGE"]
    assert b"\x1b" not in fields["MESSAGE"]


def test_journald_gets_what_is_too_long_for_a_datagram(journal: Journal) -> None:
    logging.getLogger("watchdog").warning("x" * 1_000_000)
    assert journal.received()["MESSAGE"] == b"x" * 1_000_000


def test_journald_gets_a_traceback_in_lines(journal: Journal) -> None:
    try:
        fail_with("a token")
    except ValueError:
        get_logger("watch").exception("listener.failed")
    fields = journal.received()
    assert fields["MESSAGE"].splitlines()[0] == b"listener.failed"
    assert fields["MESSAGE"].splitlines()[-1] == b"ValueError: bad value of 7 letters"
    assert fields["MODELKEEP_EXCEPTION"].startswith(b"Traceback")


def test_a_journald_that_is_away_gets_lines_with_their_priority_by_the_stream(journal: Journal) -> None:
    journal.socket.close()
    get_logger("watch").warning("root.returned", path="/m")
    journal.stream.seek(0)
    assert journal.stream.read() == "<4>logger=watch event=root.returned path=/m\n"


def test_what_neither_journald_nor_the_stream_takes_holds_up_nobody(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    journal.socket.close()
    journal.stream.close()
    get_logger("watch").warning("root.returned", path="/m")
    log_together("watch", [("warning", "root.returned", {"path": "/m"})])


def test_a_stream_that_was_sent_elsewhere_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")  # inherited from a service whose output was redirected
    with tempfile.TemporaryFile("w+") as stream:
        configure_logging(stream=stream)
        get_logger("watch").info("root.returned", path="/m")
        stream.seek(0)
        assert stream.read().startswith("timestamp=")


def test_terminal_gets_short_coloured_lines() -> None:
    stream = logged(terminal=True)
    get_logger("watch").info("root.returned", path="/srv/my models")
    line = stream.getvalue()
    assert "\x1b[" in line
    assert "root.returned" in line
    assert "'/srv/my models'" in line
    assert re.search(r"\d\d:\d\d:\d\d\x1b", line[:20])  # the time of day and no date
    assert line.count("\n") == 1


def test_terminal_without_colours_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = logged(terminal=True)
    get_logger("watch").info("root.returned", path="/m")
    assert stream.getvalue().split(" ", 1)[1] == "[info] root.returned [watch] path=/m\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_hostile_names_neither_break_a_line_nor_reach_the_terminal(terminal: bool) -> None:
    stream = logged(terminal=terminal)
    path = b"/m/a\n<0>forged \x1b[31m \xff\r.pt".decode(errors="surrogateescape")
    get_logger("watch").info("file.detected", path=path, paths=[path])
    logging.getLogger("watchdog").warning("seen %s", path)
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert "\x1b[31m \udcff" not in text
    assert "\r" not in text
    text.encode()  # every character can be written


@pytest.mark.parametrize("terminal", [False, True])
def test_exception_is_logged_with_its_traceback_and_without_local_variables(terminal: bool) -> None:
    stream = logged(terminal=terminal)
    try:
        fail_with("a token")
    except ValueError:
        get_logger("watch").exception("listener.failed")
    text = stream.getvalue()
    assert "Traceback" in text
    assert "ValueError: bad value of 7 letters" in text
    assert "a token" not in text.replace('fail_with("a token")', "").replace('fail_with(\\"a token\\")', "")
    assert terminal or text.count("\n") == 1


def test_level_is_that_of_our_own_loggers() -> None:
    stream = logged("warning")
    get_logger("watch").info("root.returned")
    assert stream.getvalue() == ""
    stream = logged("debug")
    get_logger("watch").debug("root.returned")
    assert "level=debug" in stream.getvalue()


def test_libraries_are_heard_from_warning_on_and_look_like_ours() -> None:
    stream = logged("debug")
    for name in ("uvicorn.error", "apscheduler.scheduler", "watchdog", "alembic", "sqlalchemy.engine"):
        logging.getLogger(name).info("not heard")
        logging.getLogger(name).warning("heard from %s", name)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[0].endswith('level=warning logger=uvicorn.error event="heard from uvicorn.error"')


def test_access_log_of_uvicorn_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    stream = logged("debug")
    logging.getLogger("uvicorn.access").error("GET / 200")
    assert stream.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_second_configuration_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(stream=first)
    configure_logging(stream=second)
    get_logger("watch").info("root.returned")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_logger_made_before_the_configuration_follows_it() -> None:
    logger = get_logger("modelkeep.watch.watcher")
    stream = logged()
    logger.info("root.returned")
    assert "logger=watch.watcher" in stream.getvalue()


def test_unknown_level_names_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="'loud' is no log level; the levels are debug, info"):
        configure_logging("loud")


@pytest.mark.parametrize("configure", ["", "configure_logging('debug');"])
def test_standard_output_is_never_written_to(configure: str) -> None:
    program = f"""
import logging
from modelkeep.base.log import configure_logging, get_logger
{configure}
get_logger("watch").error("root.unreachable", path="/m")
logging.getLogger("watchdog").error("lost")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == ""
    assert "root.unreachable" in done.stderr
    assert "lost" in done.stderr
