"""Build the libraries when modelkeep is installed: without them Python does the same in more time.

They are plain C that is loaded by `ctypes`: no header of Python is needed, and one file serves every version. An
install never fails because of them.
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

SOURCE = "daemon/modelkeep/pipeline/sha256_streams.c"
LIBRARIES = {
    SOURCE: "hashing uses hashlib",
    "daemon/modelkeep/disk/folder_listing.c": "folders are looked through by Python",
}
"""Sources, and what is so without them; each becomes `_NAME.so` beside its source."""

FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-shared")

BUILD_SECONDS = 120

X86_ONLY = (Path(SOURCE).name,)
"""Sources that name instructions of one kind of processor; the others are for any Linux."""


class LibraryHook(BuildHookInterface[Any]):
    """Puts the library into the wheel, or beside its source for an editable install."""

    PLUGIN_NAME = "custom"

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the libraries."""
        is_editable = version == "editable"
        if not is_editable:
            self._folder = Path(tempfile.mkdtemp(prefix="modelkeep-build-"))
        for named, without in LIBRARIES.items():
            source = Path(self.root, named)
            library = (self._folder or source.parent) / f"_{source.stem}.so"
            problem = build(source, library)
            if problem:
                self.app.display_warning(f"modelkeep: no library of {source.name}, {without}: {problem}")
            elif not is_editable:
                inside = source.relative_to(Path(self.root, "daemon")).with_name(library.name)
                build_data["force_include"][str(library)] = str(inside)
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
    if platform.system() != "Linux":
        return f"it is for Linux, and this is {platform.system()}"
    if source.name in X86_ONLY and platform.machine() != "x86_64":
        return f"it is for x86-64, and this is {platform.machine()}"
    problem = "there is no C compiler"
    for compiler in _compilers():
        new = library.with_name(f"{library.name}.{os.getpid()}")  # two installs at once may build it
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
        finally:
            new.unlink(missing_ok=True)
    return problem


def _compilers() -> list[list[str]]:
    """Return the command lines to try, in order."""
    named = (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang")
    return [list(command) for command in dict.fromkeys(tuple(shlex.split(str(name))) for name in named if name)]
