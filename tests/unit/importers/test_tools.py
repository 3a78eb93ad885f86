"""A kind takes what its tool keeps beside models and elsewhere, and nothing of other tools."""

import asyncio
import errno
import pickle
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from tests.sidecar_library import SIDECAR_SAMPLE, TRUTH

from modelkeep.base.workers import WorkerPool
from modelkeep.catalogue.prepared import prepare_news
from modelkeep.domain.legacy import LegacyRow
from modelkeep.domain.naming import PathMap
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.reading import read_apart
from modelkeep.importers.registry import IMPORTERS, importer_for

MODELS = SIDECAR_SAMPLE / "models"
TOOLS = {"webui-user-metadata": "webui", "text-note": "pysssss", "pysssss-hash": "pysssss"}


def content_of(kind: str, source: Path = MODELS, mapping: tuple[tuple[str, str], ...] = ()) -> SourceContent:
    return importer_for(kind).read(SourceOptions(source, path_map=PathMap(mapping)))


def told(tool: str) -> set[str]:
    """Return the sidecars of a tool, by the truth."""
    of_models = [sidecar for model in TRUTH["models"] for sidecar in model["sidecars"] if not sidecar.get("empty")]
    return {one["path"] for one in [*of_models, *TRUTH["orphans"]] if TOOLS.get(one["tool"], one["tool"]) == tool}


def paths(content: SourceContent, *but: str) -> set[str]:
    return {record.key.removeprefix(f"{MODELS}/") for record in content.records if record.kind not in but}


@pytest.mark.parametrize(
    "kind",
    [
        "lora-manager",
        "civitai-helper",
        "webui",
        "sdnext",
        "stability-matrix",
        "rgthree",
        "pysssss",
        "model-manager",
        "swarmui",
        "huggingface",
    ],
)
def test_a_kind_takes_the_sidecars_of_its_tool(kind: str) -> None:
    shared = {"preview"} if kind == "pysssss" else {"preview", "pysssss"}
    others = {one for one in told("other-downloader") if kind == "civitai-helper"}
    assert paths(content_of(kind), *shared) == told(kind) | others


def test_texts_and_previews_come_with_the_tools_that_keep_them() -> None:
    assert {record.kind for record in content_of("webui").records} == {"webui", "pysssss", "preview"}
    assert {record.kind for record in content_of("rgthree").records} == {"rgthree"}


def test_all_at_once_are_all_of_them_and_each_refused_one_is_a_line() -> None:
    content = content_of("sidecars")
    kinds = {record.kind for record in content.records}
    assert kinds <= IMPORTERS.keys() | {"preview"}
    assert len(kinds) == 11
    assert len({(record.kind, record.key) for record in content.records}) == len(content.records)
    refused = {str(MODELS / one["path"]) for one in TRUTH["refused"] if not one.get("silent")}
    assert {refusal.path for refusal in content.refusals} == refused
    assert all(refusal.reason and "\n" not in refusal.reason for refusal in content.refusals)


def test_a_library_that_is_watched_elsewhere_is_mapped(tmp_path: Path) -> None:
    mapped = content_of("rgthree", mapping=((str(MODELS), "/mnt/models"),))
    assert {path for record in mapped.records for path in record.models} == {
        "/mnt/models/loras/paper lantern.safetensors",
        "/mnt/models/loras/rg_note.safetensors",
        "/mnt/models/loras/style/wool felt.safetensors",
    }


def test_a_backup_of_sidecars_alone_belongs_to_the_models_where_they_lie(tmp_path: Path) -> None:
    backup, models = tmp_path / "backup", tmp_path / "models"
    for path in ("loras/fox.txt", "loras/fox/evening.txt", "loras/lost.txt"):
        (backup / path).parent.mkdir(parents=True, exist_ok=True)
        (backup / path).write_text("a note")
    (models / "loras").mkdir(parents=True)
    (models / "loras" / "fox.safetensors").touch()

    content = content_of("pysssss", backup, ((str(backup), str(models)),))

    assert {record.key: record.models for record in content.records} == {
        str(backup / "loras" / "fox.txt"): (str(models / "loras" / "fox.safetensors"),),
        str(backup / "loras" / "fox" / "evening.txt"): (str(models / "loras" / "fox.safetensors"),),
        str(backup / "loras" / "lost.txt"): (),
    }


def test_what_lies_elsewhere_is_taken_under_the_same_kind(tmp_path: Path) -> None:
    tool = tmp_path / "rgthree"
    shutil.copytree(SIDECAR_SAMPLE / "tools" / "rgthree", tool)
    shutil.copy(MODELS / "loras" / "rg_note.safetensors.rgthree-info.json", tool)
    content = content_of("rgthree", tool)
    assert {Path(record.key).name.partition(".")[0] for record in content.records} == {
        "civitai",
        "metadata",
        "rg_note",
    }


def test_a_source_that_holds_nothing_of_the_tool_is_told(tmp_path: Path) -> None:
    empty = content_of("sidecars", tmp_path)
    assert (empty.records, empty.refusals) == ((), ())
    assert "nothing of any tool is there" in empty.remarks[0].reason
    with pytest.raises(SourceError, match="holds nothing of InvokeAI: SOURCE has to be its root folder"):
        content_of("invokeai", tmp_path)
    with pytest.raises(SourceError, match="is not there"):
        content_of("sidecars", tmp_path / "absent")


PREPARE = partial(prepare_news, catalogue=Path("/nonexistent"))


class Shut:
    """A source in which one folder may not be read."""

    kind = description = "shut"

    def read(self, options: SourceOptions) -> SourceContent:
        raise PermissionError(errno.EACCES, "Permission denied", str(options.source / "inner"))


async def test_what_the_system_does_not_let_us_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="inner may not be read by this user"):
        await read_apart(Shut(), SourceOptions(tmp_path, scratch=tmp_path), PREPARE)


class Said:
    """A source of one row."""

    kind = description = "said"

    def read(self, options: SourceOptions) -> SourceContent:
        return SourceContent(self.kind, str(options.source), (LegacyRow("1", "1", "/m/a.pt", "/m/a.pt"),))


async def test_a_reading_that_is_called_off_at_its_very_end_leaves_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_read, may_end, abandon = threading.Event(), threading.Event(), WorkerPool.abandon

    def hold(pool: WorkerPool, wait_seconds: float = 0.0) -> bool:
        is_read.set()
        may_end.wait(60)
        return abandon(pool, wait_seconds)

    monkeypatch.setattr(WorkerPool, "abandon", hold)
    reading = asyncio.create_task(read_apart(Said(), SourceOptions(tmp_path, scratch=tmp_path), PREPARE))
    await asyncio.to_thread(is_read.wait, 60)
    reading.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert names_in(tmp_path) == []


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_records_come_whole_from_the_process_that_reads_them(tmp_path: Path) -> None:
    importer, options = importer_for("sidecars"), SourceOptions(MODELS, scratch=tmp_path)
    assert pickle.loads(pickle.dumps(importer)) == importer
    assert await read_apart(importer, options, PREPARE) == importer.read(options)
