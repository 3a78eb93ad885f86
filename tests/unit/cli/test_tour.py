import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modelkeep.cli.exits import WrongUse
from modelkeep.cli.tour import plan_from
from modelkeep.cli.tour_watch import Quiet

MakeLegacy = Callable[[Path, list[str]], Path]

EMPTY = {"ROOT": "", "LEGACY": "", "IMAGES": "", "MAP": "", "DATA_DIR": ""}


def status(**pending: int) -> dict[str, Any]:
    counts = {"waiting": 0, "hashing": 0, "conflict": 0, "failed": 0, "missing": 0, **pending}
    return {"state": "running", "models": 1, "pending": counts, "locations": {}, "hashing": {"active": []}}


def test_an_empty_environment_asks_for_nothing() -> None:
    plan = plan_from(EMPTY)

    assert (plan.roots, plan.legacy, plan.images, plan.path_map, plan.data_dir) == ((), None, None, (), None)


def test_the_environment_is_read_with_relative_paths_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two", "images"):
        (tmp_path / name).mkdir()
    (tmp_path / "old.db").write_bytes(b"")

    plan = plan_from({"ROOT": "one:two", "LEGACY": "old.db", "IMAGES": "images", "MAP": "D:\\x=two", "DATA_DIR": "d"})

    assert plan.roots == (tmp_path / "one", tmp_path / "two")
    assert plan.legacy == tmp_path / "old.db"
    assert plan.images == tmp_path / "images"
    assert plan.path_map == (("D:\\x", str(tmp_path / "two")),)
    assert plan.data_dir == tmp_path / "d"


@pytest.mark.parametrize("name", ["ROOT", "LEGACY", "IMAGES", "MAP"])
def test_what_does_not_exist_or_fit_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=name if name != "MAP" else "--map"):
        plan_from({**EMPTY, name: str(tmp_path / "gone")})


def test_an_empty_queue_counts_only_after_files_had_time_to_settle() -> None:
    quiet = Quiet(settled_seconds=3.0, stuck_seconds=20.0)

    assert not quiet.is_reached(status(), 0.0)
    assert not quiet.is_reached(status(waiting=1), 2.0)
    assert not quiet.is_reached(status(), 3.0)
    assert not quiet.is_reached(status(), 5.9)
    assert quiet.is_reached(status(), 6.0)


def test_a_queue_that_does_not_move_is_given_up_on_at_last() -> None:
    quiet = Quiet(settled_seconds=3.0, stuck_seconds=20.0)

    assert not quiet.is_reached(status(waiting=1), 0.0)
    assert not quiet.is_reached(status(waiting=1), 19.9)
    assert quiet.is_reached(status(waiting=1), 20.0)


def test_a_daemon_that_is_starting_is_not_done() -> None:
    quiet = Quiet(settled_seconds=3.0, stuck_seconds=20.0)
    starting = {**status(), "state": "starting"}

    assert not quiet.is_reached(starting, 0.0)
    assert not quiet.is_reached(starting, 10.0)


@contextmanager
def touring(tmp_path: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    given = {
        **os.environ,
        **EMPTY,
        "MODELKEEP_API__PORT": "0",
        "MODELKEEP_WATCH__SETTLE_SECONDS": "0.2",
        **environment,
    }
    # Without a configuration of its own it would read that of the checkout.
    config = tmp_path / "none.toml"
    config.write_text("")
    command = [sys.executable, "-m", "modelkeep", "--config", str(config), "dev", "tour"]
    with subprocess.Popen(
        command, env=given, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Return what was written up to the line that holds a text, or to the end."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            break
    return "".join(lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_tour_of_a_library_imports_hashes_sums_up_and_stops_when_asked(
    tmp_path: Path, make_legacy: MakeLegacy, number: signal.Signals
) -> None:
    root = tmp_path / "models"
    for name in ("a.ckpt", "b.ckpt"):
        (root / "loras").mkdir(parents=True, exist_ok=True)
        (root / "loras" / name).write_bytes(name.encode() * 100)
    legacy = make_legacy(tmp_path / "old.sqlite3", ["/elsewhere/loras/a.ckpt", "/elsewhere/loras/gone.ckpt"])

    with touring(tmp_path, ROOT=str(root), LEGACY=str(legacy), DATA_DIR=str(tmp_path / "data")) as process:
        written = read_until(process, "Ctrl-C stops it")
        process.send_signal(number)
        _, complaints = process.communicate(timeout=60)

    assert process.returncode == 0, complaints
    assert f"MAP=/elsewhere={root}" in written
    assert "Imported from" in written
    assert re.search(r"ready at http://127\.0\.0\.1:\d+", written)
    assert "2 models" in written
    assert "gone.ckpt" in written
    assert "models list" in written
    assert "\x1b" not in written
    assert "Traceback" not in complaints


def test_a_tour_that_is_stopped_at_any_moment_ends_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with touring(tmp_path, ROOT=str(tmp_path / "models"), DATA_DIR=str(tmp_path / "data")) as process:
        read_until(process, "Run the daemon")
        process.terminate()
        _, complaints = process.communicate(timeout=60)

    # Python ends by the signal after all when that came while a module ran text by exec(); a shell says 130 of both.
    assert process.returncode in (0, 130, -signal.SIGINT), complaints
    assert "Traceback" not in complaints


def test_a_legacy_database_without_the_folder_of_its_models_is_wrong_use(
    tmp_path: Path, make_legacy: MakeLegacy
) -> None:
    legacy = make_legacy(tmp_path / "old.sqlite3", ["/elsewhere/a.ckpt"])

    with touring(tmp_path, LEGACY=str(legacy), DATA_DIR=str(tmp_path / "data")) as process:
        written, complaints = process.communicate(timeout=60)

    assert (process.returncode, written) == (2, "")
    assert "ROOT" in complaints


def test_with_nothing_given_and_nothing_configured_there_is_a_demo(tmp_path: Path) -> None:
    with touring(tmp_path, DATA_DIR=str(tmp_path / "data")) as process:
        written = read_until(process, "Ctrl-C stops it")
        process.terminate()
        _, complaints = process.communicate(timeout=60)

    assert process.returncode == 0, complaints
    assert (tmp_path / "data" / "demo" / "models").is_dir()
    assert "One conflict" in written
    assert "≠" in written
