"""Contents at several paths."""

import sqlalchemy as sa

from modelkeep.catalogue.store.locations import locations_of_all
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.tables import locations
from modelkeep.domain.values import Location, LocationState, Model

_anywhere = locations.alias("anywhere")
_SEVERAL_EVER = sa.select(_anywhere.c.sha256).group_by(_anywhere.c.sha256).having(sa.func.count() > 1)
"""An index answers it, which does not know the states."""

_SEVERAL = (
    sa.select(locations.c.sha256)
    .where(locations.c.sha256.in_(_SEVERAL_EVER), locations.c.state != LocationState.MISSING)
    .group_by(locations.c.sha256)
    .having(sa.func.count() > 1)
)


def contents_at_several_paths(connection: sa.Connection) -> list[tuple[Model, list[Location]]]:
    """Return the models that are, or may be, at more than one path, each with all its locations."""
    hashes = list(connection.execute(_SEVERAL).scalars())
    locations = locations_of_all(connection, hashes)
    return [(model, locations[sha256]) for sha256, model in get_models(connection, hashes).items()]
