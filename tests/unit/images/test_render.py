"""`render` as it runs in a worker: one reading, three durable files, nothing left after an error."""

import errno
import hashlib
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.fakes import limited

from modelkeep.domain.images import TIERS, high_size, tier_size
from modelkeep.errors import ImageError
from modelkeep.images.render import render

Encode = Callable[..., bytes]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    folder = tmp_path / "staging"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path, photo: Image.Image) -> Path:
    path = tmp_path / "photo.png"
    photo.save(path)
    return path


def test_three_tiers_are_staged_under_the_stem(source: Path, staging: Path) -> None:
    rendered = render(str(source), str(staging), "stem")
    assert rendered.staged == {
        "high": "stem_high.webp",
        "medium": "stem_medium.webp",
        "low": "stem_low.webp",
    }
    assert names_in(staging) == sorted(rendered.staged.values())
    assert (rendered.width, rendered.height) == (320, 200)
    for tier in TIERS:
        with Image.open(staging / rendered.staged[tier.quality]) as image:
            assert image.size == tier_size((320, 200), tier)


def test_the_digest_is_that_of_the_source_file(source: Path, staging: Path) -> None:
    assert render(str(source), str(staging), "s").source_digest == hashlib.sha256(source.read_bytes()).hexdigest()


def test_the_size_is_that_of_the_high_tier(tmp_path: Path, staging: Path) -> None:
    source = tmp_path / "large.png"
    Image.new("RGB", (3000, 2000)).save(source)
    rendered = render(str(source), str(staging), "s")
    assert (rendered.width, rendered.height) == high_size(3000, 2000)


def test_the_same_source_gives_the_same_bytes(source: Path, staging: Path) -> None:
    render(str(source), str(staging), "one")
    render(str(source), str(staging), "two")
    for tier in TIERS:
        one, two = (staging / f"{stem}_{tier.quality}.webp" for stem in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_what_an_earlier_try_left_is_replaced(source: Path, staging: Path) -> None:
    (staging / "s_high.webp").write_bytes(bytes(10_000_000))
    render(str(source), str(staging), "s")
    assert Image.open(io.BytesIO((staging / "s_high.webp").read_bytes())).size == (320, 200)
    assert (staging / "s_high.webp").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.png is empty"),
        (b"only text", "a.png is not an image"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.png is cut off or damaged"),
    ],
)
def test_nothing_is_staged_for_a_image_that_is_refused(
    content: bytes, sentence: str, tmp_path: Path, staging: Path
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=sentence):
        render(str(tmp_path / "a.png"), str(staging), "s")
    assert names_in(staging) == []


def test_nothing_is_staged_for_a_image_that_took_too_long(source: Path, staging: Path) -> None:
    with pytest.raises(ImageError, match=r"^photo\.png takes longer than 0 s to decode$"):
        render(str(source), str(staging), "s", decode_seconds=0.0)
    assert names_in(staging) == []


def test_a_full_disk_is_no_fault_of_the_image_and_leaves_nothing(source: Path, staging: Path) -> None:
    # The low tier would fit, so the failure comes when files have been written already.
    with limited(resource.RLIMIT_FSIZE, 20_000), pytest.raises(OSError, match="File too large") as caught:
        render(str(source), str(staging), "s")
    assert caught.value.errno == errno.EFBIG
    assert names_in(staging) == []


def test_a_staging_folder_that_is_gone_is_no_fault_of_the_image(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        render(str(source), str(tmp_path / "gone"), "s")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record what is really given to fsync, with the size that it has then."""
    calls: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append(f"{path.name}/" if path.is_dir() else f"{path.name} {os.fstat(descriptor).st_size}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    yield calls
    assert calls


def test_each_file_and_then_the_folder_is_synced(source: Path, staging: Path, synced: list[str]) -> None:
    render(str(source), str(staging), "s")
    sizes = {tier.quality: (staging / f"s_{tier.quality}.webp").stat().st_size for tier in TIERS}
    assert synced == [*(f"s_{quality}.webp {size}" for quality, size in sizes.items()), "staging/"]


def test_nothing_is_left_when_an_fsync_fails(source: Path, staging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync
    calls = 0

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        render(str(source), str(staging), "s")
    assert calls == 2, "a failed fsync is not tried again"
    assert names_in(staging) == []


def test_pillow_is_not_loaded_where_functions_are_only_named() -> None:
    program = "import sys, modelkeep.images.store; sys.exit(any(name.split('.')[0] == 'PIL' for name in sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
