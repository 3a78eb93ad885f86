"""Stand-in files are known without being read; all others are left to what hashes in earnest."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.fakes import followed
from tests.waiting import wait_until_async

from modelkeep.dev.hashing_double import GatedHashing, StandInHashing, digest_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.hashing import ActiveHash, FileInRoot
from modelkeep.errors import FileVanished, HashCancelled

KNOWN = "a" * 64


@pytest.fixture
def earnest() -> GatedHashing:
    return GatedHashing(2)


@pytest.fixture
def hashing(tmp_path: Path, earnest: GatedHashing) -> StandInHashing:
    def known(path: str) -> str | None:
        return KNOWN if Path(path).name.startswith("shadow_") else None

    return StandInHashing(earnest, known, DiskLooks(followed(tmp_path)))


async def test_a_known_digest_needs_no_reading(
    tmp_path: Path, hashing: StandInHashing, earnest: GatedHashing
) -> None:
    path = tmp_path / "shadow_a.pt"
    path.touch()
    os.truncate(path, 2**40)
    digest = await digest_of(hashing, FileInRoot(str(tmp_path), path.name), 2**40)
    assert (digest.sha256, digest.fingerprint.size_bytes) == (KNOWN, 2**40)
    assert earnest.begun == []


async def test_a_stand_in_that_is_gone_is_told(tmp_path: Path, hashing: StandInHashing) -> None:
    with pytest.raises(FileVanished):
        await digest_of(hashing, FileInRoot(str(tmp_path), "shadow_nowhere.pt"), 0)


async def test_every_other_file_is_hashed_in_earnest_shown_and_called_off(
    tmp_path: Path, hashing: StandInHashing, earnest: GatedHashing
) -> None:
    path = str(tmp_path / "a.pt")
    running = asyncio.ensure_future(digest_of(hashing, FileInRoot(str(tmp_path), "a.pt"), 10))
    await wait_until_async(lambda: path in earnest.running)
    assert hashing.workers == 2
    assert hashing.active() == [ActiveHash(path, 0, 0, 0)]
    hashing.cancel_all()
    with pytest.raises(HashCancelled):
        await running
