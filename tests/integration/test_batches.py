"""Many rows at once, asked for while the daemon is at work on them by itself."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors, sha256_of
from tests.process_groups import HASH_WORKER, workers_among
from tests.waiting import wait_until


def test_rows_that_are_being_hashed_are_joined(models: Path, make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(tables={"hashing": {"workers": 1}}).start()
    daemon.wait_model(put(models / "first.safetensors", safetensors("first")))
    (worker,) = workers_among(daemon.processes(), HASH_WORKER)
    os.kill(worker, signal.SIGSTOP)
    path = put(models / "held.safetensors", safetensors("held"))
    wait_until(lambda: daemon.status()["hashing"]["active"], what="the file to be in the hands of the worker")
    (row,) = daemon.rows("SELECT id FROM pending_import")
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(daemon.post, "/api/migration/import_models", {"id": [row["id"]]})
        wait_until(lambda: asked.running() or asked.done())
        for _ in range(5):  # requests are taken in their order: after these, the batch was
            daemon.status()
        os.kill(worker, signal.SIGCONT)
        told = asked.result(30).json()
    assert (told["success"], told["failed"]) == ([row["id"]], [])
    assert daemon.wait_model(path) == sha256_of(path)
