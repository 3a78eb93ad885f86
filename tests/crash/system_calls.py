"""Watch what a life does to its data folder, call by call, by strace."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from tests.crash.job import Job
from tests.crash.living import Nursery
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


@cache
def _why_no_strace() -> str:
    if shutil.which("strace") is None:
        return without("strace")
    tried = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True, text=True)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


def require_strace() -> None:
    """Skip a test where strace is not there or may not trace."""
    reason = _why_no_strace()
    if reason:
        pytest.skip(reason)


def strace(options: Sequence[str], nursery: Nursery, job: Job, log: Path) -> int:
    """Live a job under strace; returns its exit status, negative for a signal.

    The life is a fork that waits until strace has taken hold of it: what it imports is loaded already.
    """
    gate = Path(job.output).with_name("gate")
    os.mkfifo(gate)
    tracing: list[subprocess.Popen[str]] = []

    def take_hold(pid: int) -> None:
        command = ["strace", "-f", "-o", str(log), *options, "-p", str(pid)]
        begun = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        tracing.append(begun)
        assert begun.stderr is not None
        told = begun.stderr.readline()
        gate.write_bytes(b"")
        assert "attached" in told, f"strace has not taken hold of it: {told}"

    try:
        return nursery.live(job.but(gate=str(gate)), take_hold)
    finally:
        for begun in tracing:
            try:
                begun.communicate(timeout=60)
            finally:
                begun.kill()
        gate.unlink()


def trace(nursery: Nursery, job: Job, disturbance: Sequence[str] = ()) -> tuple[int, list[Call]]:
    """Live a job; returns its exit status and all calls that changed something in its folder, or failed to.

    Args:
        nursery: where it is lived.
        job: the life.
        disturbance: options of strace that let calls fail.
    """
    folder = Path(job.output).parent
    log, sync_log = folder / "trace", str(folder / "syncs")
    options = ["-y", "-xx", "-s", "1000000", "-e", f"trace={','.join(CALLS)}", "-e", "signal=none"]
    status = strace([*options, *disturbance], nursery, job.but(sync_log=sync_log), log)
    with log.open(encoding="ascii", errors="replace") as lines:
        calls = list(_numbered(_with_callers(read_calls(lines, str(folder)), sync_log)))
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
