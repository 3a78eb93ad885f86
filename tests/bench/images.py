"""S9: images into their three tiers, beside the three saves alone."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from tests.bench import machine
from tests.bench.measuring import Measured, side_by_side
from tests.bench.scene import Scene
from tests.libraries import LegacyLibrary

from modelkeep.domain.images import TIERS, high_size, tier_size

IMAGES, SIZE = 200, (1024, 1536)


def tiers(scene: Scene) -> Iterator[Measured]:
    """S9: the images of an import, from the request to the report."""
    count = scene.sized(IMAGES)
    library = LegacyLibrary()
    for number in range(count):
        path = f"/srv/models/loras/model {number}.safetensors"
        library.add(path, (".png", _image(number)), hash_hex=f"{number + 1:064x}")
    source = library.write(scene.folder / "legacy")
    files = sorted((scene.folder / "legacy" / "images").iterdir())
    compared = side_by_side(lambda: _import(scene, source), {"the saves alone": lambda: _saves(files)}, scene.rounds)
    ratio = compared.ratios["the saves alone"]
    yield Measured(
        "render images",
        f"{count:,} PNG of {SIZE[0]} x {SIZE[1]}",
        compared.seconds,
        "s",
        compared.seconds / count,
        "≤ 1.15 x",
        ratio is not None and ratio <= 1.15,
        compared.told(lambda seconds: seconds, as_throughput=False),
    )


def _image(number: int) -> bytes:
    """Return an image with soft areas and some grain, as generated ones have."""
    grain = Image.effect_noise((SIZE[0] // 8, SIZE[1] // 8), 60 + number % 7).resize(SIZE, Image.Resampling.BICUBIC)
    fine = Image.effect_noise(SIZE, 12)
    soft = Image.radial_gradient("L").resize(SIZE)
    made = Image.merge("RGB", (Image.blend(grain, fine, 0.2), Image.blend(soft, grain, 0.5), soft))
    out = BytesIO()
    made.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _import(scene: Scene, source: Path) -> float:
    with scene.daemon() as daemon:
        daemon.start()
        began = time.perf_counter()
        answer = daemon.process.request("POST", "/api/import", json={"kind": "hikaze", "source": str(source)})
        seconds = time.perf_counter() - began
        assert '"report"' in answer.text, answer.text[-500:]
        return seconds


def _saves(files: list[Path]) -> float:
    """Return the time of the saves alone on as many cores: that of the processor that was at it for longest."""
    shares = [files[start :: machine.cores()] for start in range(machine.cores())]
    with multiprocessing.get_context("spawn").Pool(len(shares)) as pool:
        return max(pool.map(_save_share, shares))


def _save_share(files: list[Path]) -> float:
    seconds = 0.0
    for path in files:
        with Image.open(path) as opened:
            size = high_size(*opened.size)
            high = opened.convert("RGB").resize(size)
        images = [(high.resize(tier_size(size, tier)), tier) for tier in TIERS]
        with Path(os.devnull).open("wb") as sink:
            began = time.perf_counter()
            for image, tier in images:
                image.save(sink, "WEBP", quality=tier.webp_quality)
            seconds += time.perf_counter() - began
    return seconds
