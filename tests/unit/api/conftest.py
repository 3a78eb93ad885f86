"""A backend that keeps what it knows in memory, and a client of the guarded application that needs no socket."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import httpx
import pytest
from fastapi import FastAPI

from modelkeep.api.access import AccessRules, Transport
from modelkeep.api.app import create_app, guarded
from modelkeep.api.shapes import Shape, model_full
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.adopting import KeptRecord
from modelkeep.domain.browsing import Order, TypeCount, Wanted
from modelkeep.domain.details import ModelDetails, PendingDetails, RefusedImage
from modelkeep.domain.duplicates import Duplicate
from modelkeep.domain.edits import Edit, edited
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.notices import Notice
from modelkeep.domain.orphans import Offer, OfferedBy, Orphan
from modelkeep.domain.sources import ModelSources
from modelkeep.domain.tag_acts import CarriedTag
from modelkeep.domain.values import (
    Action,
    ImageRow,
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    Strategy,
    Tag,
)
from modelkeep.errors import NotFound, Outdated
from modelkeep.journal.query import Query
from modelkeep.service.library import Library

if TYPE_CHECKING:
    from modelkeep.catalogue.catalogue import Catalogue

A = "a" * 64
B = "b" * 64
ORPHAN = Orphan(
    KeptRecord(5, SourceRecord("rgthree", "/m/old.safetensors.rgthree-info.json", "1", stem="old", raw={"x": 1})),
    (Offer(A, "/m/new.safetensors", OfferedBy.HASH, 1.0),),
)


def known_model() -> ModelDetails:
    model = Model(
        sha256=A,
        path="/srv/models/loras/hero.safetensors",
        name="Hero",
        type="loras",
        base="SDXL",
        size_bytes=5,
        created_at=1735689600000,
        meta={"description": "d", "prompts": {"positive": "p", "seed": 7}, "trained_words": ["hero"]},
        tags=(Tag(1, "character", "#fff"),),
    )
    fingerprint = Fingerprint(1, 2, 5, 3)
    places = (Location(model.path, A, LocationState.PRESENT, fingerprint, first_seen=1, last_seen=2),)
    return ModelDetails(model, (ImageRow(A, 0, 8, 8, B),), places, (RefusedImage("7.png", A, "no image"),))


def known_row() -> PendingImport:
    return PendingImport(
        id=7,
        path="/srv/models/loras/copy.safetensors",
        name="Copy",
        type="loras",
        meta={"description": None},
        source="hikaze",
        state=PendingState.CONFLICT,
        image="7.png",
        tags=(Tag(2, "style"),),
    )


class FakeLibrary(Library):
    """The library on a catalogue that is two values; what else it would read is given."""

    def __init__(self, backend: "FakeBackend") -> None:
        self._backend = backend
        super().__init__(cast("Catalogue", backend), DataDirectory(Path("/nowhere")), DiskLooks)

    async def status(self) -> dict[str, object]:
        self._backend.fail()
        state = "paused" if self._backend.paused else "running"
        return {"state": state, "paused": state == "paused", "pending": {"waiting": 1}, "hashing": {}, "models": 1}

    async def find_duplicates(self) -> list[Duplicate]:
        known = self._backend.details
        return [Duplicate(known.model, (("/a", "/b"), ("/c",)), ("/d",), known.locations)]

    def image(self, sha256: str, seq: int, quality: str) -> Path:
        self._backend.asked.append(("image", sha256, seq, quality))
        return self._backend.images / f"{sha256[:4]}-{seq}-{quality}.webp"

    async def pending_image(self, pending_id: int, name: str) -> Path | None:
        self._backend.asked.append(("pending image", pending_id, name))
        return self._backend.images / "7.png" if pending_id == 7 and name in ("", "7.png") else None

    def records(self, query: Query, most: int) -> list[dict[str, object]]:
        self._backend.asked.append((*astuple(query), most))
        return [{"seq": 1, "event": "file.detected"}]


class FakeBackend:
    """Answers from two values, notes what it was asked to change, and fails when told to."""

    def __init__(self) -> None:
        self.ready = True
        self.url = "http://127.0.0.1:8189"
        self.library = FakeLibrary(self)
        self.paused = False
        self.details = known_model()
        self.row: PendingDetails | None = PendingDetails(known_row(), self.details, ("name",))
        self.known_tags = (Tag(1, "character", "#fff"), Tag(2, "style"))
        self.changes: list[object] = []
        self.asked: list[object] = []
        self.error: Exception | None = None
        self.told: list[Notice | Exception] = []
        self.stream: list[dict[str, object] | Exception] = []
        self.images = Path("/nowhere")
        self.fates: dict[int, Action | Exception] = {}

    async def hash_path(self, path: str, *, migrate: bool) -> tuple[str, Action | None]:
        self.changes.append(("hash", path, migrate))
        self.fail()
        return A, Action.MERGED if migrate else None

    async def models(
        self,
        *,
        type: str | None,  # noqa: A002 - the protocol's name
        q: str,
        tag: str,
        limit: int,
        offset: int,
    ) -> list[tuple[Model, int]]:
        self.asked.append((type, q, tag, limit, offset))
        self.fail()
        return [(self.details.model, self.details.images_count)]

    async def model_hashes(
        self,
        *,
        type: str | None,  # noqa: A002 - the protocol's name
        q: str,
        tag: str,
        limit: int,
        offset: int,
    ) -> list[str]:
        self.asked.append((type, q, tag, limit, offset))
        self.fail()
        return [self.details.model.sha256]

    async def models_listed(self, hashes: Sequence[str]) -> list[tuple[Model, int]]:
        assert list(hashes) == [self.details.model.sha256]
        return [(self.details.model, self.details.images_count)]

    async def browse(self, wanted: Wanted, order: Order, limit: int, offset: int) -> list[tuple[Model, int]]:
        self.asked.append((wanted, order, limit, offset))
        return [(self.details.model, self.details.images_count)]

    async def count_by_type(self, wanted: Wanted) -> list[TypeCount]:
        self.asked.append(wanted)
        return [TypeCount("", 2), TypeCount("loras", 3)]

    async def model(self, sha256: str) -> ModelDetails | None:
        self.fail()
        return self.details if sha256 == A else None

    async def sources(self, sha256: str) -> ModelSources:
        return ModelSources(sha256)

    async def find_models(self, text: str) -> list[Model]:
        self.asked.append(text)
        return [self.details.model]

    async def types(self) -> list[str]:
        return ["checkpoints", "loras"]

    async def pending_imports(self, state: str | None = None, limit: int = 0, offset: int = 0) -> list[PendingImport]:
        self.asked.append((state, limit, offset))
        return [self.row.pending] if self.row else []

    async def pending_ids(self, state: str | None = None, limit: int = 0, offset: int = 0) -> list[int]:
        self.asked.append((state, limit, offset))
        return [self.row.pending.id] if self.row else []

    async def pendings(self, ids: Sequence[int]) -> dict[int, PendingImport]:
        assert self.row is not None
        assert list(ids) == [self.row.pending.id]
        return {self.row.pending.id: self.row.pending}

    async def pending_details(self, pending_id: int) -> PendingDetails | None:
        return self.row if self.row and self.row.pending.id == pending_id else None

    async def resolve(self, pending_id: int, strategy: Strategy | None, path: str = "") -> tuple[str, Action]:
        self.changes.append(("resolve", pending_id, strategy, *([path] if path else [])))
        self.fail()
        fate = self.fates.get(pending_id, Action.MERGED)
        if isinstance(fate, Exception):
            raise fate
        return A, fate

    async def resolve_in_turn(self, pending_id: int, strategy: Strategy | None) -> tuple[str, Action]:
        return await self.resolve(pending_id, strategy)

    async def retry(self, pending_ids: Sequence[int] | None) -> int:
        self.changes.append(("retry", pending_ids))
        return 1 if pending_ids is None else len(pending_ids)

    async def drop(self, pending_id: int) -> None:
        self.changes.append(("drop", pending_id))
        if self.row is None or self.row.pending.id != pending_id:
            raise NotFound(f"There is no row {pending_id} in the queue.")

    async def edit(self, sha256: str, edit: Edit, is_current: Callable[[Shape], bool]) -> Shape:
        self.changes.append(("edit", sha256, edit))
        self.fail()
        known = self.details
        if not is_current(model_full(known.model, known.images_count)):
            raise Outdated("s")
        after = edited(known.model, known.locations, edit, {tag.id: tag for tag in self.known_tags})
        self.details = replace(known, model=after)
        return model_full(after, known.images_count)

    async def tags(self) -> Sequence[Tag]:
        return self.known_tags

    async def carried_tags(self) -> list[CarriedTag]:
        return [CarriedTag(tag, 1, 2) for tag in self.known_tags]

    async def resolve_orphans(self, record_ids: Sequence[int], sha256: str) -> None:
        self.changes.append(("resolve_orphans", record_ids, sha256))

    async def orphan_ids(self) -> list[int]:
        return [ORPHAN.kept.id]

    async def orphans(self, among_ids: Sequence[int]) -> list[Orphan]:
        return [ORPHAN] if ORPHAN.kept.id in among_ids else []

    async def add_tags(self, names: Sequence[str]) -> Sequence[Tag]:
        self.changes.append(("add tags", *names))
        return [Tag(number, name) for number, name in enumerate(names, start=1)]

    async def change_tag(self, tag_id: int, name: str | None, color: str | None) -> Tag:
        self.changes.append(("change tag", tag_id, name, color))
        self.fail()
        return Tag(tag_id, name or "kept", color or "")

    async def remove_tag(self, tag_id: int) -> int:
        self.changes.append(("remove tag", tag_id))
        self.fail()
        return 4

    async def families(self) -> list[list[Model]]:
        return []

    async def confirm(self, sha256: str) -> None:
        self.changes.append(("confirm", sha256))
        self.fail()

    async def inherit(self, sha256: str, origin: str) -> None:
        self.changes.append(("inherit", sha256, origin))
        self.fail()

    async def purge(self, sha256: str) -> None:
        self.changes.append(("purge", sha256))
        self.fail()

    async def add_image(self, sha256: str, image: BinaryIO) -> int:
        self.changes.append(("add", sha256, image.read()))
        self.fail()
        return 3

    async def remove_image(self, sha256: str, seq: int) -> int:
        self.changes.append(("remove", sha256, seq))
        self.fail()
        return 2

    async def scan(self) -> dict[str, object]:
        self.changes.append("scan")
        return {"status": "success", "scanned": 2, "added": 1, "pending_ids": [8], "skipped": 0}

    async def pause(self) -> None:
        self.changes.append("pause")
        self.paused = True

    async def resume(self) -> None:
        self.changes.append("resume")
        self.paused = False

    def notices(self, after: int | None) -> AsyncIterator[Notice]:
        self.asked.append(("notices", after))
        self.fail()
        return self._told()

    async def _told(self) -> AsyncIterator[Notice]:
        for notice in self.told:
            if isinstance(notice, Exception):
                raise notice
            yield notice

    async def import_source(self, order: ImportOrder) -> AsyncIterator[dict[str, object]]:
        self.changes.append(("import", order))
        for value in self.stream:
            if isinstance(value, Exception):
                raise value
            yield value

    def fail(self) -> None:
        if self.error is not None:
            raise self.error


ClientMaker = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@cache
def _app_for(rules: AccessRules) -> FastAPI:
    """Return an application that is told by each test whom to ask: to make its routes ready takes long."""
    return create_app(FakeBackend(), rules, version="1.2.3")


@pytest.fixture
def make_client(backend: FakeBackend) -> ClientMaker:
    """Return a maker of clients: by default a program on this machine, on TCP, without a token."""

    def make(
        rules: AccessRules | None = None, transport: Transport = Transport.TCP, caller: str = "127.0.0.1"
    ) -> httpx.AsyncClient:
        known = rules or AccessRules(
            allowed_origins=("http://127.0.0.1:8188",), own_names=("workstation",), import_folders=(Path("/old"),)
        )
        app = _app_for(known)
        app.state.backend = backend
        way = httpx.ASGITransport(guarded(app, known, transport), client=(caller, 50000))
        return httpx.AsyncClient(transport=way, base_url="http://127.0.0.1:8189")

    return make


@pytest.fixture
async def client(make_client: ClientMaker) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client() as made:
        yield made
