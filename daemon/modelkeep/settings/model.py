"""The settings as one value, and where each of them comes from.

The order is: command line, `MODELKEEP_…` environment variables, one configuration file, defaults.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from modelkeep.base.patience import within
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.domain.naming import Root
from modelkeep.errors import SettingsError
from modelkeep.settings.comfyui import adds_nothing, comfyui_roots
from modelkeep.settings.configuration import (
    CONFIG_VARIABLE,
    ConfigurationFile,
    absolute,
    configuration_text,
    current_folder,
    default_configuration_text,
    default_data_dir,
    leaves_data_dir_to_systemd,
    read_configuration,
    user_configuration_path,
)
from modelkeep.settings.problems import CROSS_CHECK, Source, all_keys, sentences, unknown_variables, variable_of
from modelkeep.settings.tables import (
    ApiSettings,
    Folder,
    FolderOrEmpty,
    HashingSettings,
    JournalSettings,
    MigrationSettings,
    RootSettings,
    SidecarSettings,
    SweepSettings,
    WatchSettings,
)

__all__ = [
    "ApiSettings",
    "HashingSettings",
    "JournalSettings",
    "MigrationSettings",
    "RootSettings",
    "Settings",
    "SweepSettings",
    "WatchSettings",
    "configuration_text",
    "default_configuration_text",
    "load_settings",
    "user_configuration_path",
]

DEMO_FOLDER = "demo"
"""Where in the data folder the demo library lies; nothing else is kept there, so a root may be in it."""

_RESOLVE_SECONDS = 2.0
"""How long the disk of a root may take to tell where links lead."""

_SOCKET_NAME = "modelkeep.sock"
_SOCKET_BYTES_MAX = 100
"""Longer paths are avoided: the kernel takes 107 bytes, and a container or a link may make them longer."""


class Settings(BaseSettings):
    """Every option. Made directly, it takes only what it is given; `load_settings` listens to all sources."""

    model_config = SettingsConfigDict(env_prefix="MODELKEEP_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data_dir: Folder = Field(description="the path of a folder")
    comfyui: FolderOrEmpty = Field(default="", description="the path of a folder, or empty")
    dev: bool = Field(default=False, description="true or false")
    roots: tuple[RootSettings, ...] = Field(default=(), description="blocks [[roots]], each with a path")
    api: ApiSettings = Field(default=ApiSettings(), description="a table [api]")
    watch: WatchSettings = Field(default=WatchSettings(), description="a table [watch]")
    hashing: HashingSettings = Field(default=HashingSettings(), description="a table [hashing]")
    migration: MigrationSettings = Field(default=MigrationSettings(), description="a table [migration]")
    sidecars: SidecarSettings = Field(default=SidecarSettings(), description="a table [sidecars]")
    sweep: SweepSettings = Field(default=SweepSettings(), description="a table [sweep]")
    journal: JournalSettings = Field(default=JournalSettings(), description="a table [journal]")

    _config_file: Path | None = PrivateAttr(None)
    _reload: Callable[[], "Settings"] | None = PrivateAttr(None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Listen to nothing but the constructor's arguments."""
        return (init_settings,)

    @property
    def config_file(self) -> Path | None:
        """The configuration file that was read, None when there was none."""
        return self._config_file

    def reloaded(self) -> "Settings":
        """Return the settings as all sources give them now, asked in the same way.

        Raises:
            SettingsError: one line for each unknown key, unknown variable or bad value.
        """
        return self._reload() if self._reload is not None else self

    @property
    def import_folders(self) -> tuple[Path, ...]:
        """Folders from which programs without the token may have old databases imported."""
        # Only ComfyUI's plugins, where old managers live: what its own pages upload must not be taken for a database.
        return (*self.api.import_folders, *([Path(self.comfyui) / "custom_nodes"] if self.comfyui else []))

    @property
    def socket_path(self) -> Path | None:
        """Where the unix socket is, None when there shall be none."""
        if self.api.socket != "auto":
            return Path(self.api.socket) if self.api.socket else None
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        path = Path(runtime or self.data_dir) / _SOCKET_NAME
        if len(os.fsencode(path)) <= _SOCKET_BYTES_MAX:
            return path
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        shorter = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 - the socket itself is mode 0600
        return Path(shorter) / f"modelkeep-{digest}.sock"

    def model_roots(self) -> list[Root]:
        """Return the configured roots and those of ComfyUI that say something new, links not resolved.

        Raises:
            SettingsError: ComfyUI's extra_model_paths.yaml cannot be read, or leads to the data folder.
        """
        roots = [Root(str(root.path), root.type) for root in self.roots]
        for root in comfyui_roots(Path(self.comfyui)) if self.comfyui else []:
            if any(root.path == other.path for other in roots) or adds_nothing(root, roots):
                continue
            if _overlap(Path(root.path), self.data_dir):
                raise SettingsError(f"comfyui = {self.comfyui!r}: {_overlap_sentence(root.path, self.data_dir)}.")
            roots.append(root)
        return roots

    @model_validator(mode="after")
    def _check_roots(self) -> Self:
        seen: set[Path] = set()
        for number, root in enumerate(self.roots):
            sentence = ""
            if root.path in seen:
                sentence = f"{str(root.path)!r} is a root already; name it once"
            elif _overlap(root.path, self.data_dir) and not root.path.is_relative_to(self.data_dir / DEMO_FOLDER):
                sentence = _overlap_sentence(str(root.path), self.data_dir)
            if sentence:
                key = f"roots.{number}.path"
                raise PydanticCustomError(CROSS_CHECK, "{sentence}", {"key": key, "sentence": sentence})
            seen.add(root.path)
        return self


