"""Where a demo library lies that a data folder was filled from."""

from pathlib import Path

MARKER = ".modelkeep-demo"
"""Written last: a folder that has it is a whole demo library."""


def demo_folder(data_dir: Path) -> Path:
    """Return where `make run` puts the demo library of a data folder."""
    return data_dir / "demo"


def models_of_demo(folder: Path) -> Path:
    """Return the folder of a demo library's models."""
    return folder / "models"


def is_demo(folder: Path) -> bool:
    """Return whether a folder is a whole demo library."""
    return (folder / MARKER).is_file()
