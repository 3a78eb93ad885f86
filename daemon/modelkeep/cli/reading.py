"""One way to ask what is known: the daemon where it runs, else the files. The questions are `service.library`'s."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelkeep.cli.client import DaemonClient, Json, connect
from modelkeep.cli.exits import complain
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.errors import CatalogueMissing

if TYPE_CHECKING:
    from modelkeep.service.library import Library
    from modelkeep.settings.model import Settings

_PAGE = 20_000
"""Each page passes over all before it: half a million rows in pages of 1,000 take the daemon nearly twice as long."""


class Reader:
    """Asks questions at the paths of the HTTP interface; every answer has the shape that it has there.

    Args:
        get: answers one.
    """

    def __init__(self, get: Callable[..., Any]) -> None:
        self.get = get
        """Takes a path, with the names of parameters in braces, and the parameters; raises NotFound."""

    def rows(self, path: str, limit: int, **parameters: object) -> list[Json]:
        """Return at most so many rows of a list, 0 for all.

        They come page after page: one answer with everything would keep the daemon from its other callers.
        """
        rows: list[Json] = []
        while True:
            size = min(_PAGE, limit - len(rows)) if limit else _PAGE
            (page,) = self.get(path, limit=size, offset=len(rows), **parameters).values()
            rows += page
            if len(page) < size or len(rows) == limit:
                return rows


@contextmanager
def open_reader(settings: "Settings", *, warns: bool = True) -> Iterator[Reader]:
    """Offer whoever can answer: the running daemon, else the files.

    A catalogue that nobody has made yet answers as an empty one does.

    Args:
        settings: whose daemon and files.
        warns: say on standard error if there is no catalogue: its folder may be mistyped.

    Raises:
        DaemonError: the daemon runs for another user.
        CatalogueError: the daemon is off and the catalogue cannot be read.
    """
    client = connect(settings)
    if client is not None:
        with client:
            yield daemon_reader(client)
        return
    from modelkeep.service.library import resting_library

    if warns:
        _warn_without_catalogue(DataDirectory(settings.data_dir))
    with asyncio.Runner() as runner, resting_library(settings) as library:
        yield _files_reader(library, runner)


def _warn_without_catalogue(directory: DataDirectory) -> None:
    try:
        directory.require_catalogue()
    except CatalogueMissing as error:
        complain(str(error))


def daemon_reader(client: DaemonClient) -> Reader:
    """Return a reader that asks a running daemon."""
    return Reader(client.get)


def _files_reader(library: "Library", runner: asyncio.Runner) -> Reader:
    def get(path: str, *, slowly: bool = False, **parameters: object) -> Any:  # noqa: ARG001 - files have all the time
        given = {key: value for key, value in parameters.items() if value is not None}
        return runner.run(library.ask(path, **given))

    return Reader(get)
