"""Decide what a migration does, from what is known on both sides. Pure: reads no clock, no disk, no database."""

from collections.abc import Sequence

from modelkeep.domain import metadata
from modelkeep.domain.description import filled
from modelkeep.domain.frozen import frozen
from modelkeep.domain.naming import is_name_from_path, is_type_from_path, suggested_name
from modelkeep.domain.values import Action, ImageRow, Model, PendingImport, Strategy


@frozen
class Decision:
    """What will be done with a pending row once its hash is known.

    `model` is the row as it shall stand afterwards (None: untouched), `image_seq` the sequence number that the
    pending image takes (None: it is not stored), `lost_keys` what a merge would have lost (conflicts only).
    """

    action: Action
    model: Model | None = None
    image_seq: int | None = None
    moves_tags: bool = False
    removes_pending: bool = False
    lost_keys: tuple[str, ...] = ()


def decide(
    pending: PendingImport,
    sha256: str,
    size_bytes: int,
    existing: Model | None,
    existing_paths: Sequence[str],
    images: Sequence[ImageRow],
    image_digest: str | None,
    strategy: Strategy,
) -> Decision:
    """Return what a migration does.

    Args:
        pending: the row that was hashed.
        sha256: digest of its file.
        size_bytes: size of its file.
        existing: the model of that digest, if the catalogue has it.
        existing_paths: every path at which that model is or was.
        images: its images.
        image_digest: digest of the pending row's image, None when it has none that can be used.
        strategy: what to do when the model exists.
    """
    if existing is None:
        return _create(pending, sha256, size_bytes, image_digest)
    if pending.knows_nothing:
        # A copy that nobody described: its path becomes a location, whatever the strategy.
        return Decision(Action.MERGED, model=None, removes_pending=True)
    if strategy is Strategy.AUTO:
        lost = lost_by_merge(pending, existing, existing_paths)
        if lost:
            return Decision(Action.CONFLICTED, lost_keys=lost)
        return _merge(pending, existing, existing_paths, images, image_digest, fill_derived=True)
    if strategy is Strategy.ASK:
        return Decision(Action.CONFLICTED, lost_keys=lost_by_merge(pending, existing, existing_paths))
    if strategy is Strategy.MERGE:
        return _merge(pending, existing, existing_paths, images, image_digest, fill_derived=False)
    if strategy is Strategy.OVERRIDE:
        return _override(pending, existing, images, image_digest)
    if strategy is Strategy.DELETE:
        return Decision(Action.DELETED, removes_pending=True)
    return Decision(Action.IGNORED)


def outcomes(
    pending: PendingImport,
    existing: Model,
    existing_paths: Sequence[str],
    images: Sequence[ImageRow],
    image_digest: str | None,
) -> dict[Strategy, Decision]:
    """Return what each strategy of the owner would do with a row whose content is known; see `decide`."""
    known = existing, existing_paths, images, image_digest
    return {
        strategy: decide(pending, existing.sha256, pending.size_bytes, *known, strategy)
        for strategy in (Strategy.MERGE, Strategy.OVERRIDE, Strategy.DELETE, Strategy.IGNORE)
    }


def lost_by_merge(pending: PendingImport, existing: Model, existing_paths: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the pending values that a merge would lose.

    A name or type that only repeats the path is not lost with the row: its path becomes a location. Size and time
    of creation are facts of the file and of the old database, not what the owner knows about the model.
    """
    paths = [pending.path, *existing_paths]
    lost = list(metadata.differences(existing.meta, pending.meta))
    if _differs(pending.name, existing.name) and not (
        is_name_from_path(pending.name, [pending.path]) or is_name_from_path(existing.name, paths)
    ):
        lost.insert(0, "name")
    if _differs(pending.type, existing.type) and not (
        is_type_from_path(pending.type, [pending.path]) or is_type_from_path(existing.type, paths)
    ):
        lost.append("type")
    lost += [key for key, text in pending.further_texts.items() if _differs(text, getattr(existing, key))]
    return tuple(lost)


def join(kind: str, held: PendingImport, fresh: PendingImport) -> PendingImport:
    """Join two descriptions of one path: what is there stays, gaps are filled, what differs is kept beside."""
    meta = metadata.merge(held.meta, fresh.meta)
    differing = {key: text for key, text in fresh.texts.items() if _differs(text, getattr(held, key))}
    if differing or any(metadata.differences(held.meta, fresh.meta)):
        meta = {**meta, f"also_{kind}": {**fresh.meta, **differing}}
    return held.evolve(
        **filled(held, fresh),
        sha256=held.sha256 or fresh.sha256,
        meta=meta,
        image=held.image or fresh.image,
        state=fresh.state,
        due_at=fresh.due_at,
        last_error=fresh.last_error,
    )


def next_seq(images: Sequence[ImageRow]) -> int:
    """Return the next free sequence number of a model's images."""
    return max((image.seq for image in images), default=-1) + 1


def _differs(incoming: str, held: str) -> bool:
    return bool(incoming) and bool(held) and incoming != held


def _create(pending: PendingImport, sha256: str, size_bytes: int, image_digest: str | None) -> Decision:
    model = Model(
        sha256=sha256,
        path=pending.path,
        size_bytes=size_bytes,
        **pending.description | {"name": pending.name or suggested_name(pending.path)},
    )
    seq = 0 if image_digest else None
    return Decision(Action.CREATED, model=model, image_seq=seq, moves_tags=True, removes_pending=True)


def _merge(
    pending: PendingImport,
    existing: Model,
    existing_paths: Sequence[str],
    images: Sequence[ImageRow],
    image_digest: str | None,
    *,
    fill_derived: bool,
) -> Decision:
    """Fill what is empty. `fill_derived`: a name that only repeats a path gives way to one that somebody chose."""
    name, type_ = existing.name or pending.name, existing.type or pending.type
    paths = [pending.path, *existing_paths]
    if fill_derived:
        if pending.name and is_name_from_path(name, paths):
            name = name if is_name_from_path(pending.name, [pending.path]) else pending.name
        if pending.type and is_type_from_path(type_, paths):
            type_ = type_ if is_type_from_path(pending.type, [pending.path]) else pending.type
    model = existing.evolve(
        **filled(existing, pending) | {"name": name, "type": type_},
        size_bytes=existing.size_bytes or pending.size_bytes,
        created_at=existing.created_at or pending.created_at,
        meta=metadata.merge(existing.meta, pending.meta),
    )
    known = {image.source_digest for image in images}
    seq = next_seq(images) if image_digest and image_digest not in known else None
    return Decision(Action.MERGED, model=model, image_seq=seq, moves_tags=True, removes_pending=True)


def _override(
    pending: PendingImport, existing: Model, images: Sequence[ImageRow], image_digest: str | None
) -> Decision:
    model = existing.evolve(
        **filled(pending, existing),
        created_at=pending.created_at or existing.created_at,
        meta=metadata.override(existing.meta, pending.meta),
    )
    known = {image.source_digest for image in images}
    seq = 0 if image_digest and image_digest not in known else None
    return Decision(Action.OVERRIDDEN, model=model, image_seq=seq, moves_tags=True, removes_pending=True)
