"""The few changes that also work without a daemon: through it where it runs, else on the files under their lock."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from modelkeep.cli.client import Json, connect
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.errors import Busy, Conflict, ModelkeepError, NotFound

if TYPE_CHECKING:
    from modelkeep.api.shapes import Shape
    from modelkeep.service.offline import OfflineWriter
    from modelkeep.settings.model import Settings

T = TypeVar("T")


def retry_rows(settings: "Settings", rows: Sequence[int] | None) -> int:
    """Make rows due now, None for all that failed or are missing; return how many there were.

    Raises:
        NotFound: there is no such row.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        return _on_files(settings, lambda writer: writer.retry(rows))
    with client:
        answer = client.post("/api/pending/retry", {"ids": list(rows) if rows is not None else None})
        return int(answer["retried"])


def drop_row(settings: "Settings", row: int) -> None:
    """Forget a row of the queue and its image.

    Raises:
        NotFound: there is no such row.
        Busy: it is being migrated at this moment.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        _on_files(settings, lambda writer: writer.drop(row))
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
        return _on_files(settings, lambda writer: _purge_each(writer, hashes))
    failures: dict[str, ModelkeepError] = {}
    with client:
        for sha256 in hashes:
            try:
                client.delete(f"/api/models/{sha256}")
            except (Conflict, NotFound, Busy) as error:
                failures[sha256] = error
    return failures


def edit_model(settings: "Settings", known: "Shape", changes: Json) -> Json:
    """Change what a model says, unless it is no longer as it is known; return it as it is then.

    Args:
        settings: whose catalogue.
        known: the whole model.
        changes: those of its keys that shall be another.

    Raises:
        Outdated: somebody changed it meanwhile.
        NotFound: there is no such model any more.
        DataDirectoryBusy: another program is changing the files.
    """
    from modelkeep.api.etags import etag_of

    tag, client = etag_of(known), connect(settings)
    if client is None:
        from modelkeep.api.requests import ModelEdit

        edit = ModelEdit.model_validate(changes).edit
        return _on_files(settings, lambda writer: writer.edit(known["sha256"], edit, lambda now: etag_of(now) == tag))
    with client:
        after: Json = client.patch(f"/api/models/{known['sha256']}", changes, if_match=tag)
        return after


def inherit(settings: "Settings", sha256: str, origin: str) -> None:
    """Have a model take over what is known of another with the same tensors.

    Raises:
        NotFound: there is no such model any more.
        Conflict: they have not the same tensors.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        _on_files(settings, lambda writer: writer.inherit(sha256, origin))
        return
    with client:
        client.post(f"/api/models/{sha256}/inherit", {"origin": origin})


def confirm(settings: "Settings", sha256: str) -> None:
    """Read a model's file for its BLAKE3, unless that is known.

    Raises:
        NotFound: there is no such model any more.
        Conflict: no file of it is there.
        HashError: the file cannot be read.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        _on_files(settings, lambda writer: writer.confirm(sha256))
        return
    with client:
        client.post(f"/api/models/{sha256}/confirm", patient=True)


def resolve_orphans(settings: "Settings", records: Sequence[int], sha256: str) -> None:
    """Give source records to a model, or drop them when none is named: all of them, or nothing.

    Raises:
        NotFound: one of them is no record without a model, or there is no such model.
        DataDirectoryBusy: another program is changing the files.
    """
    client = connect(settings)
    if client is None:
        _on_files(settings, lambda writer: writer.resolve_orphans(records, sha256))
        return
    with client:
        client.post("/api/orphans/resolve", {"ids": list(records), "sha256": sha256}, patient=True)


def add_tags(settings: "Settings", names: Sequence[str]) -> list[Json]:
    """Make tags, and return them; a name that there is stands for the tag that has it."""
    client = connect(settings)
    if client is None:
        from modelkeep.api import shapes

        made = _on_files(settings, lambda writer: writer.tags.add(*names), makes_catalogue=True)
        return [shapes.tag(tag) for tag in made]
    with client:
        answer: list[Json] = client.post("/api/tags_add", {"newtags": list(names)})["tags"]
        return answer


def change_tag(settings: "Settings", tag_id: int, name: str, color: str | None) -> None:
    """Give a tag another name, and another colour where one is given.

    Raises:
        NotFound: there is no such tag any more.
        Conflict: another tag has the name.
    """
    client = connect(settings)
    if client is None:
        _on_files(settings, lambda writer: writer.tags.change(tag_id, name, color))
        return
    with client:
        client.patch(f"/api/tags/{tag_id}", {"name": name, "color": color})


def remove_tags(settings: "Settings", ids: Sequence[int]) -> None:
    """Delete tags.

    Raises:
        NotFound: there is no such tag any more.
    """
    client = connect(settings)
    if client is None:
        _on_files(settings, lambda writer: _remove_each(writer, ids))
        return
    with client:
        for tag_id in ids:
            client.delete(f"/api/tags/{tag_id}")


def _on_files(
    settings: "Settings", act: Callable[["OfflineWriter"], Awaitable[T]], *, makes_catalogue: bool = False
) -> T:
    from modelkeep.service.offline import OfflineWriter

    if not makes_catalogue:
        DataDirectory(settings.data_dir).require_catalogue()

    async def carried_out() -> T:
        async with OfflineWriter(settings) as writer:
            return await act(writer)

    return asyncio.run(carried_out())


async def _purge_each(writer: "OfflineWriter", hashes: Sequence[str]) -> dict[str, ModelkeepError]:
    failures: dict[str, ModelkeepError] = {}
    for sha256 in hashes:
        try:
            await writer.purge(sha256)
        except (Conflict, NotFound, Busy) as error:
            failures[sha256] = error
    return failures


async def _remove_each(writer: "OfflineWriter", ids: Sequence[int]) -> None:
    for tag_id in ids:
        await writer.tags.remove(tag_id)
