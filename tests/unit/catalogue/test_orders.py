"""Import, detection, hashing and confirmation, in whatever order they come: the catalogue ends the same."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes import location_at

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.claims import Reading
from modelkeep.domain.legacy import StagedRow
from modelkeep.domain.migration import Outcome
from modelkeep.domain.values import PendingImport, PendingState

from .conftest import NOW, A, B, dump, legacy, migrate, order, print_of, queue, read, rows_of, take

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a commit waits for no disk: hundreds of them are made here."""

NOWHERE = "d" * 64
"""A hash that no file has."""

CONTENTS = {"/m/loras/one.pt": A, "/m/loras/two.pt": B}
ONE, TWO = CONTENTS
STEPS = ["import", *(f"{step} {path}" for path in CONTENTS for step in ("detect", "hash", "confirm"))]


def said(number: int, path: str, claim: str, *, differs: bool) -> StagedRow:
    """Return a row; two of them say different things of the same, or each something else."""
    meta = {"description": f"of {path}"} if differs else {f"key {path}": "value"}
    return legacy(
        str(number),
        path,
        claim=claim,
        name="Chosen",
        type="lora",
        base=f"base {number}" if differs else "",
        size_bytes=10,
        created_at=5,
        meta=meta,
        tags=[f"tag {number}"],
        on_disk=print_of(number),
    )


class World:
    """Two files, and what happens to them."""

    def __init__(self, file: Path, rows: Sequence[StagedRow]) -> None:
        self.file, self.rows = file, rows
        self.catalogue = Catalogue(file)

    async def do(self, step: str) -> None:
        name, _, path = step.partition(" ")
        if name == "import":
            await take(self.catalogue, *self.rows)
        elif name == "detect" and await location_at(self.catalogue, path) is None:
            await queue(self.catalogue, path)
        elif name == "hash":
            row = await self.catalogue.pending_by_path(path)
            if row is not None and row.state is not PendingState.CONFLICT:
                await self.migrate(row)
        elif name == "confirm":
            place = await location_at(self.catalogue, path)
            if place is not None and place.claimed:
                judgement = await read(
                    self.catalogue, path, place.sha256, CONTENTS[path], print_of(1 + list(CONTENTS).index(path))
                )
                if judgement.row is not None:
                    await self.migrate(judgement.row)

    async def migrate(self, row: PendingImport) -> None:
        """Migrate a row as the pipeline does."""
        sha256, fingerprint = CONTENTS[row.path], print_of(1 + list(CONTENTS).index(row.path))
        (result,) = await migrate(self.catalogue, order(row, sha256, fingerprint=fingerprint))
        if result.outcome is Outcome.CLAIMED:
            reading = Reading(row.path, sha256, fingerprint, pending_id=row.id)
            await self.catalogue.judge_claims(reading, None, "", [], NOW, lambda _: None)
            row = await self.catalogue.pending(row.id) or row
            (result,) = await migrate(self.catalogue, order(row, sha256, fingerprint=fingerprint))
        assert result.outcome in (Outcome.DONE, Outcome.CONFLICTED)

    def end(self) -> dict[str, list[tuple[object, ...]]]:
        """Return what the catalogue says; times aside, and who says it."""
        tagged = (
            "(SELECT group_concat(name) FROM (SELECT name FROM tags JOIN {} ON id = tag_id WHERE {} ORDER BY name))"
        )
        tags = tagged.format("model_tags", "model_hash = sha256")
        waiting = tagged.format("pending_model_tags", "model_id = pending_import.id")
        # A model that lies nowhere is where it was last: that is a matter of the order.
        path = "(SELECT models.path FROM locations WHERE locations.sha256 = models.sha256)"
        models = rows_of(
            self.file,
            f"SELECT meta_json, sha256, {path}, name, type, base, size_bytes, {tags} FROM models ORDER BY 2",
        )
        rows = rows_of(
            self.file,
            f"SELECT meta_json, path, sha256, state, name, type, base, {waiting} FROM pending_import ORDER BY 2",
        )
        return {
            "models": [(json.loads(meta), *rest) for meta, *rest in models],
            "locations": rows_of(self.file, "SELECT path, sha256, state, claimed, inode, said_json FROM locations"),
            "queue": [(json.loads(meta), *rest) for meta, *rest in rows],
        }


async def live(empty: Path, rows: Sequence[StagedRow], steps: Sequence[str]) -> dict[str, list[tuple[object, ...]]]:
    """Go through steps, then through all that is left to do; returns how the catalogue ends."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        world = World(Path(shutil.copy(empty, Path(folder) / "modelkeep.db")), rows)
        try:
            for step in [*steps, *(step for step in STEPS if step != "import")]:
                await world.do(step)
            for step in STEPS[1:]:
                await world.do(step)
        finally:
            world.catalogue.close()
        return world.end()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("orders") / "modelkeep.db"
    Catalogue.open(file).close()
    assert dump(file)["models"] == []
    return file


CLAIM = st.sampled_from(["", A, B, NOWHERE])


@given(steps=st.permutations(STEPS), claims=st.tuples(CLAIM, CLAIM), differs=st.booleans())
@example(steps=[f"detect {ONE}", "import", f"hash {ONE}"], claims=(NOWHERE, ""), differs=True)
@example(steps=[f"detect {ONE}", f"hash {ONE}", "import"], claims=(NOWHERE, ""), differs=True)
@example(steps=["import", f"confirm {ONE}", f"confirm {TWO}"], claims=(NOWHERE, NOWHERE), differs=False)
@example(steps=[f"detect {TWO}", f"hash {TWO}", "import", f"confirm {ONE}"], claims=(B, B), differs=False)
@settings(max_examples=12, deadline=None)
def test_any_order_ends_the_same(empty: Path, steps: list[str], claims: tuple[str, str], differs: bool) -> None:
    rows = [
        said(number, path, claim, differs=differs)
        for number, (path, claim) in enumerate(zip(CONTENTS, claims, strict=True), start=1)
    ]
    assert asyncio.run(live(empty, rows, steps)) == asyncio.run(live(empty, rows, ["import"]))
