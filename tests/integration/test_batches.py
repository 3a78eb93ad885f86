"""Many rows at once, asked for while the daemon is at work on them by itself."""

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors, sha256_of
from tests.process_groups import HASH_WORKER, workers_among
from tests.waiting import wait_until


def test_who_asks_for_what_is_being_hashed_joins_and_who_leaves_stops_nothing(
    models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon(tables={"hashing": {"workers": 1}}).start()
    daemon.wait_model(put(models / "first.safetensors", safetensors("first")))
    (worker,) = workers_among(daemon.processes(), HASH_WORKER)
    os.kill(worker, signal.SIGSTOP)
    path = put(models / "held.safetensors", safetensors("held"))
    wait_until(lambda: daemon.status()["hashing"]["active"], what="the file to be in the hands of the worker")
    (row,) = daemon.rows("SELECT id FROM pending_import")
    with ThreadPoolExecutor(2) as threads:
        asked = threads.submit(daemon.post, "/api/migration/import_models", {"id": [row["id"]]})
        digest = threads.submit(daemon.post, "/api/models/sha256", {"path": str(path)})
        wait_until(lambda: all(each.running() or each.done() for each in (asked, digest)))
        leave_in_the_middle(daemon, {"path": str(path), "pending_status": "pending"})
        for _ in range(20):  # requests are taken in their order: after these, the batch was
            daemon.status()
        os.kill(worker, signal.SIGCONT)
        told = asked.result(30).json()
        assert digest.result(30).json() == {"sha256": sha256_of(path)}
    assert (told["success"], told["failed"]) == ([row["id"]], [])
    assert daemon.wait_model(path) == sha256_of(path)
    daemon.wait_idle()
    # It was read once for the three of them, and nobody waits any more for the one who left.
    assert len([record for record in daemon.journal("hash.finished") if record["path"] == str(path)]) == 1
    assert daemon.status()["hashing"]["queued"] == 0
    told = daemon.post("/api/migration/import_models", {"id": list(range(1000, 3000))}).json()
    assert (told["total"], len(told["failed"]), told["success"]) == (2000, 2000, [])


def leave_in_the_middle(daemon: DaemonProcess, body: dict[str, str]) -> None:
    """Ask for a hash, and hang up before it is there."""
    content = json.dumps(body).encode()
    head = b"POST /api/models/sha256 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(daemon.socket))
        caller.sendall(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        assert daemon.status()["hashing"]["active"]
