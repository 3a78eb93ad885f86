"""The operational log: what the daemon says about itself on standard error. The journal is another thing.

One handler on the root of the standard logging renders everything, so the libraries' warnings look like ours. On a
terminal lines are short and coloured. Under systemd journald gets each event with its fields: the SHA-256 and path of
a model as `MODEL_SHA256` and `MODEL_PATH`, all others as `MODELKEEP_…`. Elsewhere lines are key=value and begin with
the time. Standard output is never touched: it belongs to the commands.
"""

import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import LogfmtRenderer, TimeStamper, format_exc_info
from structlog.stdlib import BoundLogger, ProcessorFormatter, add_log_level, filter_by_level
from structlog.typing import EventDict, Processor, WrappedLogger

from modelkeep.base.journald import Journald, leads_to_journald
from modelkeep.errors import SettingsError

LEVELS = ("debug", "info", "warning", "error", "critical")

_OWN = "modelkeep"
_NUMBERS = {level: getattr(logging, level.upper()) for level in LEVELS}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_MODEL_FIELDS = ("sha256", "path")


def configure_logging(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send the log of this process to a stream; a second call replaces what the first did.

    Args:
        level: one of LEVELS, for our own loggers. Libraries are heard from warning on, uvicorn's access log never.
        stream: standard error when it is None.

    Raises:
        SettingsError: there is no such level.
    """
    if level not in LEVELS:
        raise SettingsError(f"{level!r} is no log level; the levels are {', '.join(LEVELS)}")
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, _OperationalHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(_handler(sys.stderr if stream is None else stream))
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level.upper())
    # No line tells them, and asking takes its time for each (the logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    access_log = logging.getLogger("uvicorn.access")
    access_log.propagate, access_log.handlers = False, [logging.NullHandler()]


def get_logger(name: str) -> BoundLogger:
    """Return the logger of a part of the daemon, such as `watch`.

    It works before `configure_logging`, and in processes that never call it: warnings then go to standard error.
    """
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"{_OWN}.{name.removeprefix(f'{_OWN}.')}"),
        processors=[filter_by_level, *_BEFORE_RENDERING, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        context_class=dict,
    )
    return logger


def log_together(name: str, events: Iterable[tuple[str, str, Mapping[str, object]]]) -> None:
    """Log events of a part of the daemon; their lines are written with one call.

    Each call gives up the interpreter, and while another thread is busy it takes a millisecond to have it back. What
    structlog and logging do around a line takes three times as long as the line.

    Args:
        name: of the part.
        events: the level of each, its name and its fields.
    """
    logger = logging.getLogger(f"{_OWN}.{name}")
    wanted: list[EventDict] = [
        {**fields, "event": event, "level": level, "logger": name}
        for level, event, fields in events
        if logger.isEnabledFor(_NUMBERS[level])
    ]
    for handler in logging.getLogger().handlers if wanted else ():
        if isinstance(handler, _OperationalHandler):
            handler.write_all(wanted)
            continue
        for said in wanted:
            record = _record_of(said)
            if record.levelno >= handler.level:
                handler.handle(record)


def _record_of(said: EventDict) -> logging.LogRecord:
    level = str(said["level"])
    known = {"name": f"{_OWN}.{said['logger']}", "levelno": _NUMBERS[level], "levelname": level.upper()}
    return logging.makeLogRecord({**known, "msg": said})


class _OperationalHandler(logging.StreamHandler[TextIO]):
    """The one that `configure_logging` adds, to be told from those of others."""

    def __init__(self, stream: TextIO, processors: Sequence[Processor]) -> None:
        super().__init__(stream)
        self._lines = _Formatter(processors)
        self.setFormatter(self._lines)

    def write_all(self, events: Sequence[EventDict]) -> None:
        """Write the lines of events with one call."""
        self.acquire()
        try:
            text = "".join(f"{line}{self.terminator}" for line in map(self._line_of, events) if line)
            with suppress(OSError, ValueError):  # nobody reads it, or it is closed
                self.stream.write(text)
                self.flush()
        finally:
            self.release()

    def _line_of(self, said: EventDict) -> str:
        try:
            return self._lines.line_of(dict(said), str(said["level"]))
        except Exception:  # what cannot be logged holds up nobody
            self.handleError(_record_of(said))
            return ""


class _Formatter(ProcessorFormatter):
    """Renders what our own loggers say without a copy of its record, which nobody else changes.

    Args:
        processors: of which the last renders.
    """

    def __init__(self, processors: Sequence[Processor]) -> None:
        super().__init__(processors=[self.remove_processors_meta, *processors], foreign_pre_chain=_BEFORE_RENDERING)
        self._chain = processors

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        if not hasattr(record, "_logger"):
            return super().format(record)
        return self.line_of(dict(cast("EventDict", record.msg)), record.levelname.lower())

    def line_of(self, said: EventDict, level: str) -> str:
        """Return the line of an event, which is used up."""
        rendered: Any = said
        for process in self._chain:
            rendered = process(None, level, rendered)
        return str(rendered)


class _JournaldHandler(_OperationalHandler):
    """Sends records to journald, and writes those that it does not take to the stream that systemd gave us.

    Args:
        stream: begins each line with its priority (`<4>`, see sd-daemon(3)).
        journald: takes the records.
    """

    def __init__(self, stream: TextIO, journald: Journald) -> None:
        super().__init__(stream, [format_exc_info, self._send])
        self._journald = journald

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            if line := self.format(record):
                self.stream.write(f"{line}\n")
                self.flush()
        except Exception:  # what cannot be logged holds up nobody
            self.handleError(record)

    def close(self) -> None:
        """Close the connection."""
        self._journald.close()
        super().close()

    def _send(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> str:
        """Send an event; returns the line to write instead when that fails."""
        priority = _PRIORITIES.get(str(event_dict.pop("level")), _PRIORITIES["info"])
        fields = {_field_name(key): value for key, value in event_dict.items() if value is not None}
        shown = _Printable(keep="\n")(logger, method, event_dict)
        try:
            self._journald.send(
                {
                    "MESSAGE": _message(logger, method, shown),
                    "PRIORITY": priority,
                    "SYSLOG_IDENTIFIER": _OWN,
                    **fields,
                }
            )
        except OSError:
            return f"<{priority}>{_render_logfmt(logger, method, shown)}"
        return ""


def _handler(stream: TextIO) -> _OperationalHandler:
    if stream.isatty():
        renderer = ConsoleRenderer(
            colors=not os.environ.get("NO_COLOR"),
            # structlog's own choice would show local variables, and with them whatever the owner wrote.
            exception_formatter=plain_traceback,
            sort_keys=False,
            pad_event_to=0,
            pad_level=False,
        )
        return _OperationalHandler(stream, [TimeStamper("%H:%M:%S", utc=False), _Printable(), renderer])
    if leads_to_journald(stream):
        return _JournaldHandler(stream, Journald())
    return _OperationalHandler(stream, [format_exc_info, TimeStamper("iso"), _Printable(keep="\n"), _render_logfmt])


def _field_name(key: str) -> str:
    prefix = "MODEL" if key in _MODEL_FIELDS else _OWN.upper()
    return f"{prefix}_{key.upper()}"


def _message(logger: WrappedLogger, method: str, event_dict: EventDict) -> str:
    """Return what `journalctl` shows: the event, its fields, and the lines of a traceback as lines."""
    shown = {key: value for key, value in event_dict.items() if key not in ("event", "logger", "exception")}
    event = str(event_dict["event"]).replace("\n", "\\n")
    line = f"{event} {_render_logfmt(logger, method, shown)}".rstrip()
    return "\n".join([line, *([str(event_dict["exception"])] if "exception" in event_dict else [])])


class _Printable:
    """Spell out what must not reach a terminal or break a line: control characters and surrogates in file names.

    Args:
        keep: characters that the renderer escapes itself.
    """

    def __init__(self, keep: str = "") -> None:
        self._keep = keep

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        return {key: value if _is_plain(key, value) else self._spell(str(value)) for key, value in event_dict.items()}

    def _spell(self, text: str) -> str:
        if text.isprintable():
            return text
        return "".join(
            char if char.isprintable() or char in self._keep else char.encode("unicode_escape").decode()
            for char in text
        )


def _is_plain(key: str, value: object) -> bool:
    return value is None or isinstance(value, int | float) or key == "exc_info"


def _name_part(logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    record = event_dict.get("_record")
    name: str = logger.name if record is None else record.name
    event_dict["logger"] = name.removeprefix(f"{_OWN}.")
    return event_dict


_render_logfmt = LogfmtRenderer(
    key_order=["timestamp", "level", "logger", "event"], drop_missing=True, bool_as_flag=False
)

_BEFORE_RENDERING: Sequence[Processor] = (add_log_level, _name_part)
