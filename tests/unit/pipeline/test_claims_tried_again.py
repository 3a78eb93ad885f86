"""Claims and doubts are read as soon as they can be: no sweep has to come for what was not there for a moment."""

import os
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import location_at
from tests.libraries import safetensors, sha256_of
from tests.waiting import wait_until_async

from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.content_facts import ContentFacts
from modelkeep.domain.detection import Moved, Rename
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.values import Location
from modelkeep.errors import HashError
from modelkeep.pipeline import refill
from modelkeep.pipeline.contents import Contents

from .test_judging import line as line  # a fixture
from .test_judging import workers as workers
from .test_runner import Line


def seen(path: str) -> Fingerprint:
    status = fingerprint_of(path)
    assert status is not None
    return status


async def known(line: Line, name: str = "a.safetensors") -> str:
    """Bring a file into the catalogue."""
    row = await line.found(name, safetensors("a"))
    await line.migrated(row.path)
    line.pool.begun.clear()
    line.touched.clear()
    return row.path


async def doubt(line: Line, *paths: str) -> None:
    assert await line.catalogue.doubt({path: seen(path) for path in paths}, line.now) == []
    line.pipeline.doubted(paths)


@pytest.mark.parametrize("told", ["looked at", "renamed", "exchanged"])
async def test_a_file_that_was_not_there_when_it_was_to_be_read_is_read_when_it_is(line: Line, told: str) -> None:
    path = await known(line)
    away = str(Path(path).with_suffix(".away"))
    os.rename(path, away)  # noqa: PTH104 - pathlib may not be used on an event loop
    await line.catalogue.distrust([path])
    line.pipeline.doubted([path])
    await wait_until_async(lambda: line.absent == [path])
    os.rename(away, path)  # noqa: PTH104
    if told == "looked at":
        line.pipeline.looked_at([path])
    elif told == "renamed":
        line.pipeline.renamed(Moved("/elsewhere", path))
    else:
        line.pipeline.exchanged([Moved("/elsewhere", path)])
    assert await line.migrated(path)
    assert line.pool.begun == [path]


