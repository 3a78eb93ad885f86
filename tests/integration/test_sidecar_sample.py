"""A library full of other tools' sidecars: everything that they say is in the catalogue, at the right content."""

from pathlib import Path
from typing import Any

from tests.daemon_process import WITH_TENSORS, DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.libraries import snapshot
from tests.sidecar_library import KINDS, OTHER_SOURCES, SAYS, TRUTH, copied_sidecar_sample, expected_of
from tests.waiting import wait_until

READ_KINDS = {"sha256": "sha256", "autov2": "autov2", "autov3": "autov3", "tensor_sha256": "tensor-sha256"}
"""Claims that the reading of a file judges."""


def test_what_lies_beside_the_models_is_imported_and_finds_its_content(
    tmp_path: Path, make_daemon: DaemonMaker
) -> None:
    models = copied_sidecar_sample(tmp_path / "library") / "models"
    before = snapshot(models)
    daemon = make_daemon(models, tables=WITH_TENSORS)
    rehearsed = daemon.must("import", "sidecars", str(models), "--dry-run", "--json").json
    report = daemon.must("import", "sidecars", str(models), "--json").json
    assert _outcomes(rehearsed) == _outcomes(report)
    assert {entry["path"] for entry in report["refusals"]} == {
        str(models / one["path"]) for one in TRUTH["refused"] if not one.get("silent")
    }
    # Nobody has come to the models yet, but they are there.
    assert {entry["key"] for entry in report["records"] if entry["orphan"]} == {
        str(models / orphan["path"]) for orphan in TRUTH["orphans"]
    }
    assert report["pending"] == len(report["records"]) - len(TRUTH["orphans"])
    assert report["not_found"] == []

    daemon.start()
    for model in TRUTH["models"]:
        assert daemon.wait_model(models / model["path"]) == model["sha256"]
        _wait_for_digests(daemon, model)
    again = daemon.must("import", "sidecars", str(models), "--json").json
    assert (again["unchanged"], again["taken"], again["updated"]) == (len(report["records"]), 0, 0)
    for model in TRUTH["models"]:
        sources = daemon.get(f"/api/models/{model['sha256']}/details")["sources"]
        _judge(models, model, {record["key"]: record for kind in sources.values() for record in kind})
    _judge_orphans(models, again)
    assert snapshot(models) == before


def _wait_for_digests(daemon: DaemonProcess, model: dict[str, Any]) -> None:
    """Wait until the second digest is known, which may be made after the first."""
    question = f"/api/models/{model['sha256']}/details"
    wait_until(lambda: daemon.get(question)["digests"].get("autov3", "") == model.get("autov3", ""), what="AutoV3")


def _outcomes(report: dict[str, Any]) -> set[tuple[str, str, bool]]:
    return {(record["kind"], record["key"], record["orphan"]) for record in report["records"]}


def _judge(models: Path, model: dict[str, Any], records: dict[str, dict[str, Any]]) -> None:
    """Assert that a model has all that the truth says of it."""
    for sidecar in model["sidecars"]:
        if not sidecar.get("empty"):
            record = records[str(models / sidecar["path"])]
            assert record["kind"] == KINDS.get(sidecar["tool"], sidecar["tool"])
            assert (record["how"] == "ambiguous") == sidecar.get("ambiguous", False)
    for expected in model["expected"]:
        if expected["tool"] not in OTHER_SOURCES:
            record = records[str(models / _sidecar_of(model, expected["tool"]))]
            said = {key: SAYS[key](record["meaning"], record["raw"]) for key in expected_of(expected)}
            assert said == expected_of(expected), model["path"]
    for claim in model["claims"]:
        if not claim["from"].startswith("tools/"):
            _judge_claim(records[str(models / claim["from"])], claim)
    for preview in model["previews"]:
        assert records[str(models / preview["path"])]["kind"] == "preview"


def _sidecar_of(model: dict[str, Any], tool: str) -> str:
    return str(next(one["path"] for one in model["sidecars"] if one["tool"] == tool and not one.get("empty")))


def _judge_claim(record: dict[str, Any], claim: dict[str, Any]) -> None:
    verdicts = {(one["kind"], one["value"]): one["verdict"] for one in record["claims"]}
    kind = claim["kind"].replace("_", "-")
    if "worthless" in claim:
        assert (kind, claim["value"]) not in verdicts
    elif claim["kind"] in READ_KINDS:
        assert verdicts[kind, claim["value"]] == ("confirmed" if claim["right"] else "refuted")
    else:
        assert (kind, claim["value"]) in verdicts


def _judge_orphans(models: Path, report: dict[str, Any]) -> None:
    """Assert that sidecars without a model beside them are kept, and given where a hash in them is true of one."""
    told = {record["key"]: record for record in report["records"]}
    hashes = {model["path"]: model["sha256"] for model in TRUTH["models"]}
    for orphan in TRUTH["orphans"]:
        record, owner = told[str(models / orphan["path"])], orphan["matches_by_hash"]
        assert record["models"] == ([hashes[owner]] if owner else [])
        assert record["orphan"] == (owner is None)
