"""Find the models that a person may mean."""

import sqlalchemy as sa

from modelkeep.catalogue.columns import PathText
from modelkeep.catalogue.dialect import among, holds, json_member
from modelkeep.catalogue.store.contents import OTHER_DIGITS_MIN, has_digest, says
from modelkeep.catalogue.store.models import select_models
from modelkeep.catalogue.store.sources import claiming
from modelkeep.catalogue.tables import locations, models
from modelkeep.domain.values import Model

_DIGITS_MIN = 6
_FOUND_MAX = 50
_TEXTS = ("title", "notes", "trigger_words", "description")


def find_models(connection: sa.Connection, text: str) -> list[Model]:
    """Return the models that a person may mean: by the beginning of a digest, by path, by name, by a text.

    A digest is the content's own, or one that a source claims and that nothing refutes. Texts are the title, the
    notes, the trigger words and the description, or else the header of the file.
    """
    at_path = sa.select(locations.c.sha256).where(locations.c.path == text)
    conditions = [
        *_by_digest(connection, text.lower().removeprefix("0x")),
        models.c.sha256.in_(at_path),
        models.c.name == text,
        sa.or_(holds(models.c.name, text), holds(models.c.path, text)),
        sa.or_(*(holds(_member(key), text) for key in _TEXTS)),
        says(text),
    ]
    found = (select_models(connection, condition, _FOUND_MAX) for condition in conditions)
    return next((some for some in found if some), [])


def _by_digest(connection: sa.Connection, digits: str) -> list[sa.ColumnElement[bool]]:
    """Return how models are found whose SHA-256 begins so (6 digits), or another digest (8 digits)."""
    if len(digits) < _DIGITS_MIN or not all(digit in "0123456789abcdef" for digit in digits):
        return []
    begins = models.c.sha256.startswith(digits)
    if len(digits) < OTHER_DIGITS_MIN:
        return [begins]
    return [sa.or_(begins, has_digest(digits)), among(models.c.sha256, claiming(connection, digits))]


def _member(key: str) -> sa.ColumnElement[str]:
    return sa.literal_column(json_member("meta_json", key), PathText())