async def test_a_file_of_which_something_is_known_anew_while_it_is_looked_at_is_read(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await known(line)
    new = str(Path(path).with_name("b.safetensors"))
    mark_claims = line.catalogue.mark_claims

    async def rename_and_mark(*arguments: Any) -> Any:
        monkeypatch.undo()
        os.rename(path, new)  # noqa: PTH104
        await line.catalogue.move_paths([Rename(path, new)], line.now)
        os.rename(new, path)  # noqa: PTH104
        await line.catalogue.move_paths([Rename(new, path, seen=seen(path))], line.now)
        return await mark_claims(*arguments)

    monkeypatch.setattr(line.catalogue, "mark_claims", rename_and_mark)
    await doubt(line, path)
    assert await line.migrated(path)
    assert line.pool.begun == [path]


@pytest.mark.parametrize("told", ["looked at", "renamed", "exchanged"])
async def test_a_doubt_that_went_along_with_a_rename_is_read(line: Line, told: str) -> None:
    """It was tried under the old name, if at all, and whoever followed the rename did not see the file."""
    path = await known(line)
    new = str(Path(path).with_name("b.safetensors"))
    await line.catalogue.distrust([path])
    os.rename(path, new)  # noqa: PTH104
    moved = await line.catalogue.move_paths([Rename(path, new)], line.now)
    if told == "looked at":
        line.pipeline.looked_at([new])
    elif told == "renamed":
        line.pipeline.renamed(moved[0])
    else:
        line.pipeline.exchanged(moved)
    assert await line.migrated(new)
    assert line.pool.begun == [new]


async def test_what_was_said_of_one_name_settles_no_other_when_it_is_another_content(line: Line) -> None:
    path = await known(line)
    other = str(Path(path).with_name("b.safetensors"))
    os.link(path, other)
    place = await location_at(line.catalogue, path)
    assert place is not None
    await line.catalogue.put_locations([replace(place, path=other, fingerprint=seen(other))], line.now)
    await doubt(line, path, other)
    for name in (path, other):
        await line.hashing(name)
        line.pool.end(name, digest=Digest("f" * 64, seen(name)))
    await wait_until_async(lambda: line.pipeline.is_idle)
    for name in (path, other):
        now = await location_at(line.catalogue, name)
        assert now is not None
        assert (now.sha256, now.doubted) == ("f" * 64, False)


async def test_a_doubt_is_read_when_the_last_file_in_hand_has_failed(line: Line) -> None:
    path = await known(line)
    row = await line.found("other.safetensors", safetensors("b"))
    await line.hashing(row.path)
    await doubt(line, path)
    line.pool.end(row.path, error=HashError("its disk fails"))
    await line.hashing(path)
    line.pool.end(path, digest=Digest(sha256_of(Path(path)), seen(path)))
    await wait_until_async(lambda: line.pipeline.is_idle)


@pytest.mark.parametrize("names", [("one",), ("one", "other")])
async def test_tensors_that_were_left_out_are_read_though_another_content_was_read_so_before(
    line: Line, names: tuple[str, ...]
) -> None:
    for content in names:
        path = (await line.found("a.safetensors", safetensors(content))).path
        for tensors in (None, "7e" * 32):
            await line.hashing(path)
            line.pool.end(path, digest=Digest(sha256_of(Path(path)), seen(path), facts=ContentFacts(tensors=tensors)))
        await wait_until_async(lambda: line.pipeline.is_idle)


@pytest.mark.parametrize("told", ["sweeps", "looked at"])
async def test_a_file_that_cannot_be_read_for_its_tensors_is_tried_again(
    line: Line, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    unread, answers = line.catalogue.unread_contents, deque[list[Location]]()

    async def answer(*asked: Any) -> list[Location]:
        answers.append(await unread(*asked))
        return answers[-1]

    monkeypatch.setattr(line.catalogue, "unread_contents", answer)
    path = (await line.found("a.safetensors", safetensors("a"))).path
    await line.hashing(path)
    line.pool.end(path, digest=Digest(sha256_of(Path(path)), seen(path), facts=ContentFacts(tensors=None)))
    await line.hashing(path)
    line.pool.end(path, error=HashError("its disk fails"))
    await wait_until_async(lambda: answers and not answers[-1], what="nothing else to be left to do")
    if told == "sweeps":
        for _ in range(refill.UNREAD_SWEEPS - 1):
            line.pipeline.sweep()
        await wait_until_async(lambda: not line.pipeline._refill._asked.is_set())
        assert line.pool.begun.count(path) == 2
        line.pipeline.sweep()
    else:
        line.pipeline.looked_at([path])
    await line.hashing(path)
    line.pool.end(path, digest=Digest(sha256_of(Path(path)), seen(path), facts=ContentFacts(tensors="7e" * 32)))
    await wait_until_async(lambda: line.pipeline.is_idle)


async def test_where_a_file_cannot_be_read_for_its_tensors_another_of_the_same_content_is(line: Line) -> None:
    def digest(path: str, tensors: str | None) -> Digest:
        return Digest(sha256_of(Path(path)), seen(path), facts=ContentFacts(tensors=tensors))

    line.pipeline.pause()
    one, other = [(await line.found(f"{name}.safetensors", safetensors("a"))).path for name in "ab"]
    line.pipeline.resume()
    for path in (one, other):
        await line.hashing(path)
        line.pool.end(path, digest=digest(path, None))
    await line.hashing(one)
    line.pool.end(one, error=HashError("its disk fails"))
    await line.hashing(other)
    line.pool.end(other, digest=digest(other, "7e" * 32))
    await wait_until_async(lambda: line.pipeline.is_idle)


async def test_what_lacks_its_tensors_is_asked_again_when_some_is_kept_before_the_answer(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await known(line)
    contents = Contents(line.catalogue, wants_tensors=True, successions=None, on_read=lambda _: None)
    asked: list[int] = []

    async def answer_late(limit: int, *_: object) -> list[Location]:
        if limit == 1:  # it is not the pipeline that asks
            asked.append(limit)
        if len(asked) == 1:
            await contents.keep([Digest(sha256_of(Path(path)), seen(path), facts=ContentFacts(tensors=None))])
        return []

    monkeypatch.setattr(line.catalogue, "unread_contents", answer_late)
    for _ in range(4):
        assert await contents.unread(1, [], [str(line.root)]) == []
    assert len(asked) == 2


@pytest.mark.parametrize("told", ["looked at", "its disk is back"])
async def test_a_doubted_file_that_cannot_be_read_is_tried_again_later_each_time_until_something_happens_to_it(
    line: Line, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    path = await known(line)
    claims, offered = line.catalogue.claims, []

    async def offer(*wanted: Any) -> list[Location]:
        offered.append([location.path for location in await claims(*wanted)])
        return await claims(*wanted)

    monkeypatch.setattr(line.catalogue, "claims", offer)
    await doubt(line, path)
    for sweep in range(8):
        if sweep:
            offered.clear()
            line.pipeline.sweep()
            await wait_until_async(lambda: offered)
        if sweep in (0, 1, 3, 7):
            await line.hashing(path)
            line.pool.end(path, error=HashError("its disk fails"))
            await wait_until_async(lambda: line.pipeline.is_idle)
        else:
            assert offered[0] == []
    assert line.pool.begun == [path] * 4
    if told == "its disk is back":
        line.pipeline.try_anew()
    else:
        line.pipeline.looked_at([path])
    assert await line.migrated(path)


@pytest.mark.parametrize("why", ["outside", "absent"])
async def test_claims_that_cannot_be_read_keep_no_other_from_being_read(
    line: Line, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(refill, "CLAIMS_MAX", 2)
    path = line.file("z.safetensors")
    folder = Path("/nowhere") if why == "outside" else line.root
    others = [str(folder / f"{number}.safetensors") for number in range(5)]
    staged = [
        StagedRow(LegacyRow(place, "d", place, place, claim=f"{number:064x}"), on_disk=seen(path))
        for number, place in enumerate([*others, path])
    ]
    await line.catalogue.import_rows("hikaze-v1", "s", staged, line.now, lambda _: None)
    line.pipeline.sweep()
    assert await line.migrated(path)
    assert line.pool.begun == [path]


async def test_a_file_that_was_touched_while_it_was_read_is_looked_at_again_though_no_event_tells_of_its_name(
    line: Line,
) -> None:
    path = await known(line)
    await doubt(line, path)
    await line.hashing(path)
    before = seen(path)
    while seen(path).ctime_ns == before.ctime_ns:  # by another name of it
        os.chmod(path, 0o600)  # noqa: PTH101
    line.pool.end(path, digest=Digest(sha256_of(Path(path)), before))
    await wait_until_async(lambda: line.touched, what="it to be looked at")
    assert line.touched == [path]
    line.pipeline.looked_at([path])
    await line.hashing(path)
    line.pool.end(path, digest=Digest(sha256_of(Path(path)), seen(path)))
    await wait_until_async(lambda: line.pipeline.is_idle)
    place = await location_at(line.catalogue, path)
    assert place is not None
    assert place.is_read
