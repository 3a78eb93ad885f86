"""One way to ask what is known: the daemon where it runs, else the files."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from modelkeep.api import shapes
from modelkeep.cli.client import DaemonClient, Json, connect
from modelkeep.errors import NotFound

if TYPE_CHECKING:
    from modelkeep.service.offline import OfflineReader
    from modelkeep.settings.model import Settings

_PAGE = 1000


class Reader(Protocol):
    """What commands that only read need; every answer has the shape of the HTTP interface.

    A `limit` of 0 means all.
    """

    def status(self) -> Json:
        """Return the state, as `status --json` prints it."""

    def models(self, *, type_: str | None, query: str, tag: str, limit: int) -> list[Json]:
        """Return the models of a type, whose name or path holds a text, which carry a tag."""

    def find_models(self, text: str) -> list[Json]:
        """Return the models that a hash (or its beginning), a path or a name means."""

    def model(self, sha256: str) -> Json:
        """Return a model with its pictures and locations, or raise NotFound."""

    def duplicates(self) -> Json:
        """Return the contents that lie at several places, and what could be freed."""

    def pending(self, *, state: str | None, limit: int) -> list[Json]:
        """Return the rows of the queue in a state."""

    def pending_details(self, pending_id: int) -> Json:
        """Return both sides of a row of the queue, or raise NotFound."""


class DaemonReader:
    """Asks the running daemon."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def status(self) -> Json:
        """Return the state, as `status --json` prints it."""
        answer: Json = self._client.get("/api/status")
        return answer

    def models(self, *, type_: str | None, query: str, tag: str, limit: int) -> list[Json]:
        """Return the models of a type, whose name or path holds a text, which carry a tag."""
        return self._pages("/api/models", "models", limit, type=type_, q=query or None, tag=tag or None)

    def find_models(self, text: str) -> list[Json]:
        """Return the models that a hash (or its beginning), a path or a name means."""
        return list(self._client.get("/api/models/find", q=text)["models"])

    def model(self, sha256: str) -> Json:
        """Return a model with its pictures and locations."""
        answer: Json = self._client.get(f"/api/models/{sha256}/details")
        return answer

    def duplicates(self) -> Json:
        """Return the contents that lie at several places, and what could be freed."""
        answer: Json = self._client.get_slowly("/api/duplicates")
        return answer

    def pending(self, *, state: str | None, limit: int) -> list[Json]:
        """Return the rows of the queue in a state."""
        return self._pages("/api/pending", "pending", limit, state=state)

    def pending_details(self, pending_id: int) -> Json:
        """Return both sides of a row of the queue."""
        answer: Json = self._client.get(f"/api/pending/{pending_id}")
        return answer

    def _pages(self, path: str, key: str, limit: int, **parameters: object) -> list[Json]:
        """Collect page after page: one answer with everything would keep the daemon from its other callers."""
        rows: list[Json] = []
        while True:
            size = min(_PAGE, limit - len(rows)) if limit else _PAGE
            page = list(self._client.get(path, limit=size, offset=len(rows), **parameters)[key])
            rows += page
            if len(page) < size or len(rows) == limit:
                return rows


class FilesReader:
    """Asks the files, when no daemon runs; answers exactly what the daemon would."""

    def __init__(self, files: "OfflineReader", runner: asyncio.Runner) -> None:
        self._files = files
        self._runner = runner

    def status(self) -> Json:
        """Return the state, as `status --json` prints it."""
        return self._runner.run(self._files.status())

    def models(self, *, type_: str | None, query: str, tag: str, limit: int) -> list[Json]:
        """Return the models of a type, whose name or path holds a text, which carry a tag."""
        rows = self._runner.run(self._files.models(type=type_, q=query, tag=tag, limit=limit, offset=0))
        return [shapes.model_listed(model, images_count) for model, images_count in rows]

    def find_models(self, text: str) -> list[Json]:
        """Return the models that a hash (or its beginning), a path or a name means."""
        return [shapes.model_found(model) for model in self._runner.run(self._files.find_models(text))]

    def model(self, sha256: str) -> Json:
        """Return a model with its pictures and locations."""
        details = self._runner.run(self._files.model(sha256))
        if details is None:
            raise NotFound(f"there is no model {sha256}")
        return shapes.model_details(details)

    def duplicates(self) -> Json:
        """Return the contents that lie at several places, and what could be freed."""
        return shapes.duplicates(self._runner.run(self._files.duplicates()))

    def pending(self, *, state: str | None, limit: int) -> list[Json]:
        """Return the rows of the queue in a state."""
        rows = self._runner.run(self._files.pending(state=state, limit=limit, offset=0))
        return [shapes.queue_row(row) for row in rows]

    def pending_details(self, pending_id: int) -> Json:
        """Return both sides of a row of the queue."""
        details = self._runner.run(self._files.pending_details(pending_id))
        if details is None:
            raise NotFound(f"there is no row {pending_id} in the queue")
        return shapes.pending_details(details)


@contextmanager
def open_reader(settings: "Settings") -> Iterator[Reader]:
    """Offer whoever can answer: the running daemon, else the files.

    Raises:
        DaemonError: the daemon runs for another user.
        CatalogueError: the daemon is off and the catalogue cannot be read.
    """
    client = connect(settings)
    if client is not None:
        with client:
            yield DaemonReader(client)
        return
    with _on_files(settings) as reader:
        yield reader


@contextmanager
def _on_files(settings: "Settings") -> Iterator[Reader]:
    from modelkeep.service.offline import OfflineReader

    with asyncio.Runner() as runner:
        files = OfflineReader(settings)
        runner.run(files.__aenter__())
        try:
            yield FilesReader(files, runner)
        finally:
            runner.run(files.__aexit__(None, None, None))
