"""Contents of the same tensors under different headers."""

import sqlalchemy as sa

from modelkeep.catalogue.dialect import is_filled
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.tables import contents, locations, models
from modelkeep.domain.details import Sibling
from modelkeep.domain.values import LocationState, Model

_origin, _heir = contents.alias("origin"), contents.alias("heir")

_SEVERAL = (
    sa.select(contents.c.tensors)
    .where(is_filled(contents.c.tensors))
    .group_by(contents.c.tensors)
    .having(sa.func.count() > 1)
)
"""Digests of tensors that several contents have."""


def _is_somewhere(sha256: sa.ColumnElement[str], *states: LocationState) -> sa.ColumnElement[bool]:
    """Return the condition that a file of a content is in one of these states."""
    return sa.exists().where(locations.c.sha256 == sha256, locations.c.state.in_(states))


_PRESENT = _is_somewhere(_heir.c.sha256, LocationState.PRESENT)
_GONE = sa.not_(_is_somewhere(_origin.c.sha256, LocationState.PRESENT, LocationState.UNREACHABLE))
_PAIRS = (
    sa.select(_origin.c.sha256, _heir.c.sha256)
    .select_from(_origin)
    .join(
        _heir,
        sa.and_(is_filled(_heir.c.tensors), _heir.c.tensors == _origin.c.tensors, _heir.c.sha256 != _origin.c.sha256),
    )
    .join(models, models.c.sha256 == _origin.c.sha256)
    .where(is_filled(_origin.c.tensors), _origin.c.tensors.in_(_SEVERAL))
    .order_by(_origin.c.sha256, _heir.c.sha256)
)


def successions(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return contents without a file whose tensors lie in a file of another content, each with that one.

    What is known of them has been taken over by nobody yet.
    """
    query = _PAIRS.where(_origin.c.heir == "", _GONE, _PRESENT)
    return [(row[0], row[1]) for row in connection.execute(query)]


def siblings_of(connection: sa.Connection, sha256: str) -> list[Sibling]:
    """Return the other models whose files hold the same tensors, those with a file first."""
    present = _is_somewhere(models.c.sha256, LocationState.PRESENT)
    unreachable = _is_somewhere(models.c.sha256, LocationState.UNREACHABLE)
    state = sa.case(
        (present, LocationState.PRESENT), (unreachable, LocationState.UNREACHABLE), else_=LocationState.MISSING
    )
    own = sa.select(contents.c.tensors).where(contents.c.sha256 == sha256, contents.c.tensors != "")
    query = (
        sa.select(models.c.sha256, models.c.name, models.c.path, models.c.size_bytes, state, contents.c.heir)
        .join(contents, contents.c.sha256 == models.c.sha256)
        .where(is_filled(contents.c.tensors), contents.c.tensors == own.scalar_subquery(), models.c.sha256 != sha256)
        .order_by(state != LocationState.PRESENT, models.c.name, models.c.sha256)
    )
    return [Sibling(*row[:4], LocationState(row[4]), row[5]) for row in connection.execute(query)]


def families(connection: sa.Connection) -> list[list[Model]]:
    """Return the models of which a file is there, in groups of those with the same tensors."""
    present = _is_somewhere(contents.c.sha256, LocationState.PRESENT)
    query = (
        sa.select(contents.c.tensors, contents.c.sha256)
        .join(models, models.c.sha256 == contents.c.sha256)
        .where(is_filled(contents.c.tensors), contents.c.tensors.in_(_SEVERAL), present)
        .order_by(contents.c.tensors, contents.c.sha256)
    )
    found: dict[str, list[str]] = {}
    for tensors, sha256 in connection.execute(query):
        found.setdefault(tensors, []).append(sha256)
    groups = [hashes for hashes in found.values() if len(hashes) > 1]
    known = get_models(connection, [sha256 for hashes in groups for sha256 in hashes])
    return [[known[sha256] for sha256 in hashes] for hashes in groups]


def record_heir(connection: sa.Connection, origin: str, heir: str) -> None:
    """Record that a content has taken over what is known of another; what it has handed on itself, it has again."""
    connection.execute(sa.update(contents).where(contents.c.sha256 == origin).values(heir=heir))
    connection.execute(sa.update(contents).where(contents.c.sha256 == heir).values(heir=""))
