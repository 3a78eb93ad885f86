"""A library of some 1,000 rows with everything in it that legacy libraries have: a seed makes the same one again."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import image_files
from tests.libraries import LegacyLibrary, checkpoint, noise, put, safetensors, sha256_of

TYPES = ("checkpoints", "loras", "vae", "embeddings", "controlnet")
TAGS = ("anime", "photo", "favourite", "スタイル", "to sort", "sdxl", "1.5", "w/ slash", "'quoted'")
COLOURS = {"favourite": "#f1c40f", "anime": "#3498db"}
WRONG = "0123456789abcdef" * 4

GOOD_IMAGES: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    (".png", image_files.png),
    (".jpg", image_files.jpeg),
    (".jpeg", image_files.lying_jpeg),
    (".webp", image_files.webp),
    (".gif", image_files.gif),
    (".bmp", image_files.bmp),
)
BROKEN_IMAGES: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    (".png", image_files.truncated_png),
    (".jpg", lambda _: image_files.text_as_image()),
    (".png", lambda _: image_files.gigantic_png()),
    (".png", lambda _: b""),
)


@dataclass
class LargeLibrary:
    """Makes files below `models` and rows that describe them."""

    models: Path
    seed: int = 1
    legacy: LegacyLibrary = field(default_factory=lambda: LegacyLibrary(colours=dict(COLOURS)))
    wrong_claims: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def fill(self, rows: int) -> "LargeLibrary":
        """Add about so many rows, of each kind its share."""
        kinds: tuple[tuple[Callable[[int], None], int], ...] = (
            (self._plain, 50),
            (self._hashed, 15),
            (self._hashed_upper_case, 5),
            (self._junk_hash, 3),
            (self._wrong_claim, 2),
            (self._copies, 8),
            (self._copies_described_differently, 4),
            (self._hashed_copies, 4),
            (self._missing, 5),
            (self._hashed_and_missing, 4),
        )
        chosen = [kind for kind, share in kinds for _ in range(share)]
        number = 0
        while len(self.legacy.models) < rows:
            # The first hundred are one of each place, so that no kind is left out by chance.
            chosen[number % len(chosen)](number)
            number += 1
        return self

    def _plain(self, number: int) -> None:
        self._row(*self._file(number), **self._said(number))

    def _hashed(self, number: int) -> None:
        path, content = self._file(number)
        self._row(path, content, hash_hex=sha256_of(content), **self._said(number))

    def _hashed_upper_case(self, number: int) -> None:
        path, content = self._file(number)
        self._row(path, content, hash_hex=sha256_of(content).upper(), **self._said(number))

    def _junk_hash(self, number: int) -> None:
        path, content = self._file(number)
        self._row(path, content, hash_hex=sha256_of(content)[:10], **self._said(number))

    def _wrong_claim(self, number: int) -> None:
        path, content = self._file(number)
        self._row(path, content, hash_hex=sha256_of(f"wrong {number}".encode()), **self._said(number))
        self.wrong_claims.append(len(self.legacy.models))

    def _copies(self, number: int) -> None:
        """Two files of one content of which both rows say the same."""
        said = self._said(number)
        path, content = self._file(number)
        other = put(path.with_name(f"copy of {path.name}"), content)
        self._row(path, content, **said)
        self._row(other, content, **said)

    def _copies_described_differently(self, number: int) -> None:
        path, content = self._file(number)
        other = put(path.with_name(f"other {path.name}"), content)
        self._row(path, content, **{**self._said(number), "extra": {"description": f"one of {number}"}})
        self._row(other, content, **{**self._said(number + 1), "extra": {"description": f"other of {number}"}})

    def _hashed_copies(self, number: int) -> None:
        """A hashed file and its copy, of which one row fills what the other leaves empty."""
        path, content = self._file(number)
        other = put(path.with_name(f"second {path.name}"), content)
        one = {"extra": {"description": "", "prompts": {"positive": f"p {number}"}}, "tags": ("anime",)}
        two = {"extra": {"description": f"d {number}", "prompts": {"negative": "blurry"}}, "tags": ("photo",)}
        self._row(path, content, hash_hex=sha256_of(content), image=self._image(number), **one)
        self._row(other, content, hash_hex=sha256_of(content), image=self._image(number + 1), **two)

    def _missing(self, number: int) -> None:
        self.legacy.add(self.models / "loras" / f"gone {number}.safetensors", **self._said(number))

    def _hashed_and_missing(self, number: int) -> None:
        claimed = sha256_of(f"gone {number}".encode())
        path = self.models / "vae" / f"gone too {number}.pt"
        self.legacy.add(path, hash_hex=claimed, size_bytes=77, **self._said(number))

    def _row(self, path: Path, content: bytes, **columns: Any) -> None:
        self.legacy.add(path, type=path.relative_to(self.models).parts[0], size_bytes=len(content), **columns)

    def _file(self, number: int) -> tuple[Path, bytes]:
        type_ = TYPES[number % len(TYPES)]
        folder = self.models / type_ / f"folder {number % 23}" / ("深い" if number % 3 else "")
        size_bytes = self._random.randrange(200, 9000)
        if number % 4 == 0:
            return self._put(folder / f"m{number}.ckpt", checkpoint((self.seed, number), size_bytes))
        if number % 9 == 1:
            return self._put(folder / f"m{number}.gguf", noise((self.seed, number), size_bytes))
        return self._put(folder / f"m{number} (v1).safetensors", safetensors((self.seed, number), size_bytes))

    @staticmethod
    def _put(path: Path, content: bytes) -> tuple[Path, bytes]:
        return put(path, content), content

    def _said(self, number: int) -> dict[str, Any]:
        """What a row says besides its path: mostly little, sometimes much."""
        said: dict[str, Any] = {"tags": tuple(self._random.sample(TAGS, self._random.randrange(0, 4)))}
        if number % 3 == 0:
            said["extra"] = {
                "description": f"Nr. {number}: „{self._random.randrange(10**9)}“\n2nd line",
                "community_links": f"https://example.org/{number}",
                "prompts": {"positive": f"best, {number}", "negative": ""},
                "params": {"weight": number / 7, "steps": [1, 2, {"deep": None}]},
            }
        if number % 11 == 0:
            said["name"] = f"Chosen name {number}"
        if number % 7 == 0:
            said["meta"] = {"civitai": {"id": number, "nsfw": False}}
        image = self._image(number)
        if image is not None:
            said["image"] = image
        return said

    def _image(self, number: int) -> tuple[str, bytes] | None:
        if number % 29 == 0:
            ending, make = BROKEN_IMAGES[number // 29 % len(BROKEN_IMAGES)]
        elif number % 8 == 0:
            ending, make = GOOD_IMAGES[number // 8 % len(GOOD_IMAGES)]
        else:
            return None
        return ending, make(number)
