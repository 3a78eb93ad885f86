"""`modelkeep doctor` as a person and as a program see it; what it finds is tested with its checks."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from modelkeep.cli.doctor import show
from modelkeep.cli.output import PlainConsole
from modelkeep.doctor.examination import examine
from modelkeep.settings.model import load_settings

Cli = Callable[..., Result]


@pytest.fixture
def data(cli: Cli, tmp_path: Path, make_legacy: Callable[[Path, list[str]], Path]) -> Path:
    """A data folder in which one row waits."""
    legacy = make_legacy(tmp_path / "old.sqlite3", [str(tmp_path / "models" / "a.ckpt")])
    assert cli("import", "hikaze", str(legacy)).exit_code == 0
    return tmp_path / "data"


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_nothing_wrong_ends_with_zero_and_counts(cli: Cli, data: Path) -> None:
    result = cli("doctor")

    assert result.exit_code == 0, result.output
    assert "✓ queue: 1 row, all in order\n" in result.stdout
    assert "✗" not in result.stdout
    assert result.stdout.splitlines()[-1].endswith(" fine, 1 note") or " notes" in result.stdout.splitlines()[-1]


def test_something_wrong_ends_with_one_and_says_what_to_do(cli: Cli, config: Path, data: Path) -> None:
    (data / "images" / "stray.webp").touch()

    result = cli("doctor")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("✗ images: "))
    assert "stray.webp" in lines[place]
    assert lines[place + 1].startswith("    `modelkeep doctor --repair` moves them")
    assert lines[-1] == f"modelkeep --config {config} doctor --repair   repairs 1 of them, with the daemon off"
    assert lines[-2].endswith("1 problem")


def test_a_program_gets_every_finding_with_all_its_fields(cli: Cli, data: Path) -> None:
    fine = document(cli("doctor", "--json"))
    (data / "images" / ".staging" / "half.webp").touch()
    result = cli("doctor", "--json")
    wrong = document(result)

    assert fine["ok"] is True
    assert (wrong["ok"], result.exit_code) == (False, 1)
    (finding,) = [one for one in wrong["findings"] if one["severity"] in ("warning", "problem")]
    assert finding.keys() == {"check", "severity", "sentence", "remedy", "repairable"}
    assert (finding["check"], finding["severity"], finding["repairable"]) == ("leftovers", "warning", True)


def test_a_repair_says_what_it_did_and_ends_with_zero(cli: Cli, data: Path) -> None:
    (data / "images" / "stray.webp").touch()

    result = cli("doctor", "--repair")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("✓ repaired: moved images/stray.webp to images/lost+found/stray.webp\n")
    records = [
        json.loads(line) for line in cli("journal", "--event", "doctor.repaired", "--json").stdout.splitlines()
    ]
    assert [record["file"] for record in records] == ["stray.webp"]
    assert "nothing had to be repaired" in cli("doctor", "--repair").stdout


def test_a_repair_tells_programs_what_it_did(cli: Cli, data: Path) -> None:
    (data / "images" / "stray.webp").touch()

    found = document(cli("doctor", "--repair", "--json"))

    assert found["repaired"] == ["moved images/stray.webp to images/lost+found/stray.webp"]
    assert (found["ok"], found["not_repaired"]) == (True, [])


def test_a_repair_while_somebody_is_at_work_names_who(cli: Cli, data: Path) -> None:
    from modelkeep.disk.data_directory import DataDirectory

    directory = DataDirectory(data)
    directory.lock("modelkeep run")
    try:
        repair, look = cli("doctor", "--repair"), cli("doctor")
    finally:
        directory.unlock()

    assert repair.exit_code == 1
    assert "modelkeep run (process" in repair.stderr
    assert look.exit_code == 0
    assert "modelkeep run (process" in look.stdout


def test_a_damaged_catalogue_is_told_in_both_ways_without_a_traceback(cli: Cli, data: Path) -> None:
    (data / "modelkeep.db").write_bytes(b"no database at all" * 1000)

    look, repair = cli("doctor"), cli("doctor", "--repair")

    assert (look.exit_code, repair.exit_code) == (1, 1)
    assert "✗ catalogue: " in look.stdout
    assert "nothing was repaired" in repair.stderr
    assert "Traceback" not in look.output + repair.output


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(cli: Cli, config: Path) -> None:
    before = sorted(config.parent.rglob("*"))

    assert cli("doctor").exit_code == 0
    assert cli("doctor", "--repair").exit_code == 0
    assert sorted(config.parent.rglob("*")) == before


def test_a_terminal_that_knows_only_ascii_gets_signs_of_its_own(config: Path, data: Path) -> None:
    stray = data / "images" / os.fsdecode(b"\xff.webp")
    stray.touch()
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "modelkeep", "--config", str(config), "doctor"]

    done = subprocess.run(command, capture_output=True, env=environment, timeout=60)

    assert done.returncode == 1
    assert done.stdout.isascii()
    lines = done.stdout.decode().splitlines()
    assert "+ settings: " in done.stdout.decode()
    assert any(line.startswith("x images: ") for line in lines)
    assert "\\xff.webp" in done.stdout.decode()


def test_further_lines_stand_below_the_first_on_a_narrow_terminal(cli: Cli, data: Path) -> None:
    examination = examine(load_settings(data.parent / "modelkeep.toml"))
    written = io.StringIO()

    show(examination.findings, None, "", PlainConsole(file=written, width=40))

    lines = written.getvalue().splitlines()
    assert len(lines) > len(examination.findings)
    assert all(line[0] in "✓·!" or line.startswith("  ") for line in lines[:-1])
    assert all(len(line) <= 40 for line in lines if "/" not in line)
