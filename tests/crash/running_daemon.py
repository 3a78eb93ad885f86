"""A daemon that has to outlast what a test does to it, and what it says of its troubles."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.crash.end_state import database_faults
from tests.crash.journal_story import read_story
from tests.crash.tiny_library import TINY
from tests.daemon_process import DaemonProcess, Tables
from tests.image_files import png
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

IMAGE = png(1, TINY)


@contextmanager
def running(
    folder: Path, roots: Sequence[Path], tables: Tables | None = None, *, obeys_rights: bool = False
) -> Iterator[DaemonProcess]:
    """Run a daemon; at the end it has to be the same process still, to stop well, and to leave a sound folder."""
    daemon = DaemonProcess(folder, roots, tables, obeys_rights=obeys_rights)
    try:
        process = daemon.start().pid
        yield daemon
        assert daemon.pid == process
        daemon.stop()
        assert not list(database_faults(daemon.data_dir))
        story = read_story(daemon.data_dir / "journal")
        assert not story.damages
        assert story.planned <= story.ended
    finally:
        daemon.close()
        print(daemon.last_words())


def troubles(daemon: DaemonProcess) -> dict[str, str]:
    """Return what the status says is wrong, by part."""
    return {trouble["part"]: trouble["error"] for trouble in daemon.status().get("troubles", [])}


def put_some(folder: Path, name: str, number: int = 3) -> dict[Path, str]:
    """Put files into a root; returns their hashes."""
    paths = [folder / "loras" / f"{name}{index}.safetensors" for index in range(number)]
    return {path: sha256_of(put(path, safetensors(path.name))) for path in paths}


def wait_recovered(daemon: DaemonProcess, files: Mapping[Path, str]) -> None:
    """Wait until nothing is wrong any more and files are in the catalogue; the journal has to tell of the trouble."""
    for path, sha256 in files.items():
        assert daemon.wait_model(path) == sha256
    wait_until(lambda: not troubles(daemon), what="the troubles to be over")
    events = [record["event"] for record in daemon.journal("trouble.*")]
    assert events[0] == "trouble.began"
    assert events[-1] == "trouble.ended"


def import_one(daemon: DaemonProcess, folder: Path, path: Path, image: bytes = IMAGE) -> None:
    """Import a row with an image for a file, which waits in the queue then."""
    library = LegacyLibrary()
    library.add(path, (".png", image), tags=("favourite",), extra={"description": "kept"})
    daemon.must("import", "hikaze", str(library.write(folder)))
