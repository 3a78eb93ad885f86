"""Build the library for SHA-NI when modelkeep is installed; without it, hashing uses Python's own `hashlib`.

It is plain C that is loaded by `ctypes`: no header of Python is needed, and one file serves every version. An install
never fails because of it.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "daemon/modelkeep/pipeline/sha256_pair.c"
LIBRARY = "_sha256_pair.so"

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared")

BUILD_SECONDS = 120


class LibraryHook(BuildHookInterface[Any]):
    """Puts the library into the wheel, or beside its source for an editable install."""

    PLUGIN_NAME = "custom"

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library."""
        source = Path(self.root, SOURCE)
        is_editable = version == "editable"
        if not is_editable:
            self._folder = Path(tempfile.mkdtemp(prefix="modelkeep-build-"))
        folder = self._folder or source.parent
        problem = build(source, folder / LIBRARY)
        if problem:
            self.app.display_warning(f"modelkeep: no library for SHA-NI, hashing uses hashlib: {problem}")
        elif not is_editable:
            build_data["force_include"][str(folder / LIBRARY)] = f"modelkeep/pipeline/{LIBRARY}"
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """Remove what was built aside: the wheel has it."""
        if self._folder is not None:
            shutil.rmtree(self._folder)


def build(source: Path, library: Path, *flags: str) -> str:
    """Build the library; returns why that is not possible, else nothing.

    Args:
        source: in C.
        library: to be made; one that is there is replaced, also under processes that use it.
        flags: for the compiler, after our own.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"it is for Linux on x86-64, and this is {platform.system()} on {platform.machine()}"
    problem = "there is no C compiler"
    for compiler in _compilers():
        new = library.with_name(f"{library.name}.new")
        try:
            subprocess.run(  # noqa: S603 - the compiler of this machine
                [*compiler, *FLAGS, *flags, "-o", str(new), str(source)],
                check=True,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
            )
            new.replace(library)
        except subprocess.CalledProcessError as error:
            problem = next(iter(error.stderr.splitlines()), f"{compiler[0]} failed")
        except (OSError, subprocess.TimeoutExpired) as error:
            if not isinstance(error, FileNotFoundError):
                problem = str(error)
        else:
            return ""
    return problem


def _compilers() -> list[list[str]]:
    """Return the command lines to try, in order."""
    named = (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang")
    return [list(command) for command in dict.fromkeys(tuple(shlex.split(str(name))) for name in named if name)]
