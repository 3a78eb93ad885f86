"""Stage 1 in every order: before the daemon, while it runs, again, rehearsed, and first with the wrong folders."""

import shutil
import threading
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess, Finished
from tests.integration.conftest import DaemonMaker
from tests.integration.kept import dump
from tests.integration.large_library import LargeLibrary
from tests.integration.oracle import assert_none, judge
from tests.libraries import SAMPLE_ROOT, copy_sample, snapshot
from tests.waiting import wait_until


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample library."""
    return copy_sample(tmp_path / "sample")


@pytest.fixture
def sample_daemon(sample: Path, make_daemon: DaemonMaker) -> DaemonProcess:
    """A daemon on the sample's models that has not been started."""
    return make_daemon(sample / "models")


def import_sample(daemon: DaemonProcess, sample: Path, *options: str, mapped: bool = True) -> dict[str, int]:
    """Import the sample; returns the numbers of the report."""
    mapping = ("--map", f"{SAMPLE_ROOT}={sample / 'models'}") if mapped else ()
    done = daemon.must("import", "hikaze", str(sample / "data"), *mapping, *options, "--json")
    counts: dict[str, int] = done.json["counts"]
    return counts


def complaints_about(daemon: DaemonProcess, sample: Path) -> list[str]:
    """Wait until the daemon is idle, and have the sample judged."""
    daemon.wait_idle()
    mapped = (SAMPLE_ROOT, str(sample / "models"))
    return judge(sample / "data/hikaze_mm.sqlite3", daemon.data_dir, mapped).complaints


def test_importing_while_the_daemon_runs_and_again_changes_nothing_more(
    sample: Path, sample_daemon: DaemonProcess
) -> None:
    sample_daemon.start()
    sample_daemon.wait_idle()
    assert import_sample(sample_daemon, sample)["rows"] == 17
    assert_none(complaints_about(sample_daemon, sample))
    before = dump(sample_daemon.data_dir), snapshot(sample_daemon.data_dir / "images")
    assert import_sample(sample_daemon, sample)["unchanged"] == 17
    sample_daemon.wait_idle()
    assert dump(sample_daemon.data_dir) == before[0]
    assert import_sample(sample_daemon, sample, mapped=False)["unchanged"] == 17
    assert dump(sample_daemon.data_dir) == before[0], "without the --map of the first time"
    sample_daemon.stop()
    assert import_sample(sample_daemon, sample)["unchanged"] == 17
    assert dump(sample_daemon.data_dir) == before[0]
    # The folders' times may change (files are staged in them), what lies in them may not.
    assert [facts[3:] for facts in snapshot(sample_daemon.data_dir / "images").values()] == [
        facts[3:] for facts in before[1].values()
    ]


def test_a_dry_run_tells_what_would_be_done_and_changes_nothing(sample: Path, sample_daemon: DaemonProcess) -> None:
    next(sample.glob("data/images/model_7_*")).write_text("no image")
    offline = import_sample(sample_daemon, sample, "--dry-run")
    assert offline["image_errors"] == 1
    assert not sample_daemon.data_dir.exists()
    sample_daemon.data_dir.mkdir()
    assert import_sample(sample_daemon, sample, "--dry-run") == offline
    assert not any(rows for name, rows in dump(sample_daemon.data_dir).items() if name != "alembic_version")
    sample_daemon.start()
    sample_daemon.pause()
    sample_daemon.wait_paused()
    before = dump(sample_daemon.data_dir), snapshot(sample_daemon.data_dir / "images")
    rehearsed = import_sample(sample_daemon, sample, "--dry-run")
    assert (dump(sample_daemon.data_dir), snapshot(sample_daemon.data_dir / "images")) == before
    assert rehearsed == offline
    assert import_sample(sample_daemon, sample) == rehearsed


def test_rows_imported_without_map_move_when_they_are_imported_with_it(
    sample: Path, sample_daemon: DaemonProcess
) -> None:
    assert import_sample(sample_daemon, sample, mapped=False)["rows"] == 17
    counts = import_sample(sample_daemon, sample)
    assert (counts["updated"], counts["pending"], counts["migrated"]) == (17, 0, 0)
    sample_daemon.start()
    assert_none(complaints_about(sample_daemon, sample))
    assert not sample_daemon.rows("SELECT * FROM locations WHERE path LIKE '/srv/%'")


def test_rows_imported_without_map_find_their_files_though_these_were_hashed_in_between(
    sample: Path, sample_daemon: DaemonProcess
) -> None:
    import_sample(sample_daemon, sample, mapped=False)
    sample_daemon.start()
    sample_daemon.wait_idle()
    assert sample_daemon.status()["models"] == 15
    import_sample(sample_daemon, sample)
    assert_none(complaints_about(sample_daemon, sample))


def test_rows_imported_without_map_find_their_files_though_these_wait_to_be_hashed(
    sample: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon().start()
    daemon.pause()
    shutil.copytree(sample / "models", models, dirs_exist_ok=True)
    wait_until(lambda: daemon.status()["pending"]["waiting"] == 16, what="all files to wait")
    database = sample / "data/hikaze_mm.sqlite3"
    daemon.must("import", "hikaze", str(database))
    daemon.must("import", "hikaze", str(database), "--map", f"{SAMPLE_ROOT}={models}")
    daemon.resume()
    daemon.wait_idle()
    assert_none(judge(database, daemon.data_dir, (SAMPLE_ROOT, str(models))).complaints)


def test_an_import_in_the_midst_of_the_first_hashing_of_all_files_loses_nothing(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LargeLibrary(models, seed=7).fill(300)
    database = library.legacy.write(tmp_path / "data")
    daemon = make_daemon().start()
    finished: list[Finished] = []

    def run() -> None:
        finished.append(daemon.command("import", "hikaze", str(database), "--json"))

    # Some files are hashed, some are in hand and some wait when the rows that describe them arrive.
    importing = threading.Thread(target=run)
    importing.start()
    importing.join()
    assert finished[0].status == 0, finished[0].err
    daemon.wait_idle(60)
    daemon.stop()
    verdict = judge(database, daemon.data_dir, report=finished[0].json, claims_are_kept=True)
    assert_none(verdict.complaints)
