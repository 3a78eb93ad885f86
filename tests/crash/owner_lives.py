"""The short lives in which the owner does one thing by hand: open a data folder, do it, close.

`library` makes the folder from which the others start: a model of four images, one whose file is gone, with two
images, one that could not be used and a row in conflict with it, and one of the same tensors.
"""

import io
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from tests.crash.job import Job
from tests.crash.lives import Acknowledge
from tests.image_files import png, text_as_image

from modelkeep.base.clock import now_ms
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.owner import OwnerActs
from modelkeep.changes.tag_acts import TagActs
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.edits import Edit
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, SourceRecord, Text
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow
from modelkeep.service.holdings import Holdings, open_holdings
from modelkeep.settings.model import JournalSettings, Settings

IMAGED, GONE, ALONE = "1" * 64, "2" * 64, "3" * 64
IMAGES = {IMAGED: (1, 2, 3, 4), GONE: (5, 6), ALONE: (7,)}
"""Seeds of each model's images."""

ADDED = 9
"""Seed of the image that is added."""

_REFUSED = "77.png"
_SINCE_MS = 1_735_689_600_000


def image(seed: int) -> bytes:
    """Return the image of a seed; decoding it is not what is tested."""
    return png(seed, (48, 32))


Act = Callable[[OwnerActs, TagActs, Adoption], Awaitable[object]]

EDIT = Edit(name="edited", meta={"description": "other words", "kept": [1]}, tags=[])

RECORD = SourceRecord(
    "lora-manager",
    "/models/loras/0.metadata.json",
    "1",
    ("/models/loras/0.safetensors",),
    meaning=Meaning(description=Text("other words"), notes="mine", tags=("adopted",), trigger_words=("hero",)),
    owned=frozenset({"description", "notes"}),
    claims=(HashClaim(HashKind.SHA256, ALONE, Grade.D),),
    raw={"whole": True},
)
"""What another tool says of the first model; of its description the owner has other words."""

ACTS: dict[str, Act] = {
    "remove the first": lambda acts, *_: acts.remove_image(IMAGED, 0),
    "remove the last": lambda acts, *_: acts.remove_image(IMAGED, 3),
    "add": lambda acts, *_: acts.add_image(IMAGED, io.BytesIO(image(ADDED))),
    "purge": lambda acts, *_: acts.purge(GONE),
    "edit": lambda acts, *_: acts.edit(IMAGED, EDIT, lambda _: True),
    "inherit": lambda acts, *_: acts.inherit(ALONE, GONE),
    "rename a tag": lambda _, tags, __: tags.change(1, "renamed", "#abc"),
    "remove a tag": lambda _, tags, __: tags.remove(1),
    "adopt": lambda _, __, adoption: adoption.take([Arrival(RECORD)]),
}


async def make_library(job: Job, acknowledge: Acknowledge) -> None:
    """Make the folder from which the others start."""
    async with _opened(job) as (kept, acts):
        rows = [_staged(sha256, number) for number, sha256 in enumerate(IMAGES)]
        await kept.catalogue.import_rows("hikaze-v1", "/old", rows, _SINCE_MS, lambda _: None)
        contents = [ContentRow(sha256, "safetensors", tensors="f" * 64) for sha256 in (GONE, ALONE)]
        await kept.catalogue.keep_contents(contents)
        for sha256, seeds in IMAGES.items():
            for seed in seeds:
                await acts.add_image(sha256, io.BytesIO(image(seed)))
        kept.images.pending_path(_REFUSED).write_bytes(text_as_image())
    with closing(sqlite3.connect(Path(job.data_dir) / "modelkeep.db")) as connection, connection:
        connection.execute("INSERT INTO refused_pictures VALUES (?, ?, 'no image', ?)", (_REFUSED, GONE, _SINCE_MS))
        connection.execute("UPDATE locations SET claimed = 0, said_json = '[]' WHERE sha256 = ?", (IMAGED,))
        conflict = ("/models/copy.safetensors", GONE, _SINCE_MS)
        connection.execute(
            "INSERT INTO pending_import (path, sha256, source, state, due_at) VALUES (?, ?, 'x', 'conflict', ?)",
            conflict,
        )
    acknowledge("closed")


async def open_only(job: Job, acknowledge: Acknowledge) -> None:
    """Open and close."""
    async with _opened(job):
        acknowledge("recovered")


def _life_of(act: Act) -> Callable[[Job, Acknowledge], Coroutine[Any, Any, None]]:
    async def live(job: Job, acknowledge: Acknowledge) -> None:
        async with _opened(job) as (kept, acts):
            acknowledge("recovered")
            adoption = Adoption(kept.catalogue, kept.changes, lambda: _SINCE_MS)
            await act(acts, TagActs(kept.catalogue, kept.changes, now_ms), adoption)
            acknowledge("done")
        acknowledge("closed")

    return live


@asynccontextmanager
async def _opened(job: Job) -> AsyncIterator[tuple[Holdings, OwnerActs]]:
    journal = JournalSettings(segment_bytes=job.segment_bytes, keep_segments=job.keep_segments)
    async with open_holdings(Settings(data_dir=Path(job.data_dir), journal=journal), "a test") as kept:
        yield kept, OwnerActs(kept.catalogue, kept.images, kept.changes, now_ms)


def _staged(sha256: str, number: int) -> StagedRow:
    path = f"/models/loras/{number}.safetensors"
    row = LegacyRow(
        key=str(number),
        digest=str(number),
        path=path,
        original_path=path,
        claim=sha256,
        name=f"model {number}",
        type="loras",
        tags=(LegacyTag("kept"), LegacyTag(f"of {number}")),
        meta={"description": f"words {number}"},
    )
    return StagedRow(row, on_disk=None if sha256 == GONE else Fingerprint(1, number, 10, _SINCE_MS))


PROGRAMS: dict[str, Callable[[Job, Acknowledge], Coroutine[Any, Any, None]]] = {
    "library": make_library,
    "nothing": open_only,
    **{name: _life_of(act) for name, act in ACTS.items()},
}
