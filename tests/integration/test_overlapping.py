"""Much happens to few files at once, and the daemon is held up wherever it waits: it comes to the truth."""

import random
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.daemon_in_thread import DaemonInThread
from tests.integration.overlapping import CONTENTS, FOLDERS, HASHES, NAMES, Hands, HeldUp
from tests.libraries import LegacyLibrary, sha256_of
from tests.waiting import wait_until

LATE_SECONDS = 0.03
TABLES: dict[str, dict[str, object]] = {
    "watch": {"settle_seconds": 0.05},
    # What is found has to be found by watching and by looking, not by trying again for long enough.
    "sweep": {"interval_seconds": 600, "retry_base_seconds": 300},
}


def differences(daemon: DaemonProcess, hands: Hands) -> list[str]:
    """Return in words where the catalogue differs from what lies on disk."""
    on_disk = {str(path): sha256_of(path) for path in hands.files()}
    present = daemon.rows("SELECT path, sha256, claimed OR doubted AS waits FROM locations WHERE state = 'present'")
    known = {row["path"]: row["sha256"] for row in present}
    found = [
        f"{path} holds {HASHES.get(on_disk.get(path, ''))}, the catalogue says {HASHES.get(known.get(path, ''))}"
        for path in sorted(on_disk.keys() | known.keys())
        if on_disk.get(path) != known.get(path)
    ]
    found += [f"{row['path']} waits to be read" for row in present if row["waits"]]
    rows = daemon.rows("SELECT path, state, last_error FROM pending_import WHERE state <> 'conflict'")
    missed = ("missing", False)
    return found + [f"{row} waits" for row in rows if (row["state"], row["path"] in on_disk) != missed]


def describe(daemon: DaemonProcess, folder: Path, chance: random.Random, models: Path) -> str:
    """Import what an old database says of a path, with the hash of one of the contents or none; returns its text."""
    text = f"text {folder.name}."
    library = LegacyLibrary()
    path = models / chance.choice(FOLDERS) / chance.choice(NAMES)
    claim = chance.choice(["", sha256_of(chance.choice(CONTENTS))])
    library.add(path, name="", type="", hash_hex=claim, extra={folder.name: text})
    done = daemon.post("/api/import", {"kind": "hikaze", "source": str(library.write(folder))})
    assert done.is_success, done.text
    return text


def overlap(tmp_path: Path, models: Path, seed: int, rounds: int) -> None:
    """Do a few things at once, wait until the catalogue tells the truth, and so on."""
    chance = random.Random(seed)
    hands = Hands(models, tmp_path / "beside", chance)
    texts: list[str] = []
    daemon = DaemonInThread(tmp_path / "daemon", [models], TABLES)
    found: list[str] = []

    def is_true() -> bool:
        found[:] = differences(daemon, hands)
        return not found and daemon.is_idle()

    try:
        daemon.start()
        for number in range(rounds):
            hands.told.clear()
            for _ in range(chance.randrange(1, 9)):
                hands.do_something()
                hands.rest()
            if number % 5 == 4:
                texts.append(describe(daemon, tmp_path / f"old {number}", chance, models))
            try:
                wait_until(is_true)
            except AssertionError as error:
                last = [str(record) for record in daemon.journal()[-40:]]
                raise AssertionError("\n".join([f"{error}, round {number}", *found, *hands.told, *last])) from None
        kept = ((column, table) for column, table in (("meta_json", "models"), ("meta_json", "pending_import")))
        said = "\n".join(str(row) for column, table in kept for row in daemon.rows(f"SELECT {column} FROM {table}"))
        assert [text for text in texts if text not in said] == []
        assert not [record for record in daemon.journal() if "nobody foresaw" in str(record.get("error"))]
    finally:
        daemon.close()


def test_the_catalogue_comes_to_the_truth(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    HeldUp(random.Random(1), LATE_SECONDS).apply(monkeypatch)
    overlap(tmp_path, models, 1, 10)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("late_seconds", [0.0, LATE_SECONDS])
def test_the_catalogue_comes_to_the_truth_for_long(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, rounds: int, seed: int, late_seconds: float
) -> None:
    HeldUp(random.Random(seed), late_seconds).apply(monkeypatch)
    overlap(tmp_path, models, seed, 5 * rounds)
