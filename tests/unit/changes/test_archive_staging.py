"""Images of an archive are made ready, or nothing is left of them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import pytest

from modelkeep.changes.archive_staging import ArchiveStaging, WantedImages
from modelkeep.domain.archive import ArchivedImage, ArchivedKept, ArchivedModel, ArchivedRow
from modelkeep.domain.images import QUALITIES
from modelkeep.errors import ImageError
from modelkeep.images.store import ImageStore
from modelkeep.importers.archive_file import ArchiveFile

P = ParamSpec("P")
T = TypeVar("T")

A, B = "a" * 64, "b" * 64
IMAGE = ArchivedImage(0, 8, 8, B, dict.fromkeys(QUALITIES, B))
MODEL = ArchivedModel(A, "/m/a.pt", images=(IMAGE,))


class Packed:
    """An archive, of which some members are damaged."""

    def __init__(self, *damaged: str) -> None:
        self._damaged = damaged

    def image(self, name: str, _digest: str) -> bytes:
        if any(part in name for part in self._damaged):
            raise ImageError(f"{name} is not as it was written")
        return b"RIFF....WEBP"

    pending_image = image


class Pool:
    """Finds every image whole, but never comes to an end with one of them."""

    workers = 1

    def __init__(self, hangs_at: int = 0) -> None:
        self._left = hangs_at
        self.hangs = asyncio.Event()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._left -= 1
        if not self._left:
            self.hangs.set()
            await asyncio.Event().wait()
        return cast("T", None)

    def abandon(self) -> bool:
        return True


def staging(tmp_path: Path, packed: Packed, pool: Pool) -> ArchiveStaging:
    return ArchiveStaging(ImageStore(tmp_path / "images", pool), cast("ArchiveFile", packed), tmp_path)


def names_in(tmp_path: Path) -> set[str]:
    """Return what lies in the staging folder, and in the folder for what is unpacked."""
    unpacked = tmp_path.glob("modelkeep-import-*")
    return {path.name for path in [*(tmp_path / "images" / ".staging").iterdir(), *unpacked]}


def of_model() -> WantedImages:
    return WantedImages({A: [0]}, (), ())


@pytest.mark.parametrize("hangs_at", [1, 2, 3])
async def test_an_image_that_is_half_ready_when_it_is_called_off_is_discarded_too(
    tmp_path: Path, hangs_at: int
) -> None:
    pool = Pool(hangs_at)
    made = staging(tmp_path, Packed(), pool)
    work = asyncio.create_task(made.stage([MODEL], of_model(), lambda _: None))
    await pool.hangs.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    made.discard()
    assert names_in(tmp_path) == set()


async def test_a_damaged_tier_costs_its_image_and_nothing_else(tmp_path: Path) -> None:
    other = ArchivedModel(B, "/m/b.pt", images=(IMAGE,))
    made = staging(tmp_path, Packed(f"{A}_0_{QUALITIES[-1]}"), Pool())
    await made.stage([MODEL, other], WantedImages({A: [0], B: [0]}, (), ()), lambda _: None)
    assert [(error.key, error.path) for error in made.staged.errors] == [(A, "/m/a.pt")]
    assert made.staged.images.keys() == {(B, 0)}
    assert names_in(tmp_path) == set(made.staged.names)
    assert len(made.staged.names) == len(QUALITIES)


async def test_each_image_counts_whatever_it_is_of(tmp_path: Path) -> None:
    row, kept = ArchivedRow("/m/r.pt", image="r.png", image_sha256=A), ArchivedKept(0, "k.png", B)
    wanted, done = WantedImages({A: [0]}, [row], [kept]), list[int]()
    made = staging(tmp_path, Packed(), Pool())
    await made.stage([MODEL], wanted, done.append)
    assert done == [1, 2, 3] == list(range(1, len(wanted) + 1))
    assert len(made.staged) == 3
