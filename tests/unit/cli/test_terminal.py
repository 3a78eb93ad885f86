"""Every command that reads, as a person gets it at 80 columns, and as a program gets it through a pipe."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from modelkeep.cli.app import app
from modelkeep.dev.demo import make_demo

WAITING = "badhand_v4.pt"
"""A file of the demo; in a command, the number of its row."""

COMMANDS = [
    ["status"],
    ["models", "list"],
    ["models", "find", "flux"],
    ["models", "show", "flux1-dev-Q4_K_S.gguf"],
    ["pending", "list"],
    ["pending", "show", WAITING],
    ["duplicates"],
    ["tags", "list"],
    ["journal"],
    ["journal", "--model", "flux1"],
    ["doctor"],
]
_STYLE = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a demo library that was imported, and that no daemon has hashed."""
    folder = tmp_path_factory.mktemp("demo")
    demo = make_demo(folder / "library")
    made = folder / "modelkeep.toml"
    made.write_text(f'data_dir = "state"\n[[roots]]\npath = "{demo.models}"\n[api]\nport = 0\nsocket = "s"\n')
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MODELKEEP_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "COLUMNS", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        imported = CliRunner().invoke(app, ["--config", str(made), "import", "hikaze", str(demo.database)])
    assert imported.exit_code == 0, imported.output
    return made


@cache
def number_of_waiting(config: Path) -> str:
    listed = json.loads(CliRunner().invoke(app, ["--config", str(config), "pending", "list", "--json"]).stdout)
    (found,) = (row["id"] for row in listed if Path(row["path"]).name == WAITING)
    return str(found)


def run(config: Path, words: list[str], **environment: str) -> Result:
    named = [number_of_waiting(config) if word == WAITING else word for word in words]
    result = CliRunner().invoke(app, ["--config", str(config), *named], env=environment)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_terminal_of_80_columns_is_not_exceeded_and_no_colour_is_used_where_none_is_wanted(
    config: Path, words: list[str]
) -> None:
    shown = run(config, words, FORCE_COLOR="1", NO_COLOR="1", COLUMNS="80", TERM="xterm").stdout

    codes = {code for codes in _STYLE.findall(shown) for code in codes.split(";")}
    assert codes <= {"", "0", "1", "2", "4"}  # bold, dim and underlined are no colours
    too_long = [line for line in _STYLE.sub("", shown).splitlines() if cell_len(line) > 80]
    # A command line to copy is not broken, nor is a folder, which is as long as those that the tests are run in.
    assert [line for line in too_long if "modelkeep" not in line and not line.startswith("in /")] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_pipe_gets_plain_lines_without_spaces_at_their_ends(config: Path, words: list[str]) -> None:
    shown = run(config, words).stdout

    assert "\x1b" not in shown
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("words", [words for words in COMMANDS if words != ["journal"]], ids=" ".join)
def test_a_program_gets_json(config: Path, words: list[str]) -> None:
    assert run(config, [*words, "--json"]).stdout.startswith(("{", "["))
