"""However a file comes, and however slowly: it is hashed once, when it is whole, and then without delay.

All ways are tried at once, before the first test: each test then looks at what the daemon made of one of them.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from tests.daemon_process import FAST, DaemonProcess, Record
from tests.integration.bringers import WAYS, Delivery
from tests.integration.daemon_under import NOBODY, DaemonUnder, as_nobody
from tests.integration.slow_server import SlowServer, pieces
from tests.libraries import checkpoint, gguf, noise, sha256_of
from tests.programs import needs, without
from tests.waiting import wait_until

SETTLE_SECONDS = 1.0
PAUSE_SECONDS = 1.3 * SETTLE_SECONDS
SHORT_SECONDS = 0.1 * SETTLE_SECONDS
"""So much shorter that a busy machine does not make one of the other."""
HOUR_SECONDS = 3600.0
PROMPT_SECONDS = 60.0
"""Within which a file is hashed that need not wait; who waits does so for an hour, or for a rescan."""

PROVING: dict[str, Callable[[object, int], bytes]] = {".gguf": gguf, ".ckpt": checkpoint}
"""Formats that say themselves whether they are whole; safetensors does too, and most other tests bring some."""

MAKERS = {**PROVING, ".bin": noise}


@dataclass
class Yard:
    """One folder that two daemons watch, and everything that was brought there.

    `quick` takes what lies still for `SETTLE_SECONDS`. `patient` would wait for an hour: it shows what it takes
    without waiting.
    """

    quick: DaemonProcess
    patient: DaemonProcess
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    told: dict[DaemonProcess, list[Record]] = field(default_factory=dict)
    """Their journals in the end."""
    brought: dict[str, Future[float]] = field(default_factory=dict)
    """When (seconds since 1970) the last byte had come."""


def _name(way: str, ending: str) -> str:
    return way.replace(", ", "-").replace(" ", "-") + ending


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Two daemons after all ways have been tried on all kinds of files, with rescans meanwhile."""
    folder = tmp_path_factory.mktemp("yard")
    models = folder / "models"
    models.mkdir()
    made = {(way, ending): _name(way, ending) for way in WAYS for ending in MAKERS if not WAYS[way].missing}
    contents = {name: MAKERS[ending](name, WAYS[way].size_bytes) for (way, ending), name in made.items()}
    yard = Yard(
        DaemonProcess(folder / "quick", [models], {"watch": {"settle_seconds": SETTLE_SECONDS}}),
        DaemonProcess(folder / "patient", [models], {"watch": {"settle_seconds": HOUR_SECONDS}}),
    )
    with ExitStack() as stack:
        stack.callback(yard.quick.close)
        stack.callback(yard.patient.close)
        server = stack.enter_context(SlowServer(contents, PAUSE_SECONDS))
        yard.quick.start()
        yard.patient.start()
        threads = stack.enter_context(ThreadPoolExecutor(len(made)))
        for (way, _), name in made.items():
            aside = folder / "aside" / name
            aside.mkdir(parents=True)
            given = (models / name, contents[name], server.url(name), aside, PAUSE_SECONDS, SHORT_SECONDS)
            yard.deliveries[name] = Delivery(*given)
            yard.brought[name] = threads.submit(_bring, way, yard.deliveries[name])
        while not all(brought.done() for brought in yard.brought.values()):
            yard.quick.scan()  # a rescan meets every file as it is at that moment
            yard.patient.scan()
            time.sleep(PAUSE_SECONDS / 3)
        for daemon in (yard.quick, yard.patient):
            _await_last(daemon, [path for path in contents if daemon is yard.quick or path.endswith(tuple(PROVING))])
            yard.told[daemon] = daemon.journal()
        yield yard


def _bring(way: str, delivery: Delivery) -> float:
    WAYS[way].bring(delivery)
    return time.time()


def _await_last(daemon: DaemonProcess, names: list[str]) -> None:
    """Give the daemon time to hash everything; which file it was that it did not hash is for the tests to say."""

    def all_hashed() -> bool:
        told = {Path(record["path"]).name for record in daemon.journal("migration.finished")}
        return told.issuperset(names)

    try:
        wait_until(all_hashed)
    except AssertionError:
        return


