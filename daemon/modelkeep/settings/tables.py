"""The tables of the configuration: each option with its default, what it may hold, and how the owner is told so.

The `description` of a field completes the sentence "it has to be …".
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from modelkeep.domain.encodings import FALLBACK_ENCODING, is_fallback_encoding
from modelkeep.domain.naming import MODEL_EXTENSIONS
from modelkeep.domain.values import Strategy
from modelkeep.settings.problems import CROSS_CHECK

_SOCKET_PATH_BYTES_MAX = 107
"""The kernel's own bound (unix(7): sun_path, with its closing zero)."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^\s/?#:@\[\]]+)(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]*")
_STRATEGIES = [f'"{strategy}"' for strategy in Strategy]


def _is_loopback(host: str) -> bool:
    """Return whether a host is this machine and cannot be reached from another."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _number_from_text(value: object) -> object:
    """Take numbers from the environment as text, so that the fields can be strict: `true` is no port."""
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def _absolute_path(path: Path) -> Path:
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError("not an absolute path")
    return path


def _absolute_path_or_empty(text: str) -> str:
    return str(_absolute_path(Path(text))) if text else ""


def _normalised_origin(origin: str) -> str:
    text = origin.strip().lower()
    if not _ORIGIN.fullmatch(text):
        raise ValueError("not an origin")
    scheme = text.partition(":")[0]
    # A browser never writes the scheme's own port.
    return text.removesuffix(_DEFAULT_PORTS.get(scheme, "\0"))


def _normalised_extension(extension: str) -> str:
    text = "." + extension.strip().lower().removeprefix(".")
    if text == "." or re.search(r"[\s/*?\0]", text):
        raise ValueError("not an ending")
    return text


def _without_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _known_encoding(name: str) -> str:
    if not is_fallback_encoding(name):
        raise ValueError("no encoding of texts")
    return name


def _at_least_one(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("none")
    return values


SIDECAR_KINDS = (
    "all",
    "civitai-helper",
    "huggingface",
    "lora-manager",
    "model-manager",
    "preview",
    "pysssss",
    "rgthree",
    "sdnext",
    "stability-matrix",
    "swarmui",
    "webui",
)
"""Tools that keep something beside models, and what stands for all of them."""

Whole = Annotated[int, BeforeValidator(_number_from_text), Field(strict=True)]
Seconds = Annotated[float, BeforeValidator(_number_from_text), Field(strict=True, allow_inf_nan=False)]
Folder = Annotated[Path, AfterValidator(_absolute_path)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_normalised_origin)], ...], AfterValidator(_without_repeats)]
Extensions = Annotated[
    tuple[Annotated[str, AfterValidator(_normalised_extension)], ...],
    AfterValidator(_without_repeats),
    AfterValidator(_at_least_one),
]
FolderOrEmpty = Annotated[str, AfterValidator(_absolute_path_or_empty)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RootSettings(_Table):
    """`[[roots]]`: a folder of model files."""

    path: Folder = Field(description="the path of a folder")
    type: str = Field(default="", description="a text, empty when the first folder below the root names the type")


class ApiSettings(_Table):
    """`[api]`: who may speak to the daemon, and where."""

    host: str = Field(default="127.0.0.1", description="an address or a host name")
    port: Whole = Field(default=8189, ge=0, le=65535, description="a whole number from 0 to 65535")
    socket: str = Field(default="auto", description='a path of at most 107 bytes, "auto", or "" for none')
    token: str = Field(default="", repr=False, description="a text of visible ASCII characters without spaces")
    allowed_origins: Origins = Field(
        default=("http://127.0.0.1:8188", "http://localhost:8188"),
        description='a list of origins like "http://localhost:8188", without a path',
    )

    import_folders: tuple[Folder, ...] = Field(default=(), description="a list of paths of folders")

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        bare = host.strip().removeprefix("[").removesuffix("]")
        if not bare or re.search(r"[\s/@\0]", bare):
            raise ValueError("no address")
        return bare

    @field_validator("socket")
    @classmethod
    def _check_socket(cls, socket: str) -> str:
        if len(os.fsencode(socket)) > _SOCKET_PATH_BYTES_MAX:
            raise ValueError("too long")
        return socket if socket == "auto" else _absolute_path_or_empty(socket)

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: str) -> str:
        if not _VISIBLE_ASCII.fullmatch(token):
            raise ValueError("no header can carry it")
        return token

    @model_validator(mode="after")
    def _require_token(self) -> Self:
        if not self.token and not _is_loopback(self.host):
            sentence = f"{self.host!r} can be reached from other machines: set api.token too, or use 127.0.0.1"
            raise PydanticCustomError(CROSS_CHECK, "{sentence}", {"key": "host", "sentence": sentence})
        return self


class WatchSettings(_Table):
    """`[watch]`: what is a model, and when it is complete."""

    extensions: Extensions = Field(
        default=MODEL_EXTENSIONS,
        description='a list of file name endings like ".safetensors", at least one',
    )
    settle_seconds: Seconds = Field(default=2.0, ge=0, le=3600, description="a number from 0 to 3600")
    rescan_seconds: Seconds = Field(
        default=900, ge=0.05, le=2_592_000, description="a number from 0.05 to 2592000 (30 days)"
    )
    silence_seconds: Seconds = Field(default=30, ge=0.05, le=3600, description="a number from 0.05 to 3600")
    polling: Literal["auto", "always", "never"] = Field(default="auto", description='"auto", "always" or "never"')


class HashingSettings(_Table):
    """`[hashing]`: how much of the machine hashing may take."""

    workers: Whole = Field(default=0, ge=0, le=256, description="a whole number from 0 to 256")
    yield_under_pressure: bool = Field(default=True, description="true or false")
    tensor_digests: bool = Field(default=True, description="true or false")


class SidecarSettings(_Table):
    """`[sidecars]`: what beside models is taken in while the daemon runs."""

    adopt: tuple[Literal[SIDECAR_KINDS], ...] = Field(  # type: ignore[valid-type]
        default=("all",), description=f"a list of {', '.join(SIDECAR_KINDS[:-1])} or {SIDECAR_KINDS[-1]}"
    )
    fallback_encoding: Annotated[str, AfterValidator(_known_encoding)] = Field(
        default=FALLBACK_ENCODING,
        description='the name of an encoding that holds ASCII, like "cp1252", "gbk" or "cp932"',
    )

    @property
    def kinds(self) -> frozenset[str] | None:
        """The kinds of records that are taken; None: all."""
        return None if "all" in self.adopt else frozenset(self.adopt)


class MigrationSettings(_Table):
    """`[migration]`: what happens when a hash is already in the catalogue."""

    strategy: Strategy = Field(
        default=Strategy.AUTO, description=f"{', '.join(_STRATEGIES[:-1])} or {_STRATEGIES[-1]}"
    )


class SweepSettings(_Table):
    """`[sweep]`: how often the queue is looked through, and how soon a failed row is tried again."""

    interval_seconds: Seconds = Field(
        default=60, ge=0.05, le=86_400, description="a number from 0.05 to 86400 (a day)"
    )
    retry_base_seconds: Seconds = Field(
        default=30, ge=0.05, le=86_400, description="a number from 0.05 to 86400 (a day)"
    )


class JournalSettings(_Table):
    """`[journal]`: how much of the journal is kept."""

    segment_bytes: Whole = Field(
        default=67_108_864, ge=4096, le=2**40, description="a whole number from 4096 to 1099511627776"
    )
    keep_segments: Whole = Field(default=16, ge=1, le=1_000_000, description="a whole number from 1 to 1000000")
