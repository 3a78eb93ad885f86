"""A fuzzer asks the daemon whatever its own description of the interface admits, and much that it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors

CHECKS: list[schemathesis.CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENDLESS = {"/api/events"}
"""Never ends; see `test_events.py`."""

EXAMPLES = 1
Known = dict[str, Any]
Case = schemathesis.Case[Any]


@pytest.fixture
def library(tmp_path: Path, models: Path, make_daemon: DaemonMaker) -> tuple[DaemonProcess, Known]:
    """A daemon whose caller may everything, with one of each thing that can be asked for, and their names."""
    daemon = make_daemon(tables={"api": {"token": "s3cret"}}).start()
    sha256 = daemon.wait_model(put(models / "loras" / "hero.safetensors", safetensors("hero")))
    form: Known = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(1, (24, 16)))}}
    assert daemon.request("POST", "/api/images/upload", **form).is_success
    tag = daemon.post("/api/tags_add", {"newtags": ["anime"]}).json()["tags"][0]
    legacy = LegacyLibrary()
    legacy.add(models / "gone.safetensors", (".png", png(2, (24, 16))), tags=("anime",))
    assert daemon.post("/api/import", {"kind": "hikaze", "source": str(legacy.write(tmp_path / "old"))}).is_success
    row = daemon.get("/api/pending")["pending"][0]["id"]
    return daemon, {"sha256": sha256, "hash": sha256, "id": tag["id"], "pending_id": row, "name": f"{sha256}_0.webp"}


def fuzz(daemon: DaemonProcess, known: Known, examples: int, number: int) -> int:
    """Ask every call so often, with what fits and with what does not; returns how many answers there were."""
    answers = 0
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer s3cret"
        schema = schemathesis.openapi.from_url(f"{daemon.url}/openapi.json", headers=dict(session.headers))
        for found in schema.get_all_operations():
            operation = cast("Any", found).ok()  # a call that is not described well raises
            if operation.path not in ENDLESS:
                answers += _ask(operation, session, known, examples, number)
    return answers


def _ask(operation: Any, session: requests.Session, known: Known, examples: int, number: int) -> int:
    answers = 0
    modes = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]
    bounds = settings(
        max_examples=examples * len(modes),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @seed(number)
    @bounds
    @given(case=st.one_of(modes), meant=st.booleans())
    def answer_fits(case: Case, meant: bool) -> None:
        nonlocal answers
        answers += 1
        case.headers.pop("Authorization", None)  # who lacks the token learns nothing else
        if meant:
            _name_known(case, known)
        case.call_and_validate(session=session, checks=CHECKS, timeout=60)

    ask: Callable[[], None] = answer_fits
    ask()
    return answers


def _name_known(case: Case, known: Known) -> None:
    """Have a request name things that there are."""
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: known[name] for name in place if name in known})


def test_every_answer_is_as_described_and_none_is_a_fault(library: tuple[DaemonProcess, Known]) -> None:
    daemon, known = library
    assert fuzz(daemon, known, EXAMPLES, 1) > 60
    assert daemon.status()["state"] in ("running", "paused")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_whatever_is_asked(library: tuple[DaemonProcess, Known], rounds: int, seed: int) -> None:
    daemon, known = library
    assert fuzz(daemon, known, rounds, seed) > rounds
    assert daemon.status()["state"] in ("running", "paused")
