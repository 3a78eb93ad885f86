"""What is asked often, of few rows, reads none but those: it is answered by an index, in that one's order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from modelkeep.catalogue.dialect import writing_engine
from modelkeep.catalogue.store.browsing import browsed_hashes
from modelkeep.catalogue.store.claims import claims
from modelkeep.catalogue.store.contents import has_digest, keep_contents
from modelkeep.catalogue.store.digests import contents_with
from modelkeep.catalogue.store.due import due_pending
from modelkeep.catalogue.store.duplicates import contents_at_several_paths
from modelkeep.catalogue.store.finding import find_models
from modelkeep.catalogue.store.models import list_hashes
from modelkeep.catalogue.store.siblings import siblings_of, successions
from modelkeep.catalogue.store.sources import claiming, contents_of_sizes
from modelkeep.catalogue.tables import models
from modelkeep.domain.browsing import Order, Wanted
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind

from .conftest import NOW, A, B, transaction

TENSORS = "7e" * 32

Ask = Callable[[sa.Connection], object]


def plan_of(file: Path, ask: Ask) -> list[str]:
    """Return the steps by which SQLite finds what is asked of a catalogue with two contents."""
    steps: list[str] = []

    def explain(cursor: Any, statement: str, parameters: Any) -> None:
        if statement.startswith("SELECT"):
            steps.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    with transaction(writing_engine(file)) as connection:
        keep_contents(connection, [ContentRow(sha256, tensors=TENSORS) for sha256 in (A, B)])
        sa.event.listen(connection, "before_cursor_execute", lambda _, *told: explain(*told[:3]))
        ask(connection)
    return steps


@pytest.mark.parametrize(
    "ask",
    [
        lambda connection: keep_contents(connection, [ContentRow(A, tensors=TENSORS)]),
        lambda connection: contents_with(connection, [HashClaim(HashKind.BLAKE3, "b3" * 32, Grade.B)]),
        lambda connection: contents_with(connection, [HashClaim(HashKind.AUTOV3, TENSORS[:12], Grade.B)]),
        lambda connection: connection.execute(sa.select(models.c.sha256).where(has_digest(TENSORS[:12]))).all(),
        lambda connection: siblings_of(connection, A),
        successions,
    ],
)
def test_no_question_about_a_digest_reads_all_contents(file: Path, ask: Ask) -> None:
    steps = plan_of(file, ask)
    assert any("contents" in step or "heir" in step for step in steps)
    assert not [step for step in steps if step in ("SCAN contents", "SCAN heir", "SCAN origin")]


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (
            lambda connection: browsed_hashes(connection, Wanted(), Order.NEWEST, 60, 9),
            "ix_models_created_at (created_at<?)",
        ),
        (lambda connection: list_hashes(connection, limit=60, offset=9), "ix_models_name (name>?)"),
        (lambda connection: claims(connection, 9, folders=["/m", "/n"]), "ix_locations_claimed (claimed=?)"),
        (lambda connection: claims(connection, 9, folders=["/m", "/n"]), "ix_locations_doubted (doubted=?)"),
        (lambda connection: due_pending(connection, NOW, 9), "ix_pending_import_state_due_at (state=? AND due_at<?)"),
    ],
)
def test_what_is_looked_for_often_is_read_in_the_order_of_an_index(file: Path, ask: Ask, index: str) -> None:
    steps = plan_of(file, ask)
    assert any(step.endswith(f"USING INDEX {index}") for step in steps)
    assert not [
        step for step in steps if step in ("SCAN locations", "SCAN pending_import", "USE TEMP B-TREE FOR ORDER BY")
    ]


@pytest.mark.parametrize(
    ("ask", "step"),
    [
        (
            lambda connection: browsed_hashes(connection, Wanted("x"), Order.NEWEST, 60),
            "SEARCH models USING INDEX ix_models_created_at (created_at>?)",
        ),
        (
            lambda connection: find_models(connection, A[:7]),
            "SEARCH models USING INDEX sqlite_autoindex_models_1 (sha256>? AND sha256<?)",
        ),
        (lambda connection: claiming(connection, A[:9]), "SEARCH record_claims USING COVERING INDEX "),
        (lambda connection: list_hashes(connection, q="x"), "SCAN by_path USING COVERING INDEX ix_models_path"),
        (
            contents_at_several_paths,
            "SCAN anywhere USING COVERING INDEX ix_locations_sha256",
        ),
        (
            lambda connection: contents_of_sizes(connection, {7}),
            "SCAN sized USING COVERING INDEX ix_locations_inode",
        ),
    ],
)
def test_what_looks_through_a_table_reads_an_index_of_it_alone(file: Path, ask: Ask, step: str) -> None:
    steps = plan_of(file, ask)
    assert any(each.startswith(step) for each in steps)
    assert not [each for each in steps if each.startswith(("SCAN locations", "SCAN record_claims"))]
