"""Indexes over digests hold only those that there are, and every question about one is answered by them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from modelkeep.catalogue.dialect import writing_engine
from modelkeep.catalogue.store.contents import has_digest, keep_contents
from modelkeep.catalogue.store.digests import contents_with
from modelkeep.catalogue.store.siblings import siblings_of, successions
from modelkeep.catalogue.tables import models
from modelkeep.domain.content_facts import ContentRow
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind

from .conftest import A, B

TENSORS = "7e" * 32


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
def test_no_question_about_a_digest_reads_all_contents(file: Path, ask: Callable[[sa.Connection], object]) -> None:
    steps: list[str] = []

    def explain(cursor: Any, statement: str, parameters: Any) -> None:
        if statement.startswith("SELECT"):
            steps.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    with writing_engine(file).begin() as connection:
        keep_contents(connection, [ContentRow(sha256, tensors=TENSORS) for sha256 in (A, B)])
        sa.event.listen(connection, "before_cursor_execute", lambda _, *told: explain(*told[:3]))
        ask(connection)

    assert any("contents" in step or "heir" in step for step in steps)
    assert not [step for step in steps if step in ("SCAN contents", "SCAN heir", "SCAN origin")]
