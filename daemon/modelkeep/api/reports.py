"""What the documentation at `/docs` says about what the daemon does and what came of what it was asked to do."""

from typing import Any, Literal

from pydantic import ConfigDict

from modelkeep.api.answers_base import Answer, Documented


class Done(Answer):
    """It is done."""

    status: Literal["success"]


class Hashed(Documented):
    """A file's hash, and what became of its pending row."""

    sha256: str
    action_taken: str | None = None


class Migrated(Answer):
    """What became of a pending row."""

    status: Literal["success"]
    sha256: str
    action_taken: str


class _PendingSide(Answer):
    id: int
    path: str


class _ModelSide(Answer):
    id: str
    path: str


class BothSides(Answer):
    """A conflict in a batch; `id` of the existing one is its hash."""

    pending: _PendingSide
    existing: _ModelSide


class FailedRow(Answer):
    """A row that could not be migrated, and why."""

    id: int
    error: str


class MigratedMany(Answer):
    """What became of each row of a batch."""

    total: int
    success: list[int]
    conflict: list[BothSides]
    ignored: list[int]
    deleted: list[int]
    failed: list[FailedRow]


class ImageCount(Answer):
    """How many images a model has."""

    count: int


class Uploaded(Answer):
    """The image that was added, or was there already."""

    status: Literal["success"]
    base_name: str


class Removed(Answer):
    """How many images are left."""

    status: Literal["success"]
    count: int


class RemovedTag(Answer):
    """How many models carried the tag that is gone."""

    status: Literal["success"]
    models: int


class Retried(Answer):
    """How many rows are due now."""

    retried: int


class Scanned(Answer):
    """What a look through the roots found; `added`: new rows, by number `pending_ids`; `skipped`: all other files."""

    status: Literal["success"]
    scanned: int
    added: int
    pending_ids: list[int]
    skipped: int


class LegacyCounts(Answer):
    """What became of the rows and images of a legacy database."""

    migrated: int
    pending: int
    errors: int
    images_processed: int
    image_errors: int


class LegacyImported(Answer):
    """An import that has come to its end."""

    status: Literal["success", "failed"]
    db_migration: LegacyCounts


class Ready(Answer):
    """The daemon is ready."""

    status: Literal["ready"]


class Address(Answer):
    """Where a browser finds the page."""

    url: str


class Active(Answer):
    """A file that is being hashed."""

    path: str
    bytes_done: int
    bytes_total: int
    bytes_per_s: int


class Hashing(Answer):
    """What is being hashed and what waits for a worker; `stepped_back` says why background work steps back, if so."""

    active: list[Active]
    queued: int
    queued_bytes: int
    stepped_back: str
    workers: int
    implementation: str


class PendingCounts(Answer):
    """Rows of the queue by what they wait for."""

    waiting: int
    hashing: int
    conflict: int
    failed: int
    missing: int


class LocationCounts(Answer):
    """Locations by state."""

    present: int
    missing: int
    unreachable: int


class WatchedRoot(Documented):
    """A root; `reason` says why it is not watched as it should be."""

    path: str
    state: str
    directories: int
    reason: str = ""


class Watch(Answer):
    """What is watched, and how often the kernel dropped events."""

    roots: list[WatchedRoot]
    overflows: int


class JournalSize(Answer):
    """The number of the last record, and how much there is."""

    seq: int
    segments: int
    bytes: int


class Controller(Answer):
    """Whether the daemon is at work, and what is left."""

    status: Literal["success"]
    state: str
    paused: bool
    pending: PendingCounts
    hashing: Hashing


class Status(Documented):
    """What `modelkeep status --json` prints; `troubles` is there while something is wrong."""

    model_config = ConfigDict(extra="allow")

    state: Literal["running", "starting", "paused", "stopping", "stopped"]
    version: str
    pid: int
    uptime_s: float
    paused: bool
    models: int
    images: int
    tags: int
    locations: LocationCounts
    pending: PendingCounts
    hashing: Hashing
    watch: Watch
    journal: JournalSize
    troubles: list[dict[str, Any]] = []  # noqa: RUF012 - pydantic copies it


class Record(Documented):
    """A record of the journal; what it holds besides depends on its event."""

    model_config = ConfigDict(extra="allow")

    seq: int
    ts: str
    event: str


class Records(Answer):
    """Records of the journal."""

    records: list[Record]
