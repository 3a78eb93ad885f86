import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

Cli = Callable[..., Result]
SHA = "ab" * 32


def test_hashes_are_printed_as_sha256sum_prints_them(cli: Cli, daemon: Any, tmp_path: Path) -> None:
    daemon.answer("POST", "/api/models/sha256", {"sha256": SHA})

    result = cli("hash", "a.ckpt", str(tmp_path / "x" / ".." / "b.ckpt"))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"{SHA}  a.ckpt", f"{SHA}  {tmp_path}/x/../b.ckpt"]
    asked = sorted(body["path"] for _, _, body in daemon.asked)
    assert asked == sorted([str(Path("a.ckpt").absolute()), str(tmp_path / "b.ckpt")])
    assert {body["pending_status"] for _, _, body in daemon.asked} == {"ignore"}


def test_what_goes_through_a_pipe_is_taken_by_sha256sum_whatever_the_names(
    cli: Cli, daemon: Any, tmp_path: Path
) -> None:
    daemon.answer("POST", "/api/models/sha256", {"sha256": hashlib.sha256(b"").hexdigest()})
    names = (b"plain.pt", b"two\nlines.pt", b"back\\slash.pt", b"return\r.pt", b"latin\xe9.pt", b"esc\x1b[31m.pt")
    paths = [tmp_path / os.fsdecode(name) for name in names]
    for path in paths:
        path.touch()

    result = cli("hash", *map(str, paths))
    checked = subprocess.run(["sha256sum", "-c"], input=result.stdout_bytes, capture_output=True, timeout=60)

    assert checked.stderr == b""
    assert checked.stdout.count(b": OK") == len(names)


def test_file_outside_the_roots_is_named_and_the_others_are_hashed(cli: Cli, daemon: Any) -> None:
    daemon.answer("POST", "/api/models/sha256", {"error": "that path lies in none of the roots"}, 403)

    result = cli("hash", "/etc/passwd", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"path": "/etc/passwd", "error": "/etc/passwd: that path lies in none of the roots"}
    ]
    assert "/etc/passwd: that path lies in none of the roots" in result.stderr


def test_hashing_without_a_daemon_exits_with_three(cli: Cli) -> None:
    assert cli("hash", "a.ckpt").exit_code == 3
