"""Programs that some tests need and a machine may lack, and the package that has each."""

import shutil

import pytest

PACKAGES = {
    "aria2c": "aria2",
    "chromium": "chromium",
    "curl": "curl",
    "faketime": "faketime",
    "fish": "fish",
    "lnav": "lnav",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "node": "nodejs",
    "rsync": "rsync",
    "setpriv": "util-linux",
    "strace": "strace",
    "zsh": "zsh",
}
"""By the name of the program, as Debian and Ubuntu call the packages."""


def without(*programs: str) -> str:
    """Return why a test skips that needs these programs: which are not there, and what to install."""
    packages = sorted({PACKAGES.get(program, program) for program in programs})
    return f"needs {' and '.join(programs)}: apt install {' '.join(packages)}"


def lacking(*programs: str) -> list[str]:
    """Return those of the programs that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def needs(*programs: str) -> pytest.MarkDecorator:
    """Mark a test that skips where one of these programs is not installed."""
    return pytest.mark.skipif(bool(lacking(*programs)), reason=without(*(lacking(*programs) or programs)))
