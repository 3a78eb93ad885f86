"""What requests have to look like."""

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from modelkeep.domain.values import Strategy, normalise_sha256

ROW_ID_MAX = 2**63 - 1
"""SQLite's largest integer."""

ROWS_AT_ONCE_MAX = 100_000


def _file_system_text(text: str) -> str:
    """Refuse what no file can be called. Surrogate escapes pass: they are names that are not UTF-8."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError("it holds a character that no path can have") from None
    if "\0" in text:
        raise ValueError("it holds a zero byte")
    return text


def _hash_text(text: str) -> str:
    known = normalise_sha256(text)
    if known is None:
        raise ValueError("it has to be a model's hash, 64 hex digits")
    return known


def _none_from_empty(value: object) -> object:
    return None if value in ("", "null") else value


PathText = Annotated[str, AfterValidator(_file_system_text)]
Hash = Annotated[str, AfterValidator(_hash_text)]
RowId = Annotated[int, Field(strict=True, ge=1, le=ROW_ID_MAX)]


class HashRequest(BaseModel):
    """A file to hash; `pending`: its pending row is migrated then."""

    path: Annotated[PathText, Field(min_length=1)]
    pending_status: Literal["pending", "ignore"] = "ignore"


class RetryRequest(BaseModel):
    """Rows of the queue to try again; none named: all that failed or are missing."""

    ids: list[RowId] | None = None


class ImportOneRequest(BaseModel):
    """One row of the queue to migrate; no strategy: a conflict is the answer when its content is known.

    `path` says where its file lies now, when that is not where the row says; no strategy is the configured one then.
    """

    id: RowId
    conf_strategy: Annotated[Strategy | None, BeforeValidator(_none_from_empty)] = None
    path: PathText = ""


class ImportManyRequest(BaseModel):
    """Rows of the queue to migrate; no strategy: those whose content is known are told as conflicts."""

    id: Annotated[list[RowId], Field(max_length=ROWS_AT_ONCE_MAX)]
    conflict_strategy: Annotated[Strategy | None, BeforeValidator(_none_from_empty)] = None


class SampleRequest(BaseModel):
    """A model whose pictures are asked for."""

    hash: Hash


class LegacyImportRequest(BaseModel):
    """A database of the legacy manager; `again`: also its rows that were dropped since an earlier import."""

    legacy_db_path: Annotated[PathText, Field(min_length=1)]
    legacy_images_dir: PathText | None = None
    again: bool = False


class ImportRequest(BaseModel):
    """A legacy source; `map` rewrites path prefixes, `again` takes rows that were dropped since, too."""

    kind: str
    source: Annotated[PathText, Field(min_length=1)]
    images: PathText = ""
    map: list[tuple[PathText, PathText]] = []
    dry_run: bool = False
    again: bool = False