def load_settings(
    config_file: Path | None = None,
    *,
    data_dir: Path | None = None,
    dev: bool | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings after all sources have been heard.

    Args:
        config_file: the file that `--config` names.
        data_dir: the folder that `--data-dir` names, relative to the current one.
        dev: whether `--dev` was given; None leaves it to the other sources.
        overrides: any other values that win over all sources, nested like the file (`{"api": {"port": 0}}`).

    Raises:
        SettingsError: one line for each unknown key, unknown variable or bad value.
    """
    file = read_configuration(config_file)
    sources = [_command_line(data_dir, dev, overrides or {}), _environment(), _file_source(file)]
    values: dict[str, Any] = {}
    for source in reversed(sources):
        values = _merged(values, source.values)
    if "data_dir" not in values:
        values["data_dir"] = default_data_dir()
    problems = unknown_variables(os.environ, Settings, [CONFIG_VARIABLE])
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join([*problems, *sentences(error, Settings, sources)])) from None
    if problems:
        raise SettingsError("\n".join(problems))
    settings._config_file = file.path
    settings._reload = lambda: load_settings(config_file, data_dir=data_dir, dev=dev, overrides=overrides)
    return settings


def _resolved(root: Path) -> Path:
    """Return a root with its links resolved; as it is when its disk does not answer."""
    return Path(within(_RESOLVE_SECONDS, lambda: os.path.realpath(root), str(root)))


class _Environment(EnvSettingsSource):
    """Lets a value that is no JSON through: the field then says what it would have taken."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return value


def _command_line(data_dir: Path | None, dev: bool | None, overrides: Mapping[str, object]) -> Source:
    given = {key: value for key, value in (("data_dir", data_dir), ("dev", dev)) if value is not None}
    return Source("the command line", _anchored({**overrides, **given}, current_folder()))


def _environment() -> Source:
    prefix = str(Settings.model_config["env_prefix"])
    actual = {name.upper(): name for name in os.environ}
    named = {key: actual.get(variable_of(key, prefix)) for key in all_keys(Settings)}
    variables = {key: f"${name}" for key, name in named.items() if name is not None}
    environment = _Environment(Settings)
    # What stands for no key is told by its own name, and shall not come up once more as a key.
    known = {name.lower() for name in named.values() if name is not None}
    environment.env_vars = {name: value for name, value in environment.env_vars.items() if name in known}
    return Source("the environment", _anchored(environment(), current_folder()), variables)


def _file_source(file: ConfigurationFile) -> Source:
    values = dict(file.values)
    if leaves_data_dir_to_systemd(file):
        del values["data_dir"]
    return Source(str(file.path or "no file"), _anchored(values, file.base))


def _anchored(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return values with their paths made absolute; what is no path at all is left for the checks to refuse."""
    anchored = {**values, **_anchored_key(values, "data_dir", base), **_anchored_key(values, "comfyui", base)}
    roots, api = values.get("roots"), values.get("api")
    if isinstance(roots, list | tuple):
        anchored["roots"] = [
            {**root, **_anchored_key(root, "path", base)} if isinstance(root, Mapping) else root for root in roots
        ]
    if isinstance(api, Mapping):
        socket = {} if api.get("socket") == "auto" else _anchored_key(api, "socket", base)
        anchored["api"] = {**api, **socket, **_anchored_folders(api, "import_folders", base)}
    return anchored


def _anchored_folders(table: Mapping[str, Any], key: str, base: Path) -> dict[str, list[Any]]:
    value = table.get(key)
    if isinstance(value, list | tuple):
        return {key: [_anchored_key({key: item}, key, base).get(key, item) for item in value]}
    return {}


def _anchored_key(table: Mapping[str, Any], key: str, base: Path) -> dict[str, str]:
    value = table.get(key)
    if isinstance(value, str | Path) and str(value) and "\0" not in str(value):
        return {key: str(absolute(value, base))}
    return {}


def _merged(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(weaker)
    for key, value in stronger.items():
        held = merged.get(key)
        merged[key] = _merged(held, value) if isinstance(held, Mapping) and isinstance(value, Mapping) else value
    return merged


def _overlap(root: Path, data_dir: Path) -> bool:
    """Return whether one lies in the other, as they are spelled or where they and what is kept really are."""
    real, real_data_dir = _resolved(root), os.path.realpath(data_dir)
    if root.is_relative_to(data_dir) or data_dir.is_relative_to(root) or real.is_relative_to(real_data_dir):
        return True
    return any(Path(os.path.realpath(place)).is_relative_to(real) for place in DataDirectory(data_dir).written)


def _overlap_sentence(root: str, data_dir: Path) -> str:
    both = f"the root {root!r} and data_dir {str(data_dir)!r}"
    return f"{both} lie in one another, as they are spelled or by a link; keep them apart"