@pytest.mark.parametrize("ending", MAKERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_file_is_hashed_when_it_is_whole_and_never_before_and_soon(yard: Yard, way: str, ending: str) -> None:
    _skip_without_programs(way)
    _check(yard, yard.quick, way, ending, SETTLE_SECONDS + PROMPT_SECONDS)


@pytest.mark.parametrize("ending", PROVING)
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_proves_to_be_whole_is_taken_at_once_when_its_writer_has_closed_it(
    yard: Yard, way: str, ending: str
) -> None:
    _skip_without_programs(way)
    _check(yard, yard.patient, way, ending, PROMPT_SECONDS)


def test_what_nothing_proves_whole_has_to_lie_still_first(yard: Yard) -> None:
    taken = [record for record in yard.told[yard.patient] if record["event"] == "file.settled"]
    unproven = [Path(record["path"]) for record in taken if record["path"].endswith(".bin")]
    # What a rescan finds with an old date has lain still for long.
    assert [path.name for path in unproven if time.time() - path.stat().st_mtime < HOUR_SECONDS] == []
    ended_at = {name: brought.result(timeout=0) for name, brought in yard.brought.items()}
    records = [record for record in yard.told[yard.quick] if record["event"] == "file.settled"]
    settled = {Path(record["path"]).name: _told_at(record["ts"]) for record in records}
    assert settled.keys() == ended_at.keys()
    # The last piece is written up to a pause before the program ends.
    hasty = [name for name in settled if name.endswith(".bin") and settled[name] < ended_at[name] - PAUSE_SECONDS]
    assert hasty == []


def test_a_file_that_grows_while_it_is_hashed_is_only_known_as_it_is_in_the_end(
    models: Path, daemon: DaemonProcess
) -> None:
    path = models / "grows.bin"
    with path.open("wb") as file:
        file.write(noise("grows", 4096))
        file.truncate(1 << 29)

    def is_read() -> bool:
        return any(active["bytes_done"] for active in daemon.status()["hashing"]["active"])

    wait_until(is_read, what="the file to be hashed")
    with path.open("ab") as file:
        file.write(b"more")
    wanted = sha256_of(path)
    assert daemon.wait_model(path) == wanted
    daemon.wait_idle()
    assert {record["sha256"] for record in daemon.journal() if "sha256" in record} == {wanted}
    assert daemon.rows("SELECT sha256, path FROM models") == [{"sha256": wanted, "path": str(path)}]


@pytest.fixture
def service_folder() -> Iterator[Path]:
    """A folder that other users reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to run the daemon as another user")
@needs("setpriv")
def test_a_service_of_another_user_knows_too_that_a_file_is_still_written(service_folder: Path, models: Path) -> None:
    unit = (Path(__file__).parents[2] / "systemd" / "system" / "modelkeep.service").read_text()
    granted = [line for line in unit.splitlines() if line.startswith("AmbientCapabilities=")]
    capabilities = [name.removeprefix("CAP_").lower() for line in granted for name in line.split("=")[1].split()]
    # Whoever installs the unit sees to it that files can be read. Here even the interpreter may be out of reach.
    daemon = DaemonUnder(as_nobody(*capabilities, "dac_read_search"), service_folder, [models])
    daemon.give_to(NOBODY)
    contents = {models / f"slow{ending}": make("slow", 60_000) for ending, make in MAKERS.items()}
    try:
        daemon.start()
        _write_side_by_side(contents, lambda: _let_rest(daemon))
        for path, content in contents.items():
            daemon.wait_model(path)
            records = [record for record in daemon.journal("hash.*") if record["path"] == str(path)]
            assert [record.get("sha256") for record in records] == [sha256_of(content)]
    finally:
        daemon.close()
        print(daemon.last_words())


def _write_side_by_side(contents: Mapping[Path, bytes], rest: Callable[[], None]) -> None:
    """Write files that only their owner may read, each in two pieces, with a rest before each."""
    with ExitStack() as stack:
        files = {path: stack.enter_context(path.open("wb", buffering=0)) for path in contents}
        for path, file in files.items():
            path.chmod(0o600)
            file.truncate(len(contents[path]))
        for number in range(2):
            rest()
            for path, file in files.items():
                file.write(pieces(contents[path], 2)[number])


def _let_rest(daemon: DaemonProcess) -> None:
    """Let files lie still for more than their quiet time, look through the roots, and give time for what follows."""
    for _ in range(2):
        time.sleep(1.5 * float(str(FAST["watch"]["settle_seconds"])))
        daemon.scan()


def _skip_without_programs(way: str) -> None:
    if WAYS[way].missing:
        pytest.skip(without(*WAYS[way].missing))


def _check(yard: Yard, daemon: DaemonProcess, way: str, ending: str, seconds: float) -> None:
    """Check that only one hash was ever known of a file, the right one, and that it was known in time."""
    name = _name(way, ending)
    ended_at, delivery = yard.brought[name].result(timeout=0), yard.deliveries[name]
    path, wanted = str(delivery.path), sha256_of(delivery.content)
    assert sha256_of(delivery.path) == wanted, "the program itself brought something else"
    records = [record for record in yard.told[daemon] if record.get("path") == path]
    hashed = [record for record in records if record["event"] == "hash.finished"]
    assert {record["sha256"] for record in records if "sha256" in record} == {wanted}
    assert not [record for record in records if record["event"].endswith(".failed")]
    assert _told_at(hashed[0]["ts"]) - ended_at <= seconds
    assert len(hashed) == 1 or WAYS[way].touches_closed
    (place,) = daemon.rows("SELECT sha256, state, size_bytes FROM locations WHERE path = ?", path)
    assert place == {"sha256": wanted, "state": "present", "size_bytes": len(delivery.content)}
    assert daemon.rows("SELECT sha256 FROM models WHERE path = ?", path) == [{"sha256": wanted}]
    assert not daemon.rows("SELECT id FROM pending_import WHERE path = ?", path)


def _told_at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
