import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from modelkeep import __version__, errors
from modelkeep.cli.app import app
from modelkeep.cli.exits import DaemonNotRunning, Status, WrongUse, complain, status_of

Cli = Callable[..., Result]
HEAVY = {"fastapi", "uvicorn", "sqlalchemy", "alembic", "PIL", "httpx", "pydantic", "structlog", "watchdog", "yaml"}


def run_program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "modelkeep", *arguments], capture_output=True, timeout=60, **options)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (WrongUse("x"), 2),
        (errors.SettingsError("x"), 2),
        (DaemonNotRunning("x"), 3),
        (errors.DaemonError("x"), 1),
        (errors.NotFound("x"), 4),
        (errors.Conflict("x"), 5),
        (errors.Busy("x"), 5),
        (errors.Outdated("x"), 5),
        (errors.FileChanged("x"), 5),
        (errors.FileVanished("x"), 1),
        (errors.SourceError("x"), 1),
        (errors.DataDirectoryBusy("x"), 1),
    ],
)
def test_every_kind_of_error_has_its_exit_status(error: errors.ModelkeepError, status: int) -> None:
    assert status_of(error) == status


def test_several_problems_stand_on_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first\nsecond \x1b[2J")

    assert capsys.readouterr().err == "modelkeep: first\nmodelkeep: second \\x1b[2J\n"


def test_version_is_printed_alone() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout) == (0, f"modelkeep {__version__}\n")


COMMANDS = (
    "run init import export status page journal pending models tags tag hash duplicates scan pause resume doctor"
    " service dev"
)


def test_help_names_every_command_in_lines_that_fit_a_terminal() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"})

    assert result.exit_code == 0
    for command in COMMANDS.split():
        assert f"  {command} " in result.stdout
    assert "..." not in result.stdout.partition("Set up:")[2]  # no sentence is cut off


def _every_command(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _every_command(command, *words, name)
        else:
            yield (*words, name), command


@pytest.mark.parametrize("words", [words for words, _ in _every_command(typer.main.get_command(app))], ids=" ".join)
def test_help_of_every_command_ends_with_examples_that_call_it(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})

    examples = [line.strip() for line in result.stdout.partition("Examples:\n")[2].splitlines()]
    assert any(f" {' '.join(words)}" in line for line in examples), result.stdout
    assert all(line.startswith("modelkeep ") for line in examples if line)
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["pending"], ["--nonsense"], ["models", "show"]])
def test_wrong_use_exits_with_two_and_writes_nothing_on_standard_output(arguments: list[str]) -> None:
    done = run_program(*arguments)

    assert done.returncode == Status.WRONG_USE
    assert b"Traceback" not in done.stderr


def test_help_loads_none_of_the_heavy_libraries() -> None:
    script = (
        "import sys\n"
        "from modelkeep.cli.app import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert done.stderr == "[]\n"


def test_a_bad_configuration_is_named_in_one_line_without_a_traceback(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("prot = 1\n")

    result = CliRunner().invoke(app, ["--config", str(bad), "status"])

    assert result.exit_code == Status.WRONG_USE
    assert result.stdout == ""
    assert result.stderr.startswith("modelkeep: ")
    assert "prot" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_the_system_refuses_is_one_line_that_names_the_file(cli: Cli, config: Path) -> None:
    (config.parent / "file").write_text("")

    result = CliRunner().invoke(
        app, ["--config", str(config.parent / "file" / "new.toml"), "init", "--root", str(config.parent / "models")]
    )

    assert result.exit_code == Status.FAILED
    assert result.stderr == f"modelkeep: {config.parent / 'file'}: {os.strerror(17)}\n"


def test_a_full_disk_is_reported_and_not_taken_for_success(config: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "modelkeep", "--config", str(config), "journal"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
        )

    assert done.returncode == Status.FAILED
    assert done.stderr.decode() == f"modelkeep: {os.strerror(28)}\n"
