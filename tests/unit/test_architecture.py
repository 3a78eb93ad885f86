"""The source tour leads to what is there."""

import re
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "daemon" / "modelkeep"
TEXT = (TOP / "ARCHITECTURE.md").read_text("utf-8")

MODULES = sorted(set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)\b", TEXT)))
FOLDERS = re.findall(r"^\| `([a-z]+/)` \| (.*) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("tests/")])
def test_a_module_that_the_tour_names_is_there(module: str) -> None:
    assert (PACKAGE / module).is_file()


@pytest.mark.parametrize(("folder", "what"), FOLDERS)
def test_a_folder_holds_what_the_tour_says(folder: str, what: str) -> None:
    names = re.findall(r"`([a-z_]+)`", what)
    assert [name for name in names if not (PACKAGE / folder / f"{name}.py").is_file()] == []


def test_every_folder_of_the_package_is_in_the_tour() -> None:
    there = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert {folder for folder, _ in FOLDERS} == there


def test_the_arrow_line_is_what_the_linter_keeps() -> None:
    arrow = re.search(r"`(cli → [^`]*)`", TEXT)
    assert arrow is not None
    layers = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    assert arrow[1].split() == " → ".join(layers).replace("modelkeep.", "").split()


def test_the_glossary_is_short() -> None:
    glossary = TEXT[TEXT.index("## Words") : TEXT.index("## Where a change goes")]
    assert len([line for line in glossary.splitlines() if line.startswith("| ")]) <= 20 + 2


def test_few_modules_lie_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 5
