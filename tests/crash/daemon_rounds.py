"""Rounds in which the real daemon, under load, is killed at any moment."""

import json
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tests.crash.world import Source, World, faults_of_world
from tests.daemon_process import DaemonProcess
from tests.waiting import wait_until

UP_SECONDS = 1.0
"""A ready daemon is killed within this time."""

START_SECONDS = 0.6
"""In some rounds it is killed within this time after its start, perhaps in its recovery."""


@dataclass
class Rounds:
    """A world, a daemon that keeps it, and what was done to both.

    Args:
        folder: where both lie.
        seed: of all that happens.
    """

    folder: Path
    seed: int
    kills: int = 0
    imports: int = 0
    resolved: int = 0
    chance: random.Random = field(init=False)
    world: World = field(init=False)
    daemon: DaemonProcess = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.world = World(self.folder, random.Random(self.seed + 1))
        self.world.root.mkdir(parents=True)
        self.daemon = DaemonProcess(
            self.folder / "daemon", [self.world.root], {"watch": {"settle_seconds": 0.1}, "hashing": {"workers": 2}}
        )

    def run(self, rounds: int) -> None:
        """Kill the daemon so many times."""
        for _ in range(rounds):
            for _ in range(self.chance.randint(0, 3)):
                self.world.change()
            self._one_round()

    def faults(self) -> list[str]:
        """Start it a last time, let it come to rest, and return what is not as it has to be."""
        try:
            self.daemon.start()
            for source in self.world.sources:
                if not source.is_taken:
                    self._import(source)
            self.daemon.wait_idle(60)
            self.daemon.stop()
            self.daemon.journal()
        finally:
            self.daemon.close()
        said = ["the daemon wrote a traceback"] if self.daemon.has_failed_inside() else []
        return said + faults_of_world(self.world, self.daemon.data_dir)

    def _one_round(self) -> None:
        if self.chance.random() < 0.25:
            self.daemon.start(ready=False)
            time.sleep(self.chance.uniform(0, START_SECONDS))
            self._kill()
        else:
            self.daemon.start()
            self._load_and_kill(self.chance.uniform(0, UP_SECONDS))
        wait_until(lambda: not self.daemon.processes(), 8, "every process of the daemon to be gone")

    def _kill(self) -> None:
        self.daemon.kill()
        self.kills += 1

    def _load_and_kill(self, seconds: float) -> None:
        """Let things happen for a while, among them an import; the kill may come in the middle of it."""
        ends = time.monotonic() + seconds
        open_sources = [source for source in self.world.sources if not source.is_taken]
        source = open_sources[0] if len(open_sources) > 1 else self.world.new_source()
        importing = threading.Thread(target=self._import, args=(source,))
        importing.start()
        while time.monotonic() < ends:
            self.world.change()
            if self.chance.random() < 0.3:
                self._resolve()
            time.sleep(self.chance.uniform(0, 0.1))
        self._kill()
        importing.join()

    def _import(self, source: Source) -> None:
        """Import; it is taken when the daemon says so, and not when it is killed before."""
        body = {"kind": "hikaze", "source": str(source.database)}
        try:
            answer = self.daemon.post("/api/import", body)
        except httpx.TransportError:
            return
        last = json.loads(answer.text.splitlines()[-1])
        assert "report" in last, answer.text
        assert not last["report"]["refusals"], last
        source.is_taken = True
        self.imports += 1

    def _resolve(self) -> None:
        """Merge the first row that is in conflict."""
        try:
            conflicts = self.daemon.get("/api/pending", state="conflict")["pending"]
            if conflicts:
                body = {"id": conflicts[0]["id"], "conf_strategy": "merge"}
                self.resolved += self.daemon.post("/api/migration/import_a_model", body).is_success
        except httpx.TransportError as error:
            raise AssertionError("the daemon has ended by itself") from error
