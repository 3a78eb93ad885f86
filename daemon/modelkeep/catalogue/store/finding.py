"""Find the models that a person may mean."""

import re
from collections.abc import Callable
from functools import partial

import sqlalchemy as sa

from modelkeep.catalogue.columns import PathText
from modelkeep.catalogue.dialect import among, begins_with, holds, json_member, past_indexes
from modelkeep.catalogue.store.contents import OTHER_DIGITS_MIN, has_digest, says
from modelkeep.catalogue.store.models import get_models, list_models, select_models
from modelkeep.catalogue.store.paging import BY_NAME, page_of_those
from modelkeep.catalogue.store.sources import claiming
from modelkeep.catalogue.tables import locations, models
from modelkeep.domain.values import Model

_DIGITS_MIN = 6
_FOUND_MAX = 50
_TEXTS = ("title", "notes", "trigger_words", "description")
_LETTERS = re.compile("[A-Za-z]+")


def find_models(connection: sa.Connection, text: str) -> list[Model]:
    """Return the models that a person may mean: by the beginning of a digest, by path, by name, by a text.

    A digest is the content's own, or one that a source claims and that nothing refutes. Texts are the title, the
    notes, the trigger words and the description, or else the header of the file.
    """
    at_path = sa.select(locations.c.sha256).where(locations.c.path == text)
    ways: list[Callable[[], list[Model]]] = [
        *_by_digest(connection, text.lower().removeprefix("0x")),
        partial(select_models, connection, models.c.sha256.in_(at_path), _FOUND_MAX),
        partial(select_models, connection, models.c.name == text, _FOUND_MAX),
        partial(_called, connection, text),
        partial(_described, connection, text),
        partial(select_models, connection, says(text), _FOUND_MAX),
    ]
    return next((found for way in ways if (found := way())), [])


def _by_digest(connection: sa.Connection, digits: str) -> list[Callable[[], list[Model]]]:
    """Return how models are found whose SHA-256 begins so (6 digits), or another digest (8 digits)."""
    if len(digits) < _DIGITS_MIN or not all(digit in "0123456789abcdef" for digit in digits):
        return []
    begins = begins_with(models.c.sha256, digits)
    if len(digits) < OTHER_DIGITS_MIN:
        return [partial(select_models, connection, begins, _FOUND_MAX)]
    conditions = [sa.or_(begins, has_digest(digits)), among(models.c.sha256, claiming(connection, digits))]
    return [partial(select_models, connection, condition, _FOUND_MAX) for condition in conditions]


def _called(connection: sa.Connection, text: str) -> list[Model]:
    return [model for model, _ in list_models(connection, q=text, limit=_FOUND_MAX)]


def _described(connection: sa.Connection, text: str) -> list[Model]:
    """Return the models that have something in one of their texts, by name."""
    condition = sa.and_(_may_hold(text), sa.or_(*(holds(_member(key), text) for key in _TEXTS)))
    # In the order of the table: in that of its index by name each row lies on another page.
    of_all = past_indexes(sa.select(models.c.sha256).where(condition), models)
    hashes = page_of_those(connection, BY_NAME, condition, of_all, _FOUND_MAX)
    known = get_models(connection, hashes)
    return [known[sha256] for sha256 in hashes]


def _may_hold(text: str) -> sa.ColumnElement[bool]:
    """Return a condition of all models with a member that holds a text, and of few others; it reads no JSON."""
    # No writer of JSON spells letters of ASCII otherwise. SQLite puts some into numbers: "1.0e+99" and "Inf".
    word = max(_LETTERS.findall(text), key=len, default="")
    return sa.true() if word.lower() in "infe" else holds(models.c.meta_json, word)


def _member(key: str) -> sa.ColumnElement[str]:
    return sa.literal_column(json_member("meta_json", key), PathText())
