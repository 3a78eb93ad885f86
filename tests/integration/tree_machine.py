"""Whatever happens to files, in whatever order: the steps of the property test, on a real tree and a real daemon."""

import itertools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.daemon_process import DaemonProcess
from tests.integration.tree import CONTENTS, WHOLE, Memory, Tree, content, differences, hashed_halves, remove
from tests.libraries import LegacyLibrary, sha256_of
from tests.waiting import wait_until

SETTLE_SECONDS = 0.05
TRUTH_SECONDS = 60.0
"""How long the catalogue may take to say what lies on disk."""

QUIET_SECONDS = 0.8
"""Longer than anything is held back: a rename whose other half does not come takes half a second."""

TABLES: dict[str, dict[str, object]] = {
    "watch": {"settle_seconds": SETTLE_SECONDS, "rescan_seconds": 900},
    # What is found has to be found by watching and by looking, not by trying again for long enough.
    "sweep": {"interval_seconds": 600, "retry_base_seconds": 300},
    "hashing": {"workers": 1},
}

PROVABLE = (".safetensors", ".part")
"""Endings under which a half is never taken for a whole; a link may come to lead to any file."""

FOLDERS = ("", "loras", "loras/deep", "other", ".hidden")
NAMES = ("a.safetensors", "b.safetensors", "c.ckpt", "d.gguf", "e.part")

_places = st.tuples(st.integers(0, 1), st.sampled_from(FOLDERS), st.sampled_from(NAMES))
_numbers = st.integers(0, CONTENTS - 1)
_choices = st.integers(0, 10_000)
_pauses = st.sampled_from((0.0, 0.0, 0.0, 0.01, 0.06, 0.2, 0.7))


