"""The library of a real user of the legacy manager is carried over whole, and left as it was."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.integration.oracle import assert_none, judge
from tests.libraries import SAMPLE_ROOT, copy_sample, make_read_only, make_writable, snapshot


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample library."""
    return copy_sample(tmp_path / "sample")


@pytest.fixture
def read_only_sample(sample: Path) -> Iterator[Path]:
    """A copy that nobody may write."""
    make_read_only(sample)
    yield sample
    make_writable(sample)


def carry_over(daemon: DaemonProcess, sample: Path) -> Counter[str]:
    """Import and run until all is done; everything has to be accounted for. Returns the fates of the rows."""
    database = sample / "data/hikaze_mm.sqlite3"
    mapped = (SAMPLE_ROOT, str(sample / "models"))
    report = daemon.must("import", "hikaze", str(database), "--map", "=".join(mapped), "--json").json
    daemon.start()
    daemon.wait_idle()
    daemon.stop()
    verdict = judge(database, daemon.data_dir, mapped, report)
    assert_none(verdict.complaints)
    assert (report["rows"], report["migrated"], report["pending"], report["errors"]) == (17, 4, 13, 0)
    return Counter(verdict.fates.values())


def test_every_row_of_the_sample_is_accounted_for_and_the_sample_is_left_as_it_was(
    sample: Path, make_daemon: DaemonMaker
) -> None:
    before = snapshot(sample)
    daemon = make_daemon(sample / "models")
    fates = carry_over(daemon, sample)
    # One file is gone, and two with the same content are described differently.
    assert fates == {"migrated": 15, "pending": 2}
    assert snapshot(sample) == before
    claims = daemon.journal("claim.*")
    assert [record["event"] for record in claims] == ["claim.confirmed"] * 4
    assert all(record["claimed"] == record["found"] for record in claims)


def test_the_sample_may_be_read_only(read_only_sample: Path, make_daemon: DaemonMaker) -> None:
    before = snapshot(read_only_sample)
    fates = carry_over(make_daemon(read_only_sample / "models", obeys_rights=True), read_only_sample)
    assert fates == {"migrated": 15, "pending": 2}
    assert snapshot(read_only_sample) == before


def test_with_the_socket_where_it_is_by_default_the_command_line_finds_the_daemon(
    sample: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon(sample / "models", tables={"api": {"socket": "auto"}})
    daemon.socket = daemon.data_dir / "modelkeep.sock"
    daemon.start()
    assert daemon.must("status", "--json").json["pid"] == daemon.pid
    assert daemon.socket.stat().st_mode & 0o777 == 0o600
    daemon.stop()
    assert not daemon.socket.exists()
