"""ComfyUI's own configuration as roots: `models/`, and what `extra_model_paths.yaml` adds to it.

The file's format, as ComfyUI's loader reads it (https://github.com/comfyanonymous/ComfyUI, utils/extra_config.py):
each section has an optional `base_path` (`~` and `$NAME` expanded, relative to the file's folder), an optional
`is_default`, and any number of `type: path`, where a text of several lines is several paths, relative to `base_path`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modelkeep.domain.naming import Root, suggested_type
from modelkeep.errors import SettingsError
from modelkeep.settings.configuration import absolute

EXTRA_PATHS_FILE = "extra_model_paths.yaml"

_NO_MODEL_FOLDERS = frozenset({"base_path", "is_default", "custom_nodes", "configs", "download_model_base"})
_BELOW_HOME = (
    "ComfyUI",
    "comfyui",
    "comfy/ComfyUI",
    "stable-diffusion/ComfyUI",
    "StabilityMatrix/Packages/ComfyUI",
    "Documents/ComfyUI",
    "AI/ComfyUI",
    "ai/ComfyUI",
    "apps/ComfyUI",
    "git/ComfyUI",
    "projects/ComfyUI",
    "src/ComfyUI",
    "Projects/ComfyUI",
)
_FOR_ALL_USERS = ("/opt/ComfyUI", "/opt/comfyui", "/srv/ComfyUI", "/srv/comfyui")


def comfyui_roots(folder: Path) -> list[Root]:
    """Return the folders in which a ComfyUI looks for models. None of them has to exist.

    Args:
        folder: the ComfyUI folder, absolute.

    Raises:
        SettingsError: its extra_model_paths.yaml cannot be read.
    """
    roots = [Root(str(folder / "models"))]
    for root in _extra_roots(folder / EXTRA_PATHS_FILE):
        if all(root.path != other.path for other in roots):
            roots.append(root)
    return [root for root in roots if not adds_nothing(root, roots)]


def adds_nothing(root: Root, others: Iterable[Root]) -> bool:
    """Return whether the files in a root have the same type by another root around it."""
    around = [other for other in others if other.path != root.path and other.contains(root.path)]
    innermost = max(around, key=lambda other: len(other.path), default=None)
    return innermost is not None and suggested_type(f"{root.path}/any", innermost) == root.type


def find_comfyui(home: Path) -> list[Path]:
    """Return the ComfyUI folders in the usual places.

    Args:
        home: the user's home folder.
    """
    candidates = [*(home / place for place in _BELOW_HOME), *map(Path, _FOR_ALL_USERS)]
    found = {os.path.realpath(folder): folder for folder in reversed(candidates) if _is_comfyui(folder)}
    return [folder for folder in candidates if folder in found.values()]


def _is_comfyui(folder: Path) -> bool:
    return os.path.isdir(folder / "models") and (  # noqa: PTH112 - unlike Path.is_dir it is False without the right
        os.path.isfile(folder / "main.py") or os.path.lexists(folder / EXTRA_PATHS_FILE)  # noqa: PTH113 - likewise
    )


def _extra_roots(path: Path) -> Iterator[Root]:
    for name, section in _read_sections(path).items():
        if section is None:
            continue
        if not isinstance(section, Mapping):
            raise SettingsError(f"{path}: section {name!r} has to hold lines like  checkpoints: models/checkpoints.")
        base = absolute(os.path.expandvars(_text(section.get("base_path") or "", path, "base_path")), path.parent)
        for type_, value in section.items():
            if type_ not in _NO_MODEL_FOLDERS:
                for line in _lines(value, path, str(type_)):
                    yield Root(str(absolute(os.path.expandvars(line), base)), type=str(type_))


def _read_sections(path: Path) -> Mapping[object, object]:
    import yaml  # only those who have a ComfyUI need it

    try:
        content = yaml.safe_load(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path}: it cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date that is none. The parser's own words take many lines; the place is what is needed.
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise SettingsError(f"{path}: it is not valid YAML{place}.") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise SettingsError(
            f"{path}: it has to hold sections, each with lines like  checkpoints: models/checkpoints."
        )
    return content


def _lines(value: object, path: Path, key: str) -> list[str]:
    if value is None:
        return []
    texts = value if isinstance(value, list) else _text(value, path, key).split("\n")
    return [line for line in (_text(text, path, key).strip() for text in texts) if line]


def _text(value: object, path: Path, key: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise SettingsError(f"{path}: {key} has to be a path, or several, one a line.")
    return value
