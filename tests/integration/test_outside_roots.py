"""Files of legacy rows that no root contains: nobody watches them, and still they are missing when they are gone."""

from pathlib import Path

from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

CONTENT = safetensors("outside")
STATE = "SELECT path FROM locations WHERE path = ? AND state = ?"


def test_a_claimed_file_outside_the_roots_goes_and_comes_back_and_is_purged_when_gone(
    tmp_path: Path, make_daemon: DaemonMaker
) -> None:
    path = put(tmp_path / "elsewhere" / "outside.safetensors", CONTENT)
    library = LegacyLibrary()
    library.add(path, hash_hex=sha256_of(CONTENT))
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    refused = daemon.command("models", "purge", sha256_of(CONTENT), "--yes")
    assert refused.status == 5, refused.err
    path.unlink()
    wait_until(lambda: daemon.rows(STATE, str(path), "missing"), what="the file to be missed")
    put(path, CONTENT)
    wait_until(lambda: daemon.rows(STATE, str(path), "present"), what="the file to be seen again")
    path.unlink()
    daemon.scan()
    daemon.must("models", "purge", sha256_of(CONTENT), "--yes")
    assert daemon.status()["models"] == 0


def test_a_file_of_a_root_that_was_left_out_while_the_daemon_was_off_is_missing_when_it_is_gone(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    other = tmp_path / "other"
    path = put(other / "left out.safetensors", CONTENT)
    daemon = make_daemon(models, other).start()
    daemon.wait_model(path)
    daemon.stop()
    daemon.configure([models], {})
    path.unlink()
    daemon.start()
    wait_until(lambda: daemon.rows(STATE, str(path), "missing"), what="the file to be missed")
