"""Shell completion, in the shells themselves where they are installed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.programs import needs

_ASK: Mapping[str, str] = {
    "bash": 'source "$1"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); '
    '_modelkeep_completion modelkeep; printf "%s\\n" "${COMPREPLY[@]}"',
    # What zsh would offer is what the program has it call `_arguments` with.
    "zsh": "compdef() { :; }; _arguments() { print -rl -- $@; }; source $1; words=(${=2}); CURRENT=$#words; "
    "_modelkeep_completion",
    "fish": 'source $argv[1]; complete -C "$argv[2]"',
}
_CALL = {"bash": ["bash", "-c", _ASK["bash"], "bash"], "zsh": ["zsh", "-f", "-c", _ASK["zsh"], "zsh"]}
_CALL["fish"] = ["fish", "--no-config", "-c", _ASK["fish"]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A program called modelkeep on the PATH."""
    program = tmp_path / "bin" / "modelkeep"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m modelkeep "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    "shell", ["bash", pytest.param("zsh", marks=needs("zsh")), pytest.param("fish", marks=needs("fish"))]
)
def test_commands_and_the_values_of_options_are_completed(
    shell: str, environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "completion"
    shown = subprocess.run(
        ["modelkeep", "--show-completion", shell],
        env={**environment, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        check=True,
        capture_output=True,
        timeout=60,
    )
    script.write_bytes(shown.stdout)

    def offered(line: str) -> str:
        asked = [*_CALL[shell], str(script), line]
        done = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout

    assert "pending" in offered("modelkeep pend")
    values = offered("modelkeep pending resolve 1 --strategy m")
    assert "merge" in values
    assert "override" not in values
