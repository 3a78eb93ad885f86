"""The store, with a pool of real worker processes."""

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from PIL import Image

from modelkeep.base.workers import WorkerPool
from modelkeep.domain.images import QUALITIES, SOURCE_BYTES
from modelkeep.domain.values import TierFile
from modelkeep.errors import ImageError, WorkerDied
from modelkeep.images.store import ImageStore

P = ParamSpec("P")
T = TypeVar("T")

SHA256 = "ab" * 32


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    workers = WorkerPool(2)
    yield workers
    workers.shutdown()


@pytest.fixture
def store(tmp_path: Path, pool: WorkerPool) -> ImageStore:
    return ImageStore(tmp_path / "images", pool)


@pytest.fixture
def staging(tmp_path: Path, store: ImageStore) -> Path:
    return tmp_path / "images" / ".staging"


@pytest.fixture
def staging_gone(staging: Path) -> None:
    staging.rmdir()


@pytest.fixture
def source(tmp_path: Path, photo: Image.Image) -> Path:
    path = tmp_path / "Photo.PNG"
    photo.save(path)
    return path


@pytest.fixture
def source_digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.fixture
def private_key(tmp_path: Path) -> Path:
    path = tmp_path / "id_rsa"
    path.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tier_files(stem: str, seq: int = 0) -> list[TierFile]:
    return [TierFile(f"{stem}_{quality}.webp", f"{SHA256}_{seq}_{quality}.webp") for quality in QUALITIES]


class DeadlyPool:
    """A real pool in which images whose name begins with "killer" end their worker, as a crashing decoder would."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.workers = pool.workers
        self.running = 0
        self.most_running = 0
        self.deaths = 0
        self.died = asyncio.Event()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if Path(str(args[0])).name.startswith("killer"):
                await self.pool.run(os._exit, 9)
            return await self.pool.run(function, *args, **kwargs)
        except WorkerDied:
            self.deaths += 1
            self.died.set()
            raise
        finally:
            self.running -= 1

    def abandon(self) -> bool:
        return self.pool.abandon()


class EndlessPool(WorkerPool):
    """A pool in which images whose name begins with "endless" are worked at for ever."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if Path(str(args[0])).name.startswith("endless"):
            await super().run(time.sleep, 3600)
        return await super().run(function, *args, **kwargs)


class SilentPool:
    """A pool whose workers never answer."""

    workers = 1
    ends = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def abandon(self) -> bool:
        self.ends += 1
        return True


async def test_a_image_is_rendered_in_a_worker_published_and_found(
    store: ImageStore, source: Path, source_digest: str, staging: Path
) -> None:
    rendered = await store.render(source, "m1")
    assert rendered.source_digest == source_digest
    assert (rendered.width, rendered.height) == (320, 200)
    assert names_in(staging) == sorted(rendered.staged.values())
    store.publish(tier_files("m1"))
    store.sync()
    assert names_in(staging) == []
    for quality in QUALITIES:
        with Image.open(store.published_path(SHA256, 0, quality)) as image:
            assert image.format == "WEBP"


async def test_a_refusal_crosses_the_process_border_as_its_sentence(
    store: ImageStore, tmp_path: Path, staging: Path
) -> None:
    (tmp_path / "text.png").write_bytes(b"only text")
    with pytest.raises(ImageError, match=r"^text\.png is not an image: "):
        await store.render(tmp_path / "text.png", "m1")
    with pytest.raises(ImageError, match=r"^gone\.png is not there"):
        await store.render(tmp_path / "gone.png", "m1")
    assert names_in(staging) == []


