"""Watch what a life does to its data folder, call by call, by strace."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.crash.batch import SYNC_LOG
from tests.crash.job import Job
from tests.crash.living import BATCH
from tests.programs import without

CALLS = (
    *("open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "fallocate"),
    *("fsync", "fdatasync", "sync_file_range", "msync", "rename", "renameat", "renameat2", "link", "linkat"),
    *("symlink", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "sendfile", "copy_file_range"),
)
"""Every call by which a file or a folder could be changed, also those that the program does not use now."""

_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(.*)", re.DOTALL)
_DESCRIPTOR = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_NO_CHANGE = frozenset({"open", "openat", "creat"})


@dataclass(frozen=True)
class Call:
    """One system call that changes something, or has failed to.

    Args:
        thread: which thread made it.
        name: of the call.
        path: what it changed.
        target: the new name in a rename; what is copied by `sendfile`.
        data: what was written, or the text of the arguments.
        offset: where it was written, None: at the end; how many bytes were copied.
        callers: functions of the program that asked for a sync, the innermost first; empty for SQLite's own.
        nth: which of this thread's calls of this name on this path it is, from 1 on.
    """

    thread: int
    name: str
    path: str
    target: str = ""
    data: bytes = b""
    offset: int | None = None
    callers: str = ""
    nth: int = 0
    failed: bool = False

    @property
    def is_sync(self) -> bool:
        """Whether it brings something to the disk."""
        return self.name in ("fsync", "fdatasync")


def require_strace() -> None:
    """Skip a test where strace is not there or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip(without("strace"))
    tried = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"], capture_output=True, text=True
    )
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")


def strace(options: Sequence[str], job: Job, log: Path, sync_log: Path | None = None) -> int:
    """Live a job in a process of its own under strace; returns its exit status, negative for a signal."""
    # --seccomp-bpf spares the stops at all other calls; strace 6.1 does not kill with it.
    speed = [] if any("signal=KILL" in option for option in options) else ["--seccomp-bpf"]
    command = ["strace", "-f", *speed, "-q", "-o", str(log), *options, sys.executable, str(BATCH)]
    environment = dict(os.environ)
    if sync_log is not None:
        environment[SYNC_LOG] = str(sync_log)
    return subprocess.run([*command, job.to_json()], env=environment, timeout=240).returncode


def trace(job: Job, disturbance: Sequence[str] = ()) -> tuple[int, list[Call]]:
    """Live a job; returns its exit status and all calls that changed something in its folder, or failed to.

    Args:
        job: the life.
        disturbance: options of strace that let calls fail.
    """
    folder = Path(job.output).parent
    log, sync_log = folder / "trace", folder / "syncs"
    options = ["-y", "-xx", "-s", "1000000", "-e", f"trace={','.join(CALLS)}", "-e", "signal=none"]
    status = strace([*options, *disturbance], job, log, sync_log)
    with log.open(encoding="ascii", errors="replace") as lines:
        calls = list(_numbered(_with_callers(read_calls(lines, str(folder)), str(sync_log))))
    log.unlink()
    return status, calls


def read_calls(lines: Iterable[str], folder: str) -> Iterator[Call]:
    """Yield the calls of a trace that touched something in a folder, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        thread, text = match.groups()
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            text = begun.pop(thread, "") + text.partition("resumed>")[2]
        call = _read_call(int(thread), text)
        if call is not None and call.path.startswith(folder):
            yield call


def _read_call(thread: int, text: str) -> Call | None:
    match = _CALL.match(text)
    if match is None or match[3] == "?":
        return None
    name, arguments, result, after = match.groups()
    if int(result) < 0:
        return _read_failed(thread, name, arguments)
    texts = [_decode(found) for found in _TEXT.findall(arguments)]
    described = [os.fsdecode(_decode(found)) for found in _DESCRIPTOR.findall(arguments)]
    if name in _NO_CHANGE:
        if "O_CREAT" not in arguments and name != "creat":
            return None
        opened = _DESCRIPTOR.search(f"{result}{after}")
        path = os.fsdecode(_decode(opened[1])) if opened else ""
        return Call(thread, "create", path, data=b"O_TRUNC" if "O_TRUNC" in arguments else b"")
    if name in ("rename", "renameat", "renameat2", "link", "linkat"):
        old, new = (_joined(described[number:], text) for number, text in enumerate(texts))
        return Call(thread, name.rstrip("at2"), old, new)
    if name in ("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "symlink", "truncate"):
        return Call(thread, name.removesuffix("at"), _joined(described, texts[-1]), data=arguments.encode())
    if name in ("write", "pwrite64"):
        written = texts[0][: int(result)]
        offset = int(arguments.rpartition(",")[2]) if name == "pwrite64" else None
        return Call(thread, name, described[0], data=written, offset=offset)
    if name == "sendfile":
        return Call(thread, name, described[0], described[1], offset=int(result))
    return Call(thread, name, described[0], data=arguments.encode())


def _read_failed(thread: int, name: str, arguments: str) -> Call | None:
    texts = [os.fsdecode(_decode(found)) for found in _TEXT.findall(arguments)]
    described = [os.fsdecode(_decode(found)) for found in _DESCRIPTOR.findall(arguments)]
    paths = [*(path for path in described if name not in _NO_CHANGE), *texts]
    return Call(thread, name, paths[0], failed=True) if paths else None


def _joined(described: list[str], name: bytes) -> str:
    return str(Path(described[0] if described else "/") / os.fsdecode(name))


def _decode(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", "")) if "\\x" in escaped else escaped.encode()


def _with_callers(calls: Iterable[Call], sync_log: str) -> Iterator[Call]:
    """Give each sync the callers that its thread has written down before it."""
    asked: dict[int, str] = {}
    for call in calls:
        if call.path == sync_log:
            asked[call.thread] = call.data.decode().strip()
        elif call.is_sync:
            yield replace(call, callers=asked.pop(call.thread, ""))
        else:
            yield call


def _numbered(calls: Iterable[Call]) -> Iterator[Call]:
    counts: Counter[tuple[int, str, str]] = Counter()
    for call in calls:
        key = (call.thread, call.name, call.target or call.path)
        counts[key] += 1
        yield replace(call, nth=counts[key])
