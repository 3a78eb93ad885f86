"""What the owner changes of a model's texts and tags by hand, decided from what is known. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelkeep.domain.metadata import edited_meta
from modelkeep.domain.values import JsonObject, Location, LocationState, Model, Tag
from modelkeep.errors import Conflict, NotFound, OutsideRoots


@dataclass(frozen=True, slots=True)
class Edit:
    """What a model shall say; None leaves a field as it is.

    Args:
        name: of the model.
        type: of the model.
        path: the main one of its locations.
        inside_roots: whether a root contains that path.
        is_whole: whether a whole model is sent back: its path is what it was when it was shown, and no wish.
        meta: is put into its `meta` key by key; null removes a key (RFC 7396).
        tags: ids of all that it shall carry.
    """

    name: str | None = None
    type: str | None = None
    path: str | None = None
    inside_roots: bool = False
    is_whole: bool = False
    meta: JsonObject | None = None
    tags: Sequence[int] | None = None


def edited(model: Model, locations: Sequence[Location], edit: Edit, tags: Mapping[int, Tag]) -> Model:
    """Return what a model says after an edit.

    Args:
        model: what it says now.
        locations: where its file is or was.
        edit: what it shall say.
        tags: those of the tags it shall carry that there are.

    Raises:
        NotFound: there is no such tag.
        Conflict: its file is not at the path that shall be its main one.
        OutsideRoots: that path lies in no root.
    """
    return model.evolve(
        name=model.name if edit.name is None else edit.name,
        type=model.type if edit.type is None else edit.type,
        path=model.path if edit.path is None else _main_path(model, locations, edit, edit.path),
        meta=model.meta if edit.meta is None else edited_meta(model.meta, edit.meta),
        tags=model.tags if edit.tags is None else _carried(model, edit.tags, tags),
    )


def changed_fields(before: Model, after: Model) -> list[str]:
    """Return the names of the fields in which two states of a model differ."""
    return [name for name in _EDITABLE if getattr(before, name) != getattr(after, name)]


_EDITABLE = ("name", "type", "path", "meta", "tags")


def _main_path(model: Model, locations: Sequence[Location], edit: Edit, path: str) -> str:
    location = next((location for location in locations if location.path == path), None)
    if path == model.path or (location is not None and location.state is LocationState.PRESENT):
        return path
    if location is None and not edit.inside_roots:
        raise OutsideRoots("that path lies in none of the configured roots")
    if edit.is_whole:  # its file was moved meanwhile
        return model.path
    raise Conflict("path: the model has no file there now; its path follows its file, so leave it out")


def _carried(model: Model, ids: Sequence[int], tags: Mapping[int, Tag]) -> tuple[Tag, ...]:
    missing = [tag_id for tag_id in ids if tag_id not in tags]
    if missing:
        raise NotFound(f"there is no tag {missing[0]}")
    carried = {tags[tag_id] for tag_id in ids}
    return model.tags if carried == set(model.tags) else tuple(sorted(carried, key=lambda tag: tag.name))
