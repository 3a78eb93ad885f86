"""Libraries as users have them: every row is accounted for, whatever is wrong with it."""

from collections import Counter
from pathlib import Path

from tests.integration.conftest import DaemonMaker
from tests.integration.large_library import LargeLibrary
from tests.integration.oracle import assert_none, judge
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of, snapshot


def test_every_row_of_a_large_library_is_accounted_for(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library = LargeLibrary(models).fill(1000)
    database = library.legacy.write(tmp_path / "data")
    before = snapshot(models), snapshot(database.parent)
    daemon = make_daemon()
    report = daemon.must("import", "hikaze", str(database), "--json").json
    daemon.start()
    daemon.wait_idle(120)
    daemon.stop()
    verdict = judge(database, daemon.data_dir, report=report, claims_are_kept=True)
    assert_none(verdict.complaints)
    assert len(verdict.fates) == len(library.legacy.models)
    assert min(Counter(verdict.fates.values()).values()) > 30
    refuted = daemon.journal("claim.refuted")
    assert len(refuted) == len(library.wrong_claims)
    assert (snapshot(models), snapshot(database.parent)) == before


def test_what_was_said_of_a_file_with_a_wrong_hash_follows_the_file_and_stays_under_that_hash(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library, content = LegacyLibrary(), safetensors("wrongly hashed")
    path = put(models / "loras" / "wrongly hashed.safetensors", content)
    library.add(path, hash_hex=sha256_of(b"something else"), extra={"description": "mine"}, tags=("favourite",))
    database = library.write(tmp_path / "data")
    daemon = make_daemon()
    report = daemon.must("import", "hikaze", str(database), "--json").json
    daemon.start()
    daemon.wait_model(path)
    found = daemon.get(f"/api/models/{sha256_of(content)}")
    assert found["meta_json"]["description"] == "mine"
    assert "favourite" in [tag["name"] for tag in found["tags"]]
    refuted = [record for record in daemon.journal() if record["event"] == "claim.refuted"]
    assert [(record["claimed"], record["found"]) for record in refuted] == [
        (sha256_of(b"something else"), sha256_of(content))
    ]
    daemon.wait_idle()
    daemon.stop()
    assert_none(judge(database, daemon.data_dir, report=report, claims_are_kept=True).complaints)


def test_the_size_of_a_model_whose_hash_was_known_is_that_of_its_file(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    library, content = LegacyLibrary(), safetensors("hashed, of unknown size")
    path = put(models / "loras" / "hashed.safetensors", content)
    library.add(path, hash_hex=sha256_of(content), size_bytes=None)
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(library.write(tmp_path / "data")))
    daemon.start()
    daemon.wait_idle()
    assert daemon.get(f"/api/models/{sha256_of(content)}")["size_bytes"] == len(content)
