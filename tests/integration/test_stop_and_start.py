"""The daemon is stopped and killed at bad moments: nothing is lost, nothing is doubled, nobody is left behind."""

from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.integration.large_library import LargeLibrary
from tests.integration.oracle import assert_none, judge
from tests.libraries import LegacyLibrary, put, safetensors
from tests.waiting import wait_until

from modelkeep.base import failpoints

GIB = 1 << 30
ZEROS = {
    1: "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14",
    2: "a7c744c13cc101ed66c29f672f92455547889cc586ce6d44fe76ae824958ea51",
}
"""SHA-256 of so many GiB of zero bytes, by coreutils' sha256sum."""


def put_sparse(folder: Path, gibibytes: int) -> Path:
    """Make a file that takes seconds to hash and no room."""
    path = folder / "checkpoints" / "large.ckpt"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(gibibytes * GIB)
    return path


def wait_hashing(daemon: DaemonProcess) -> None:
    """Wait until a worker reads."""
    wait_until(lambda: any(active["bytes_done"] for active in daemon.status()["hashing"]["active"]), what="hashing")


def wait_gone(daemon: DaemonProcess) -> None:
    """Wait until no process is left; a worker without work would end by itself after ten seconds."""
    wait_until(lambda: not daemon.processes(), 8, "every process to be gone")


def wait_told(daemon: DaemonProcess, event: str) -> None:
    """Wait until the journal tells of one more such event, looking at nothing but its files."""

    def told() -> int:
        segments = (daemon.data_dir / "journal").glob("*.jsonl")
        return sum(segment.read_bytes().count(f'"event":"{event}"'.encode()) for segment in segments)

    before = told()
    wait_until(lambda: told() > before, what=f"another {event}")


@pytest.mark.usefixtures("by_exec")
def test_a_stop_in_the_midst_of_hashing_is_in_time_and_the_next_start_finishes_the_file(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library, large_file = LegacyLibrary(), put_sparse(models, 2)
    library.add(large_file, (".png", png()), type="checkpoints", tags=("favourite",), extra={"description": "large"})
    database = library.write(tmp_path / "data")
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(database))
    daemon.start()
    wait_hashing(daemon)
    daemon.stop()
    wait_gone(daemon)
    (row,) = daemon.rows("SELECT * FROM pending_import")
    assert (row["state"], row["attempts"], row["last_error"]) == ("waiting", 0, "")
    assert not daemon.journal("hash.f*")
    daemon.start()
    assert daemon.wait_model(large_file) == ZEROS[2]
    daemon.wait_idle()
    daemon.stop()
    assert_none(judge(database, daemon.data_dir, digests={large_file: ZEROS[2]}).complaints)


@pytest.mark.usefixtures("by_exec")
def test_a_kill_in_the_midst_of_hashing_leaves_no_process_and_loses_nothing(
    models: Path, make_daemon: DaemonMaker
) -> None:
    large_file = put_sparse(models, 1)
    daemon = make_daemon().start()
    wait_hashing(daemon)
    assert len(daemon.processes()) >= 2, "the daemon and a worker"
    daemon.kill()
    wait_gone(daemon)
    assert daemon.must("status", "--json").json["pending"]["waiting"] == 1
    daemon.start()
    assert daemon.wait_model(large_file) == ZEROS[1]
    daemon.wait_idle()
    daemon.stop()
    wait_gone(daemon)


def test_kills_in_the_midst_of_migrations_lose_nothing_and_double_nothing(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LargeLibrary(models, seed=3)
    for number in range(300):
        path = put(models / "loras" / f"{number}.safetensors", safetensors(("kill", number), 500))
        said = {"tags": ("favourite",), "extra": {"description": f"Nr. {number}"}}
        library.legacy.add(path, (".png", png(number)), **said)
    library.fill(400)
    database = library.legacy.write(tmp_path / "data")
    daemon = make_daemon()
    report = daemon.must("import", "hikaze", str(database), "--json").json
    left = []
    for event in ("hash.finished", "migration.planned", "migration.committed", "image.published"):
        daemon.start(ready=False)
        wait_told(daemon, event)
        daemon.kill()
        wait_gone(daemon)
        left.append(len(daemon.rows("SELECT * FROM pending_import WHERE state = 'waiting'")))
        if not left[-1]:
            break  # it was faster than this test: nothing is left to be killed at
    assert left[0]
    daemon.start()
    daemon.wait_idle(90)
    daemon.stop()
    assert_none(judge(database, daemon.data_dir, report=report, claims_are_kept=True).complaints)
    planned = {record["migration"] for record in daemon.journal("migration.planned")}
    ended = {record["migration"] for record in daemon.journal("migration.finished") if "migration" in record}
    ended |= {record["migration"] for record in daemon.journal("recovery.rolled_back")}
    assert planned <= ended


def end_import_at(daemon: DaemonProcess, database: Path, point: str) -> None:
    """Begin an import that ends at a fail point, as if it were killed there."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELKEEPTEST_FAILPOINT", point)
        importing = daemon.begin("import", "hikaze", str(database))
    assert importing.wait(60) == failpoints.EXIT_STATUS
    wait_gone(daemon)


def test_an_import_that_is_killed_can_be_run_again(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> None:
    library = LargeLibrary(models, seed=5).fill(150)
    database = library.legacy.write(tmp_path / "data")
    daemon = make_daemon()
    for point in ("pending_image.place.after@5", "catalogue.commit.before@2"):
        end_import_at(daemon, database, point)
    report = daemon.must("import", "hikaze", str(database), "--json").json
    daemon.start()
    daemon.wait_idle(60)
    daemon.stop()
    assert_none(judge(database, daemon.data_dir, report=report, claims_are_kept=True).complaints)


def test_a_pause_survives_a_restart_and_files_are_noticed_meanwhile(models: Path, daemon: DaemonProcess) -> None:
    daemon.must("pause")
    path = put(models / "waits.safetensors", safetensors("waits"))
    wait_until(lambda: daemon.status()["pending"]["waiting"] == 1)
    daemon.stop()
    daemon.start()
    status = daemon.status()
    assert (status["state"], status["paused"], status["pending"]["waiting"]) == ("paused", True, 1)
    daemon.must("resume")
    daemon.wait_model(path)
    daemon.stop()
    assert daemon.start().status()["state"] == "running"


def test_what_happened_while_the_daemon_was_off_is_found_at_the_next_start(
    models: Path, daemon: DaemonProcess
) -> None:
    paths = {name: models / "loras" / f"{name}.safetensors" for name in ("stays", "goes", "changes", "comes")}
    for name in ("stays", "goes", "changes"):
        put(paths[name], safetensors(name))
    for name in ("stays", "goes", "changes"):
        daemon.wait_model(paths[name])
    daemon.stop()
    paths["goes"].unlink()
    put(paths["changes"], safetensors("changed"))
    put(paths["comes"], safetensors("comes"))
    daemon.start()
    daemon.wait_model(paths["comes"])
    daemon.wait_idle()
    found = {row["path"]: row["state"] for row in daemon.rows("SELECT path, state FROM locations")}
    states = {"stays": "present", "goes": "missing", "changes": "present", "comes": "present"}
    assert found == {str(paths[name]): state for name, state in states.items()}
    assert daemon.status()["models"] == 5
    hashed = [Path(record["path"]).stem for record in daemon.journal("hash.finished")]
    assert sorted(hashed) == ["changes", "changes", "comes", "goes", "stays"]
