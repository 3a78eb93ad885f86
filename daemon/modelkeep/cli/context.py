"""What stands before the command: the options that every command shares, and the settings that follow from them."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelkeep.dev.place import demo_folder, is_demo, models_of_demo

if TYPE_CHECKING:
    from modelkeep.settings.model import Settings

ROW_ID_MAX = 2**63 - 1
"""The largest number that a row can have."""

_LIMIT_MAX = 1_000_000_000

_PROGRAM = "modelkeep"


def _possible_limit(limit: int | None) -> int | None:
    if limit is not None and not 0 <= limit <= _LIMIT_MAX:
        raise typer.BadParameter(f"it is a number from 0 to {_LIMIT_MAX:,}")
    return limit


Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", callback=_possible_limit, help="At most so many; 0 = all (with --json the default)."
    ),
]
LastOnly = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", callback=_possible_limit, help="Only the last N; 0 = all. A terminal gets 100."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]


@dataclass
class Invocation:
    """One call of the program; the settings are read when a command first asks for them."""

    config: Path | None = None
    data_dir: Path | None = None
    dev: bool = False
    overrides: dict[str, object] = field(default_factory=dict)
    shows_demo: bool = False
    """Whether no root is configured and the demo library in the data folder stands in; known with the settings."""

    @cached_property
    def settings(self) -> "Settings":
        """The configuration as it is after all sources have been heard.

        Raises:
            SettingsError: an unknown key or a bad value, named.
        """
        from modelkeep.settings.model import load_settings

        def loaded(overrides: dict[str, object]) -> "Settings":
            # `--dev` can only turn it on: its absence leaves the choice to the environment and the file.
            return load_settings(self.config, data_dir=self.data_dir, dev=self.dev or None, overrides=overrides)

        settings = loaded(self.overrides)
        demo = demo_folder(settings.data_dir)
        # What `make run` without a root has filled the data folder from stays its root.
        self.shows_demo = not (settings.roots or settings.comfyui) and is_demo(demo)
        return (
            loaded({**self.overrides, "roots": [{"path": str(models_of_demo(demo))}]})
            if self.shows_demo
            else settings
        )

    def command(self, *words: str) -> str:
        """Return a command line for the user to type that means the same configuration as this call does."""
        options = []
        if self.config is not None:
            options += ["--config", str(self.config)]
        if self.data_dir is not None:
            options += ["--data-dir", str(self.data_dir)]
        return " ".join([_program(), *map(self.quoted, options), *words])

    @staticmethod
    def quoted(word: str) -> str:
        """Return a word as a shell wants it."""
        return shlex.quote(word)


def invocation(context: typer.Context) -> Invocation:
    """Return the call that a command belongs to."""
    found = context.find_object(Invocation)
    assert found is not None, "the root callback makes it"  # noqa: S101 - a fact of app.py, not of the input
    return found


def _program() -> str:
    """Return how this program can be called from the current folder."""
    called = sys.argv[0]
    if Path(called).name != _PROGRAM or shutil.which(_PROGRAM) in (called, os.path.abspath(called)):  # noqa: PTH100
        return _PROGRAM
    return shlex.quote(os.path.relpath(called) if Path(called).is_relative_to(Path.cwd()) else called)
