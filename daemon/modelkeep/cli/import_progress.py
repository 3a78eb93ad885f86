"""Run an import wherever it can run, and show how far it is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from modelkeep.cli.client import DaemonClient, connect
from modelkeep.cli.exits import terminated_in_order
from modelkeep.cli.output import console
from modelkeep.domain.legacy import ImportOrder
from modelkeep.errors import DaemonError, SourceError

if TYPE_CHECKING:
    from modelkeep.settings.model import Settings

Json = dict[str, Any]
Receive = Callable[[Json], None]

_PHASES = {"reading": "reading the source", "images": "images", "writing": "writing", "done": "done"}


def run_import(settings: "Settings", order: ImportOrder) -> tuple[Json, bool]:
    """Import and return the report, and whether a running daemon did it.

    Raises:
        SourceError: the source cannot be read at all.
        DataDirectoryBusy: another import is at work, or a daemon that has no socket.
    """
    reports: list[Json] = []
    client = connect(settings)
    with _progress_shown() as show:

        def receive(value: Json) -> None:
            if "progress" in value:
                show(value["progress"])
            elif "report" in value:
                reports.append(value["report"])
            elif "error" in value:
                raise SourceError(str(value["error"]))

        if client is not None:
            with client:
                _through_daemon(client, order, receive)
        else:
            with terminated_in_order():
                asyncio.run(_on_files(settings, order, receive))
    if not reports:
        raise DaemonError("the import ended without a report; the daemon stopped, or its log says why")
    return reports[-1], client is not None


def _through_daemon(client: DaemonClient, order: ImportOrder, receive: Receive) -> None:
    body = {
        "kind": order.kind,
        "source": order.source,
        "images": order.images,
        "map": [list(pair) for pair in order.path_map],
        "dry_run": order.dry_run,
    } | ({"again": True} if order.again else {})
    for value in client.post_stream("/api/import", body):
        receive(value)


async def _on_files(settings: "Settings", order: ImportOrder, receive: Receive) -> None:
    from modelkeep.service.offline import OfflineWriter

    with _data_folder_for(settings, order) as chosen:
        async with OfflineWriter(chosen) as writer:
            values: AsyncIterator[Json] = writer.import_source(order)
            async for value in values:
                receive(value)


@contextmanager
def _data_folder_for(settings: "Settings", order: ImportOrder) -> Iterator["Settings"]:
    """Have a dry run use an empty data folder that goes away again, where there is none yet."""
    if not order.dry_run or settings.data_dir.exists():
        yield settings
        return
    with TemporaryDirectory(prefix="modelkeep-") as folder:
        yield settings.model_copy(update={"data_dir": Path(folder)})


@contextmanager
def _progress_shown() -> Iterator[Receive]:
    """Offer what draws a bar for each phase on a terminal, and nothing elsewhere."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=out, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(progress: Json) -> None:
            phase = str(progress["phase"])
            if phase == "done":
                return
            if phase not in tasks:
                tasks[phase] = bars.add_task(_PHASES.get(phase, phase), total=None)
            bars.update(tasks[phase], completed=progress["done"], total=progress["total"] or None)

        yield show