async def test_a_name_that_is_not_utf8_is_rendered_and_refused_like_any_other(
    store: ImageStore, tmp_path: Path, photo: Image.Image
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    with pytest.raises(ImageError, match=r"caf\\udce9\.png is not there"):
        await store.render(odd, "m1")
    photo.save(odd)
    assert (await store.render(odd, "m1")).width == 320


async def test_an_error_in_writing_is_no_fault_of_the_image(
    store: ImageStore, source: Path, staging_gone: None
) -> None:
    with pytest.raises(FileNotFoundError):
        await store.render(source, "m1")


async def test_a_image_that_kills_its_worker_is_refused_and_those_beside_it_are_not(
    tmp_path: Path, pool: WorkerPool, source: Path
) -> None:
    deadly = DeadlyPool(pool)
    store = ImageStore(tmp_path / "images", deadly)
    killers = [tmp_path / f"killer{number}.png" for number in range(2)]
    images = [killers[0], source, source, killers[1], source, source]
    outcomes = await asyncio.gather(
        *(store.render(image, f"m{number}") for number, image in enumerate(images)), return_exceptions=True
    )
    for image, outcome in zip(images, outcomes, strict=True):
        if image in killers:
            assert isinstance(outcome, ImageError)
            assert str(outcome) == f"{image.name} made the decoder crash, or run out of memory, twice"
        else:
            assert not isinstance(outcome, BaseException), outcome
    assert deadly.deaths >= 4
    assert len(names_in(tmp_path / "images" / ".staging")) == 4 * len(QUALITIES)


async def test_a_second_try_has_the_pool_to_itself(tmp_path: Path, pool: WorkerPool, source: Path) -> None:
    deadly = DeadlyPool(pool)
    store = ImageStore(tmp_path / "images", deadly)
    guilty = asyncio.create_task(store.render(tmp_path / "killer0.png", "m0"))
    innocent = asyncio.create_task(store.render(source, "m1"))
    await deadly.died.wait()
    late = [asyncio.create_task(store.render(tmp_path / f"killer{number}.png", f"m{number}")) for number in (2, 3, 4)]
    assert (await innocent).width == 320
    for task in (guilty, *late):
        with pytest.raises(ImageError, match="made the decoder crash"):
            await task


async def test_what_a_killed_worker_left_is_removed(tmp_path: Path, pool: WorkerPool) -> None:
    store = ImageStore(tmp_path / "images", DeadlyPool(pool))
    half_written = tmp_path / "images" / ".staging" / "m1_high.webp"
    half_written.write_bytes(b"half a file")
    with pytest.raises(ImageError):
        await store.render(tmp_path / "killer.png", "m1")
    assert not half_written.exists()


async def test_no_more_run_at_once_than_there_are_workers(tmp_path: Path, pool: WorkerPool, source: Path) -> None:
    counting = DeadlyPool(pool)
    store = ImageStore(tmp_path / "images", counting)
    await asyncio.gather(*(store.render(source, f"m{number}") for number in range(7)))
    assert counting.most_running == pool.workers


async def test_a_worker_that_never_answers_is_not_waited_for(tmp_path: Path, source: Path) -> None:
    silent = SilentPool()
    store = ImageStore(tmp_path / "images", silent, answer_seconds=0.01)
    with pytest.raises(ImageError, match=r"^Photo\.PNG could not be decoded within 0 s$"):
        await store.render(source, "m1")
    assert silent.ends == 1


async def test_a_worker_that_never_answers_is_ended_and_holds_up_no_other_image(tmp_path: Path, source: Path) -> None:
    endless = EndlessPool(1)
    store = ImageStore(tmp_path / "images", endless, answer_seconds=3.0)
    with pytest.raises(ImageError, match="could not be decoded within 3 s"):
        await store.render(tmp_path / "endless.png", "m1")
    assert (await store.render(source, "m2")).width == 320
    endless.abandon()


async def test_a_copy_that_is_no_image_is_deleted(
    store: ImageStore, source: Path, private_key: Path, staging: Path
) -> None:
    await store.check_copy(store.stage_copy(source, "7"), source)
    assert names_in(staging) == ["7.png"]
    with pytest.raises(ImageError, match=r"^id_rsa is not an image"):
        await store.check_copy(store.stage_copy(private_key, "8"), private_key)
    assert names_in(staging) == ["7.png"]


def test_a_copy_is_byte_for_byte_and_keeps_its_ending(store: ImageStore, source: Path, staging: Path) -> None:
    content = os.urandom(2**20 + 3)
    source.write_bytes(content)
    staged = store.stage_copy(source, "7")
    assert staged == "7.png"
    assert (staging / staged).read_bytes() == content
    store.place_pending(staged, "12.png")
    store.sync_pending()
    assert store.pending_path("12.png").read_bytes() == content
    assert names_in(staging) == []


@pytest.mark.parametrize(
    ("name", "staged"),
    [
        ("a.PNG", "7.png"),
        ("a.preview.jpeg", "7.jpeg"),
        ("a", "7"),
        (".hidden", "7"),
        ("a.", "7"),
        ("a.p g", "7"),
        ("a.ünï", "7"),
        ("a.abcdefghi", "7.abcdefghi"),
        ("a.abcdefghij", "7"),
        (os.fsdecode(b"a.\xe9"), "7"),
    ],
)
def test_only_a_plain_ending_is_kept(name: str, staged: str, store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"content")
    assert store.stage_copy(tmp_path / name, "7") == staged


def test_a_source_that_cannot_be_copied_is_refused_and_leaves_nothing(
    store: ImageStore, tmp_path: Path, staging: Path
) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(SOURCE_BYTES + 1)
    for name, reason in [
        ("fifo.png", "not a regular file"),
        ("folder.png", "a folder"),
        ("empty.png", "empty"),
        ("large.png", "at most 64 MB"),
        ("gone.png", "not there"),
    ]:
        with pytest.raises(ImageError, match=f"^{name} .*{reason}"):
            store.stage_copy(tmp_path / name, "7")
    assert names_in(staging) == []


def test_a_copy_that_cannot_be_written_is_no_fault_of_the_image(
    store: ImageStore, source: Path, staging_gone: None
) -> None:
    with pytest.raises(FileNotFoundError):
        store.stage_copy(source, "7")


def test_the_copy_and_both_folders_are_synced(
    store: ImageStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    store.place_pending(store.stage_copy(source, "7"), "7.png")
    store.sync_pending()
    store.sync()
    assert calls == ["7.png", "pending", "images"]


def test_new_folders_are_synced_into_those_above(
    tmp_path: Path, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    ImageStore(tmp_path / "data" / "images", pool)
    assert calls == [tmp_path, tmp_path / "data", tmp_path / "data" / "images", tmp_path / "data" / "images"]
    calls.clear()
    ImageStore(tmp_path / "data" / "images", pool)  # who made them may have been killed before the sync
    assert calls == [tmp_path / "data", tmp_path / "data" / "images", tmp_path / "data" / "images"]


def test_publishing_again_changes_nothing(store: ImageStore, staging: Path) -> None:
    for file in tier_files("m1"):
        (staging / file.staged).write_bytes(file.staged.encode())
    store.publish(tier_files("m1")[:1])
    store.publish(tier_files("m1"))
    store.publish(tier_files("m1"))
    for quality in QUALITIES:
        assert store.published_path(SHA256, 0, quality).read_bytes() == f"m1_{quality}.webp".encode()


def test_publishing_replaces_the_image_of_that_number(store: ImageStore, staging: Path) -> None:
    for stem in ("old", "new"):
        for file in tier_files(stem):
            (staging / file.staged).write_bytes(stem.encode())
        store.publish(tier_files(stem))
    assert store.published_path(SHA256, 0, "low").read_bytes() == b"new"


def test_a_file_that_is_neither_staged_nor_published_is_missed(store: ImageStore) -> None:
    with pytest.raises(FileNotFoundError, match=f"{SHA256}_0_high.webp is neither published nor staged as m1_high"):
        store.publish(tier_files("m1"))


def test_removing_and_discarding_what_is_gone_is_fine(store: ImageStore, staging: Path) -> None:
    store.pending_path("7.png").write_bytes(b"content")
    (staging / "m1_high.webp").write_bytes(b"content")
    for _ in range(2):
        store.remove_pending("7.png")
        store.discard(["m1_high.webp", "m1_low.webp"])
    assert not store.pending_path("7.png").exists()
    assert names_in(staging) == []


def test_where_nothing_can_be_removed_it_is_fine_that_something_is_gone(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that is mounted read-only refuses before it has looked for the file."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    there = tier_files("m1")
    for quality in QUALITIES:
        store.published_path(SHA256, 0, quality).write_bytes(b"content")
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    store.remove_published(["gone.webp"])
    store.remove_pending("7.png")
    store.discard(["gone.webp"])
    store.publish(there)
    with pytest.raises(OSError, match="Read-only"):
        store.remove_published([there[0].final])
    store.staged_path(there[0].staged).write_bytes(b"content")
    with pytest.raises(OSError, match="Read-only"):
        store.publish(there)


def test_the_sweep_deletes_what_no_plan_names(store: ImageStore, staging: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.webp")
    for name in ("kept_high.webp", "b_high.webp", "a_low.webp", odd, ".hidden"):
        (staging / name).write_bytes(b"content")
    (staging / "folder").mkdir()
    assert store.sweep_staging({"kept_high.webp", "not there"}) == sorted(
        [".hidden", "a_low.webp", "b_high.webp", odd]
    )
    assert names_in(staging) == ["folder", "kept_high.webp"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a.png", "a/b.png", "/etc/passwd", "a\0b.png", ".staging", ".a.png"]
)
async def test_a_name_that_is_no_base_name_is_refused_everywhere(name: str, store: ImageStore, source: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.pending_path(name),
        lambda: store.remove_pending(name),
        lambda: store.place_pending(name, "7.png"),
        lambda: store.place_pending("7.png", name),
        lambda: store.publish([TierFile(name, "final.webp")]),
        lambda: store.publish([TierFile("staged.webp", name)]),
        lambda: store.discard([name]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="is not a plain file name"):
            call()
    if name:
        with pytest.raises(ValueError, match="is not a plain file name"):
            store.stage_copy(source, name)
        with pytest.raises(ValueError, match="is not a plain file name"):
            await store.render(source, name)


@pytest.mark.parametrize(
    ("sha256", "seq", "quality"),
    [("../" + SHA256[3:], 0, "high"), (SHA256.upper(), 0, "high"), (SHA256, -1, "high"), (SHA256, 0, "best")],
)
def test_only_names_of_images_have_a_published_path(sha256: str, seq: int, quality: str, store: ImageStore) -> None:
    with pytest.raises(ValueError, match="is not the name of an image"):
        store.published_path(sha256, seq, quality)
