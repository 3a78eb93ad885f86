"""The few changes that also work without a daemon: through it where it runs, else on the files under their lock."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelkeep.cli.client import connect
from modelkeep.errors import Busy, Conflict, ModelkeepError, NotFound

if TYPE_CHECKING:
    from modelkeep.settings.model import Settings


def retry_rows(settings: "Settings", rows: Sequence[int] | None) -> int:
    """Make rows due now, None for all that failed or are missing; return how many there were.

    Raises:
        NotFound: there is no such row.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        return asyncio.run(_retry_on_files(settings, rows))
    with client:
        answer = client.post("/api/pending/retry", {"ids": list(rows) if rows is not None else None})
        return int(answer["retried"])


def drop_row(settings: "Settings", row: int) -> None:
    """Forget a row of the queue and its picture.

    Raises:
        NotFound: there is no such row.
        Busy: it is being migrated at this moment.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        asyncio.run(_drop_on_files(settings, row))
        return
    with client:
        client.delete(f"/api/pending/{row}")


def purge_models(settings: "Settings", hashes: Sequence[str]) -> dict[str, ModelkeepError]:
    """Forget models with all that is known of them; return why some are kept, by hash.

    Raises:
        DataDirectoryBusy: another program is changing the files.
        DaemonError: the daemon cannot be asked any more.
    """
    client = connect(settings)
    if client is None:
        return asyncio.run(_purge_on_files(settings, hashes))
    failures: dict[str, ModelkeepError] = {}
    with client:
        for sha256 in hashes:
            try:
                client.delete(f"/api/models/{sha256}")
            except (Conflict, NotFound, Busy) as error:
                failures[sha256] = error
    return failures


async def _purge_on_files(settings: "Settings", hashes: Sequence[str]) -> dict[str, ModelkeepError]:
    from modelkeep.service.offline import OfflineWriter

    failures: dict[str, ModelkeepError] = {}
    async with OfflineWriter(settings) as writer:
        for sha256 in hashes:
            try:
                await writer.purge(sha256)
            except (Conflict, NotFound, Busy) as error:
                failures[sha256] = error
    return failures


async def _retry_on_files(settings: "Settings", rows: Sequence[int] | None) -> int:
    from modelkeep.service.offline import OfflineWriter

    async with OfflineWriter(settings) as writer:
        return await writer.retry(rows)


async def _drop_on_files(settings: "Settings", row: int) -> None:
    from modelkeep.service.offline import OfflineWriter

    async with OfflineWriter(settings) as writer:
        await writer.drop(row)
