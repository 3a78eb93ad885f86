"""An image is taken from the header of the file that was read, and of none that was written since."""

import base64
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy
import pytest
from safetensors.numpy import save
from tests.image_files import png
from tests.libraries import write_and_date_back

from modelkeep.changes.header_images import HeaderImages
from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.values import Location, LocationState, Model

A = "a" * 64


class Known:
    """One model whose header holds an image, and what becomes of that."""

    def __init__(self, path: Path, **flags: bool) -> None:
        place = Location(str(path), A, LocationState.PRESENT, fingerprint_of(str(path)), **flags)
        self.details = ModelDetails(Model(A, str(path)), locations=(place,))
        self.added: list[bytes] = []
        self.settled: list[str] = []

    async def waiting_header_images(self, limit: int, after: str = "") -> list[str]:
        return [] if after else [A]

    async def model(self, sha256: str) -> ModelDetails:
        return self.details

    async def add_header_image(self, sha256: str, image: BinaryIO) -> None:
        self.added.append(image.read())

    async def settle_header_image(self, sha256: str) -> None:
        self.settled.append(sha256)


@pytest.mark.parametrize("case", ["as it was", "written and dated back", "claimed", "doubted"])
async def test_it_is_taken_of_the_file_that_was_read_alone(tmp_path: Path, case: str) -> None:
    metadata = {"modelspec.thumbnail": base64.b64encode(png()).decode()}
    path = tmp_path / "a.safetensors"
    path.write_bytes(save({"w": numpy.ones(4, dtype=numpy.float32)}, metadata=metadata))
    known = Known(path, claimed=case == "claimed", doubted=case == "doubted")
    if case == "written and dated back":
        write_and_date_back(path, path.read_bytes())
    either = cast("Any", known)
    await HeaderImages(either, either, DiskLooks(), lambda _: None).take()
    taken = case == "as it was"
    assert (known.added, known.settled) == (([png()], [A]) if taken else ([], []))
