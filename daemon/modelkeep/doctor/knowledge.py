"""What the checks need to know of the catalogue, read in one transaction that can write nothing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import reading_engine, resting_engine
from modelkeep.catalogue.engine import translated_errors
from modelkeep.catalogue.store.control import committed_migrations
from modelkeep.catalogue.store.source_images import kept_names
from modelkeep.catalogue.tables import images, locations, models, pending_import, refused_pictures
from modelkeep.doctor.premises import Premises
from modelkeep.domain.naming import in_brief
from modelkeep.domain.values import ImageRow, LocationState, PendingState


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What is looked at of a row of the queue; `state` is whatever stands there."""

    id: int
    path: str
    sha256: str
    state: str
    due_at: int
    image: str


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model as a person recognises it; `successor` is the hash of other content that lies at its path now."""

    sha256: str
    name: str
    path: str
    successor: str = ""

    def __str__(self) -> str:
        return f"{in_brief(self.name or self.path or 'without a name')} ({self.sha256[:12]})"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the catalogue holds, as far as the checks look at it.

    `contents` are the hashes of those models that a row in conflict names. `refused` are the base names of originals
    that could not be used, `of_orphans` those of images kept for sources without a model. `planned` maps the names of
    images that committed migrations publish to their staged names, `planned_originals` are the originals and
    `planned_removals` the published files that those remove: of a daemon at work, and of one that was killed, some of
    that is still to be done. `misplaced` are models whose main path is not one of their present locations though they
    have one, `nowhere` those without any location. `unreadable` tells of values that are none of the product's.
    """

    models: int = 0
    images: tuple[ImageRow, ...] = ()
    queue: tuple[StoredRow, ...] = ()
    contents: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    of_orphans: frozenset[str] = frozenset()
    planned: Mapping[str, str] = field(default_factory=dict)
    planned_originals: frozenset[str] = frozenset()
    planned_removals: frozenset[str] = frozenset()
    misplaced: tuple[KnownModel, ...] = ()
    nowhere: tuple[KnownModel, ...] = ()
    unreadable: tuple[str, ...] = ()


@contextmanager
def opened(premises: Premises) -> Iterator[sa.Connection]:
    """Open the catalogue's file for the length of a `with` block; a snapshot that others may go on changing.

    Nothing is made beside the file while nobody is at work, but after a kill: what the write-ahead log then holds can
    only be read with the index of it that SQLite makes.

    Raises:
        CatalogueError: the file cannot be read.
    """
    path = premises.directory.catalogue
    engine = reading_engine(path) if premises.is_at_work else resting_engine(path)
    try:
        with translated_errors(path), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def wal_of(path: Path) -> Path:
    """Return where the write-ahead log of a database lies."""
    return path.with_name(f"{path.name}-wal")


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 when it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def read_knowledge(connection: sa.Connection) -> Knowledge:
    """Return what the checks need to know."""
    left = committed_migrations(connection).values()
    return Knowledge(
        models=connection.execute(sa.select(sa.func.count()).select_from(models)).scalar_one(),
        images=tuple(ImageRow(*row) for row in connection.execute(_IMAGES)),
        queue=tuple(StoredRow(*row) for row in connection.execute(_QUEUE)),
        contents=frozenset(connection.execute(_CONTENTS_IN_CONFLICT).scalars()),
        refused=frozenset(connection.execute(sa.select(refused_pictures.c.file)).scalars()),
        of_orphans=frozenset(kept_names(connection)),
        planned={file["final"]: file["staged"] for plan in left for file in plan.get("files", ())},
        planned_originals=frozenset(
            name for plan in left for name in (plan.get("image", ""), *plan.get("originals", ()))
        )
        - {""},
        planned_removals=frozenset(name for plan in left for name in plan.get("removed", ())),
        misplaced=_known_models(connection, _MISPLACED),
        nowhere=_known_models(connection, _NOWHERE),
        unreadable=tuple(_unreadable(connection)),
    )


_IMAGES = sa.select(images.c.sha256, images.c.seq, images.c.width, images.c.height, images.c.source_digest)
_QUEUE = sa.select(
    *(pending_import.c[name] for name in ("id", "path", "sha256", "state", "due_at", "image"))
).order_by(pending_import.c.id)
_CONTENTS_IN_CONFLICT = (
    sa.select(models.c.sha256)
    .join(pending_import, pending_import.c.sha256 == models.c.sha256)
    .where(pending_import.c.state == PendingState.CONFLICT)
    .distinct()
)
_THERE = locations.alias()
_KNOWN = sa.select(models.c.sha256, models.c.name, models.c.path).order_by(models.c.name, models.c.sha256)
_HAS_LOCATION = sa.exists().where(locations.c.sha256 == models.c.sha256)
_HAS_PRESENT = _HAS_LOCATION.where(locations.c.state == LocationState.PRESENT)
_MISPLACED = _KNOWN.where(_HAS_PRESENT, ~_HAS_PRESENT.where(locations.c.path == models.c.path))
_NOWHERE = (
    _KNOWN.add_columns(sa.func.coalesce(_THERE.c.sha256, ""))
    .outerjoin(_THERE, _THERE.c.path == models.c.path)
    .where(~_HAS_LOCATION)
)


def _known_models(connection: sa.Connection, query: sa.Select[*tuple[str, ...]]) -> tuple[KnownModel, ...]:
    return tuple(KnownModel(*row) for row in connection.execute(query))


def _unreadable(connection: sa.Connection) -> Iterator[str]:
    """Yield what stands in the catalogue that the daemon cannot read."""
    no_hash = sa.or_(sa.func.length(models.c.sha256) != 64, models.c.sha256.op("GLOB")("*[^0-9a-f]*"))
    for key in connection.execute(sa.select(models.c.sha256).where(no_hash)).scalars():
        yield f"a model has the key {key!r}, which is no SHA-256"
    strange = sa.select(locations.c.path, locations.c.state).where(locations.c.state.not_in(list(LocationState)))
    for path, state in connection.execute(strange):
        yield f"the location {path} is in the state {state!r}, which does not exist"
    for table, column in ((models, models.c.sha256), (pending_import, pending_import.c.id)):
        # SQLite is stricter than the reader (it knows no NaN): what it refuses is looked at again.
        refused = sa.func.coalesce(sa.func.json_valid(table.c.meta_json), 0) == 0
        is_object = sa.func.json_type(table.c.meta_json) == "object"
        query = sa.select(column, table.c.meta_json).where(sa.case((refused, True), else_=~is_object))
        for named, text in connection.execute(query):
            if not _is_object(text):
                yield f"the meta_json of {table.name} {named} is no JSON object"


def _is_object(text: Any) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, TypeError, RecursionError):
        return False
