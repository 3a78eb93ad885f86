"""What people and programs do to a few files at once, and a daemon that is held up wherever it is answered."""

import asyncio
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.exchanges import exchange
from tests.libraries import safetensors, sha256_of

from modelkeep.catalogue.engine import Database
from modelkeep.disk import looks
from modelkeep.pipeline.hashing import HashStage
from modelkeep.watch.intake import Intake

THEN = 1_500_000_000
SIZE_BYTES = 1024
CONTENTS = [safetensors(number, SIZE_BYTES) for number in range(5)]
"""Of one size, and all are dated alike."""
HASHES = {sha256_of(content): number for number, content in enumerate(CONTENTS)}
FOLDERS, NAMES = ("", "f", "g"), ("a.safetensors", "b.safetensors", "c.safetensors")


class Hands:
    """Does things to files of a folder.

    Args:
        models: the folder.
        beside: another one, for copies of all contents.
        chance: decides.
    """

    def __init__(self, models: Path, beside: Path, chance: random.Random) -> None:
        self.models, self.beside, self.chance = models, beside, chance
        self.told: list[str] = []
        beside.mkdir()
        for number, content in enumerate(CONTENTS):
            (beside / str(number)).write_bytes(content)
            os.utime(beside / str(number), (THEN, THEN))

    def files(self) -> list[Path]:
        """Return all files, in order."""
        return sorted(path for path in self.models.rglob("*.safetensors") if path.is_file())

    def do_something(self) -> None:
        """Do one thing, whether or not it makes sense."""
        deed = self.chance.choices(_DEEDS, _WEIGHTS)[0]
        there, path = self.files(), self.models / self.chance.choice(FOLDERS) / self.chance.choice(NAMES)
        if not there:
            deed = copy_into_place
        path.parent.mkdir(exist_ok=True)
        file = self.chance.choice(there or [path])
        source = self.beside / str(self.chance.randrange(len(CONTENTS)))
        names = (str(each.relative_to(self.models.parent)) for each in (file, path, source))
        self.told.append(f"{deed.__name__} {' '.join(names)}")
        deed(file, path, source)

    def rest(self) -> None:
        """Let a moment pass, or none."""
        time.sleep(self.chance.choice((0.0, 0.0, 0.0, self.chance.random() / 100, self.chance.random() / 20)))


def copy_into_place(file: Path, path: Path, source: Path) -> None:
    # Nobody tells of the other names of a file that was written by one which is another's at once.
    if path.exists() and path.stat().st_nlink > 1:
        path.unlink()
    shutil.copy2(source, path)  # truncates, writes and dates it back: a file that is there stays the same one


def remove_and_copy(file: Path, path: Path, source: Path) -> None:
    file.unlink()
    path.unlink(missing_ok=True)
    shutil.copy2(source, path)


def replace_by_rename(file: Path, path: Path, source: Path) -> None:
    draft = path.with_name("draft.tmp")
    shutil.copy2(source, draft)
    draft.replace(path)


def rename(file: Path, path: Path, source: Path) -> None:
    file.rename(path)


def rename_to_and_fro(file: Path, path: Path, source: Path) -> None:
    if not path.exists():
        file.rename(path)
        path.rename(file)


def change_places(file: Path, path: Path, source: Path) -> None:
    if path.exists() and path != file:
        exchange(file, path)


def remove(file: Path, path: Path, source: Path) -> None:
    file.unlink()


def link(file: Path, path: Path, source: Path) -> None:
    if not path.exists():
        os.link(file, path)


def change_rights(file: Path, path: Path, source: Path) -> None:
    file.chmod(0o600 if file.stat().st_mode & 0o040 else 0o644)


def change_folders(file: Path, path: Path, source: Path) -> None:
    folder = path.parent
    other = folder.with_name("h" if folder.name != "g" else "f")
    if folder.name in FOLDERS[1:]:
        if other.exists():
            exchange(folder, other)
        else:
            folder.rename(other)


_CHANCES: dict[Callable[[Path, Path, Path], None], int] = {
    copy_into_place: 6,
    remove_and_copy: 4,
    replace_by_rename: 3,
    rename: 6,
    rename_to_and_fro: 3,
    change_places: 4,
    remove: 3,
    link: 2,
    change_rights: 2,
    change_folders: 3,
}
_DEEDS, _WEIGHTS = list(_CHANCES), list(_CHANCES.values())


class HeldUp:
    """Has whatever a daemon in this process waits for answer late now and then, so that others come in between.

    Args:
        chance: decides.
        seconds: at most so late.
    """

    def __init__(self, chance: random.Random, seconds: float) -> None:
        self._chance, self._seconds = chance, seconds
        self._due: dict[int, float] = {}

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hold it up from now on."""
        for owner, name, wrap in (
            (Database, "_run", self._answered_late),
            (looks._Look, "run", self._seen_late),
            (Intake, "apply", self._answered_late),
            (HashStage, "_delivered", self._delivered_late),
        ):
            monkeypatch.setattr(owner, name, wrap(getattr(owner, name)))

    def _late(self) -> float:
        return self._chance.random() * self._seconds if self._chance.random() < 0.3 else 0.0

    def _answered_late(self, ask: Any) -> Callable[..., Any]:
        async def ask_and_wait(*arguments: Any, **options: Any) -> Any:
            result = await ask(*arguments, **options)
            await asyncio.sleep(self._late())
            return result

        return ask_and_wait

    def _seen_late(self, run: Any) -> Callable[..., Any]:
        def wait_and_run(look: Any) -> None:
            time.sleep(self._late())
            run(look)

        return wait_and_run

    def _delivered_late(self, deliver: Any) -> Callable[..., Any]:
        def deliver_in_order(stage: Any, device: int, in_hand: dict[int, Any], outcomes: Sequence[Any]) -> None:
            loop, batch = asyncio.get_running_loop(), id(in_hand)
            self._due[batch] = max(loop.time() + self._late(), self._due.get(batch, 0.0) + 1e-6)
            loop.call_at(self._due[batch], deliver, stage, device, in_hand, outcomes)

        return deliver_in_order
