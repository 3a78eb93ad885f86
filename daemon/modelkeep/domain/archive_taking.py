"""What an archive changes in a catalogue that may know some of it already: decided without a database. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelkeep.domain.archive import ArchivedImage, ArchivedModel
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.planning import Decision, decide, next_seq
from modelkeep.domain.values import (
    Action,
    ImageRow,
    Model,
    PendingImport,
    PendingState,
    Strategy,
    TierFile,
)

SOURCE = "archive"
"""`source` of rows that an archive brought."""

StagedFiles = Mapping[tuple[str, int], Mapping[str, str]]
"""Staged base names by quality, for each image of the archive: by its content and its number there."""


StagedCopies = Mapping[str, str]
"""Staged base names of images of records without a model, by their SHA-256."""


@dataclass(frozen=True, slots=True)
class TakenModel:
    """What becomes of an archived model.

    `model` is as it stands afterwards, None where it stays as it is. `rows` are its new images, `files` those to be
    published, `asks` a row of the queue in which the owner decides what a merge would lose.
    """

    sha256: str
    path: str
    action: Action
    model: Model | None = None
    tags: tuple[str, ...] = ()
    rows: tuple[ImageRow, ...] = ()
    files: tuple[TierFile, ...] = ()
    asks: PendingImport | None = None
    migration: str = ""
    differing: tuple[str, ...] = ()

    @property
    def as_told(self) -> "TakenModel":
        """The same without what only the catalogue is told."""
        return replace(self, model=None, tags=(), rows=(), asks=None)


@dataclass(frozen=True, slots=True)
class TakenArchive:
    """What an archive changed: its models, as they are told, and how much of the rest.

    The owner is `asked` about so many of the models; at paths in `held` another row waits already.
    """

    models: Collection[TakenModel] = ()
    asked: int = 0
    rows: int = 0
    records: int = 0
    pending_images: Mapping[str, str] = field(default_factory=dict)
    """Staged copies of images of rows, by the names that they get."""
    held: tuple[str, ...] = ()


def missing_images(model: ArchivedModel, known: Sequence[ImageRow]) -> list[ArchivedImage]:
    """Return the images of an archived model that are whole and not known here."""
    held = {image.source_digest for image in known}
    distinct = {image.source_digest: image for image in model.images if image.is_whole}
    return [image for digest, image in distinct.items() if digest not in held]


def take_new(model: ArchivedModel, path: str, staged: StagedFiles, migration: str) -> TakenModel:
    """Return what becomes of a model that is not known here: all of it, images under the numbers that they had."""
    images = [image for image in model.images if (model.sha256, image.seq) in staged]
    rows = tuple(_row(model.sha256, image, image.seq) for image in images)
    files = _files(model.sha256, [(image, image.seq) for image in images], staged)
    made = as_model(model, path)
    return TakenModel(
        model.sha256, path, Action.CREATED, made, model.tags, rows, files, migration=_needed(files, migration)
    )


def take_known(
    archived: ArchivedModel,
    path: str,
    existing: Model,
    existing_paths: Sequence[str],
    images: Sequence[ImageRow],
    staged: StagedFiles,
    migration: str,
    now_ms: int,
) -> TakenModel:
    """Return what becomes of a model that is known here: merged where nothing is lost, else the owner is asked."""
    row = _as_row(archived, path, now_ms)
    decision = decide(
        row, archived.sha256, archived.size_bytes, existing, existing_paths, images, None, Strategy.AUTO
    )
    new = [image for image in missing_images(archived, images) if (archived.sha256, image.seq) in staged]
    numbered = list(zip(new, range(next_seq(images), next_seq(images) + len(new)), strict=True))
    files = _files(archived.sha256, numbered, staged)
    carried = {tag.name for tag in existing.tags}
    return TakenModel(
        archived.sha256,
        existing.path,
        decision.action,
        _merged(decision, existing),
        tuple(tag for tag in archived.tags if tag not in carried),
        tuple(_row(archived.sha256, image, seq) for image, seq in numbered),
        files,
        _question(row, existing, decision),
        _needed(files, migration),
        decision.lost_keys,
    )


def as_model(archived: ArchivedModel, path: str) -> Model:
    """Return an archived model as the catalogue holds it, without its tags."""
    return Model(
        sha256=archived.sha256,
        path=path,
        size_bytes=archived.size_bytes,
        last_used_at=archived.last_used_at,
        **archived.description | {"name": archived.name or suggested_name(path)},
    )


def _as_row(archived: ArchivedModel, path: str, now_ms: int) -> PendingImport:
    return PendingImport(
        id=0,
        path=path,
        sha256=archived.sha256,
        size_bytes=archived.size_bytes,
        **archived.description,
        source=SOURCE,
        due_at=now_ms,
        verified=True,
    )


def _merged(decision: Decision, existing: Model) -> Model | None:
    return decision.model if decision.model != existing else None


def _question(row: PendingImport, existing: Model, decision: Decision) -> PendingImport | None:
    if decision.action is not Action.CONFLICTED:
        return None
    reason = f"an archive says otherwise: {', '.join(decision.lost_keys)}; choose a strategy"
    return row.evolve(path=existing.path, state=PendingState.CONFLICT, last_error=reason)


def _row(sha256: str, image: ArchivedImage, seq: int) -> ImageRow:
    return ImageRow(sha256, seq, image.width, image.height, image.source_digest)


def _files(sha256: str, numbered: Sequence[tuple[ArchivedImage, int]], staged: StagedFiles) -> tuple[TierFile, ...]:
    return tuple(
        TierFile(staged[sha256, image.seq][quality], image_name(sha256, seq, quality))
        for image, seq in numbered
        for quality in QUALITIES
    )


def _needed(files: Sequence[TierFile], migration: str) -> str:
    return migration if files else ""