class TreeMachine(RuleBasedStateMachine):
    """Does things to a tree and asks the catalogue what it knows of it."""

    make_folder: Callable[[], Path]
    make_daemon: Callable[[Path, list[Path]], DaemonProcess]

    def __init__(self) -> None:
        super().__init__()
        folder = type(self).make_folder()
        self.tree = Tree(folder / "tree")
        self.memory = Memory()
        self.away: dict[Path, bool] = {}
        self.numbers = itertools.count(1)
        self.daemon = type(self).make_daemon(folder / "daemon", self.tree.roots).start()
        self.running = True
        self.began = time.monotonic()

    # Files

    @rule(place=_places, number=_numbers, pause=_pauses)
    def write(self, place: Any, number: int, pause: float) -> None:
        """Create a file, or rewrite the one that lies there in place."""
        path = self.path_of(place)
        if path is not None:
            self.tell("write", path, number)
            path.write_bytes(content(number, path.name))
            time.sleep(pause)

    @rule(place=_places, number=_numbers, hold=st.booleans(), pause=st.sampled_from((0.02, 0.08, 0.2)))
    def write_in_pieces(self, place: Any, number: int, hold: bool, pause: float) -> None:
        """Write with pauses; what is not held open has to prove by its format that it is not whole yet."""
        path = self.path_of(place)
        if path is None or not (hold or path.suffix == ".safetensors"):
            return
        self.tell("write in pieces, held open" if hold else "write in pieces, closed between", path, number)
        self.make_room(path)
        whole = content(number, path.name)
        third = len(whole) // 3
        file = path.open("wb")
        for piece in (whole[:third], whole[third : 2 * third], whole[2 * third :]):
            file.write(piece)
            file.flush()
            time.sleep(pause)
            if not hold:
                file.close()
                file = path.open("ab")
        file.close()

    @rule(place=_places, number=_numbers, pause=_pauses)
    def write_half(self, place: Any, number: int, pause: float) -> None:
        """Begin a file that is left as it is, until somebody finishes it."""
        path = self.path_of(place)
        if path is not None and path.suffix in PROVABLE:
            self.tell("write half", path, number)
            self.make_room(path)
            whole = content(number, "x.safetensors")
            path.write_bytes(whole[: len(whole) // 2])
            time.sleep(pause)

    @rule(choice=_choices, pause=_pauses)
    def finish_half(self, choice: int, pause: float) -> None:
        """Finish one of the files that somebody has begun."""
        path = self.choose([path for path in self.tree.files() if self.is_half(path)], choice)
        if path is None:
            return
        begun = path.read_bytes()
        wholes = (content(number, "x.safetensors") for number in range(CONTENTS))
        rest = next(whole[len(begun) :] for whole in wholes if whole.startswith(begun))
        self.tell("finish", path)
        with path.open("ab") as file:
            file.write(rest)
        time.sleep(pause)

    @rule(place=_places, number=_numbers, pause=_pauses)
    def replace_by_rename(self, place: Any, number: int, pause: float) -> None:
        """Write beside and rename over, as careful programs do."""
        path = self.path_of(place)
        if path is not None:
            self.tell("replace by a rename", path, number)
            temporary = path.with_name("download.tmp")
            temporary.write_bytes(content(number, path.name))
            temporary.replace(path)
            time.sleep(pause)

    @rule(choice=_choices, place=_places, pause=_pauses)
    def rename(self, choice: int, place: Any, pause: float) -> None:
        """Rename a file, over another one if there is one."""
        self.move(self.choose(self.tree.files(), choice), self.path_of(place), pause)

    @rule(first=_choices, second=_choices, pause=_pauses)
    def exchange(self, first: int, second: int, pause: float) -> None:
        """Let two files change places by three renames."""
        files = [path for path in self.tree.files() if not self.is_half(path)]
        one, other = self.choose(files, first), self.choose(files, second)
        if one is not None and other is not None and one != other:
            third = one.with_name("third.ckpt")
            for old, new in ((one, third), (other, one), (third, other)):
                self.move(old, new, 0)
            time.sleep(pause)

    @rule(choice=_choices, place=_places, kind=st.sampled_from(("copy", "copy2", "hard link", "symbolic link")))
    def copy(self, choice: int, place: Any, kind: str) -> None:
        """Copy a file, or link to it."""
        path, new = self.choose(self.tree.files(), choice), self.path_of(place)
        if path is None or new is None or not path.exists() or os.path.lexists(new) or not self.fits(path, new):
            return
        if kind == "symbolic link" and new.suffix not in PROVABLE:
            return
        self.tell(kind, path, new)
        ways: dict[str, Callable[[Path, Path], object]] = {
            "copy": shutil.copyfile,
            "copy2": shutil.copy2,
            "hard link": os.link,
            "symbolic link": os.symlink,
        }
        ways[kind](path, new)

    @rule(choice=_choices, pause=_pauses)
    def delete(self, choice: int, pause: float) -> None:
        """Delete a file."""
        path = self.choose(self.tree.files(), choice)
        if path is not None:
            self.tell("delete", path)
            path.unlink()
            time.sleep(pause)

    @rule(choice=_choices, quietly=st.booleans())
    def touch(self, choice: int, quietly: bool) -> None:
        """Give a file another mtime, with an event or without."""
        path = self.choose([path for path in self.tree.files() if path.exists()], choice)
        if path is None:
            return
        self.tell("touch quietly" if quietly else "touch", path)
        os.utime(path)
        if not quietly:
            path.open("ab").close()

    @rule(choice=_choices, pause=_pauses)
    def move_out(self, choice: int, pause: float) -> None:
        """Move a file out of the roots."""
        path = self.choose(self.tree.files(), choice)
        if path is not None:
            self.move(path, self.tree.outside / f"{next(self.numbers)} {path.name}", pause)

    @rule(choice=_choices, place=_places, pause=_pauses)
    def move_in(self, choice: int, place: Any, pause: float) -> None:
        """Bring back a file that was moved out."""
        path = self.choose([path for path in self.tree.outside.iterdir() if not path.is_dir()], choice)
        self.move(path, self.path_of(place), pause)

    # Folders

    @rule(choice=_choices, root=st.integers(0, 1), name=st.sampled_from(("loras", "other", "new", "loras/deep")))
    def move_folder(self, choice: int, root: int, name: str) -> None:
        """Rename a folder, or move it to elsewhere in the roots."""
        folders = [path for path in self.tree.folders() if path not in self.tree.roots]
        folder, new = self.choose(folders, choice), self.tree.roots[root] / name
        is_possible = new.parent.is_dir() and not new.exists() and self.tree.roots[root] not in self.away
        if folder is None or not is_possible or new.is_relative_to(folder):
            return
        self.tell("move folder", folder, new)
        folder.rename(new)

    @rule(choice=_choices)
    def delete_folder(self, choice: int) -> None:
        """Delete a folder with everything in it."""
        folder = self.choose([path for path in self.tree.folders() if path not in self.tree.roots], choice)
        if folder is not None:
            self.tell("delete folder", folder)
            remove(folder)

    @rule(choice=_choices, back=st.booleans(), pause=_pauses)
    def move_folder_out(self, choice: int, back: bool, pause: float) -> None:
        """Move a folder out of the roots, write to a file in it, and perhaps move it back."""
        folder = self.choose([path for path in self.tree.folders() if path not in self.tree.roots], choice)
        if folder is None:
            return
        self.tell("move folder out", folder)
        out = folder.rename(self.tree.outside / f"folder {next(self.numbers)}")
        (out / "a.safetensors").write_bytes(content(0, "a.safetensors"))
        time.sleep(pause)
        if back:
            self.tell("move folder back", folder)
            out.rename(folder)

    @rule(number=_numbers, root=st.integers(0, 1))
    def move_tree_in(self, number: int, root: int) -> None:
        """Move a folder with files at two depths in from elsewhere."""
        made = self.tree.outside / f"tree {next(self.numbers)}"
        (made / "deep").mkdir(parents=True)
        for path in (made / "x.ckpt", made / "deep" / "y.safetensors"):
            path.write_bytes(content(number, path.name))
        new = self.tree.roots[root] / f"moved in {next(self.numbers)}"
        if self.tree.roots[root] not in self.away:
            self.tell("move tree in", new)
            made.rename(new)

    # Roots

    @precondition(lambda self: not self.away)
    @rule(number=st.integers(0, 1), placeholder=st.booleans(), pause=_pauses)
    def take_root_away(self, number: int, placeholder: bool, pause: float) -> None:
        """Rename a root, and perhaps put an empty folder in its place."""
        root = self.tree.roots[number]
        self.tell("take root away, empty folder instead" if placeholder else "take root away", root)
        root.rename(self.kept_at(root))
        if placeholder:
            root.mkdir()
        self.away[root] = placeholder
        time.sleep(pause)

    @precondition(lambda self: self.away)
    @rule(pause=_pauses)
    def bring_root_back(self, pause: float) -> None:
        """Put the root back."""
        root, placeholder = self.away.popitem()
        self.tell("bring root back", root)
        if placeholder:
            root.rmdir()
        self.kept_at(root).rename(root)
        time.sleep(pause)

    # The daemon

    @precondition(lambda self: self.running)
    @rule()
    def stop(self) -> None:
        """Stop the daemon."""
        self.tell("stop")
        self.daemon.stop()
        self.running = False

    @precondition(lambda self: not self.running)
    @rule(pause=_pauses)
    def start(self, pause: float) -> None:
        """Start it."""
        self.tell("start")
        self.daemon.start()
        self.running = True
        time.sleep(pause)

    @precondition(lambda self: self.running)
    @rule(choice=_choices, places=st.lists(_places, max_size=3))
    def describe(self, choice: int, places: Any) -> None:
        """Import what an old database knows of a file, and rename the file before anybody can have hashed it."""
        self.check()
        models = self.tree.models()
        chosen = self.choose(sorted(models), choice)
        if chosen is None:
            return
        number = next(self.numbers)
        library = LegacyLibrary()
        library.add(chosen, name="", type="", tags=(f"tag {number}",), extra={f"note {number}": f"text {number}"})
        self.tell("describe", chosen, f"tag {number}")
        done = self.daemon.post(
            "/api/import", {"kind": "hikaze", "source": str(library.write(self.tree.folder / f"old {number}"))}
        )
        assert done.is_success, done.text
        self.memory.described.setdefault(models[chosen], set()).add(f"tag {number}")
        path = Path(chosen)
        for place in places:
            new = self.path_of(place)
            if new is not None and not os.path.lexists(new) and new.suffix != ".part" and ".hidden" not in str(new):
                self.move(path, new, 0)
                path = new
        self.check()

    @precondition(lambda self: self.running)
    @rule()
    def check(self) -> None:
        """Compare the catalogue with the disk."""
        self.tell("check")
        found: list[str] = []

        def is_true() -> bool:
            found[:] = differences(self.daemon, self.tree, self.memory)
            return not found

        try:
            wait_until(is_true, TRUTH_SECONDS, "the catalogue to tell the truth")
        except AssertionError:
            raise AssertionError("\n".join([*found, *self.last_records(found)])) from None
        self.memory.seen.update(self.tree.models().values())

    def teardown(self) -> None:
        """Bring everything to rest, and compare once more: at once, when nothing moves any more, after a rescan."""
        try:
            self._finish()
        finally:
            self.daemon.close()
            shutil.rmtree(self.tree.folder)

    def _finish(self) -> None:
        if not self.running:
            self.start(0)
        while self.away:
            self.bring_root_back(0)
        self.check()
        self.wait_quiet()
        self.check()
        assert self.daemon.post("/api/scan").is_success
        self.wait_quiet()
        self.check()
        self.daemon.stop()
        journal = self.daemon.journal()
        assert not hashed_halves(journal)
        note(f"{len(journal)} records, {time.monotonic() - self.began:.1f} s")

    # What the steps share

    def path_of(self, place: tuple[int, str, str]) -> Path | None:
        """Return a path in a root that is there; its folder is made."""
        number, folder, name = place
        root = self.tree.roots[number]
        if root in self.away:
            return None
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def move(self, old: Path | None, new: Path | None, pause: float) -> None:
        """Rename a file if that is possible."""
        if old is not None and new is not None and old != new and self.fits(old, new):
            self.tell("rename", old, new)
            old.replace(new)
            time.sleep(pause)

    def fits(self, old: Path, new: Path) -> bool:
        """Return whether a half still can be told from a whole under another name."""
        return new.suffix in PROVABLE or not (old.is_symlink() or self.is_half(old))

    def make_room(self, path: Path) -> None:
        """Part a path from other names of the file: under those nobody could tell a half from a whole."""
        if path.exists() and (path.is_symlink() or path.stat().st_nlink > 1):
            path.unlink()

    def is_half(self, path: Path) -> bool:
        """Return whether a file is not complete."""
        return path.is_file() and sha256_of(path) not in WHOLE

    def kept_at(self, root: Path) -> Path:
        """Return where a root is while it is away."""
        return self.tree.folder / f"{root.name} is away"

    @staticmethod
    def choose(items: list[Any], choice: int) -> Any:
        """Return one of some things, None when there are none."""
        return items[choice % len(items)] if items else None

    def wait_quiet(self) -> None:
        """Wait until nothing has been written to the journal for a while."""
        last, since = -1, time.monotonic()

        def is_quiet() -> bool:
            nonlocal last, since
            seq = self.daemon.status()["journal"]["seq"]
            if seq != last or not self.daemon.is_idle():
                last, since = seq, time.monotonic()
            return time.monotonic() - since > QUIET_SECONDS

        wait_until(is_quiet, what="quiet")

    def tell(self, *words: object) -> None:
        """Note a step, as Hypothesis shows it for a failing example."""
        texts = [str(word).replace(f"{self.tree.folder}/", "") for word in words]
        note(f"{time.monotonic() - self.began:8.3f} {': '.join(texts[:1])} {' '.join(texts[1:])}")

    def last_records(self, differences_told: list[str]) -> list[str]:
        """Return what the journal says of the files that differ, a line a record."""
        left_out = ("seq", "crc", "bytes", "seconds", "migration", "files", "pending", "strategy", "sha256")
        lines = []
        for record in self.daemon.journal():
            names = {str(record.get(key, "")).replace(f"{self.tree.folder}/", "") for key in ("path", "old_path")}
            if "path" not in record or any(name in told for name in names for told in differences_told if name):
                fields = {key: value for key, value in record.items() if key not in left_out}
                lines.append(str(fields).replace(f"{self.tree.folder}/", ""))
        latest = [str(record).replace(f"{self.tree.folder}/", "") for record in self.daemon.journal()[-25:]]
        return [*lines[-60:], "the last records of all:", *latest, str(self.daemon.status())]
