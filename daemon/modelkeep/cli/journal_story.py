"""The story of one model: its records put together as a person would tell them. Pure."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelkeep.cli.journal_words import sentence, what_became

Record = Mapping[str, Any]

_STEPS = frozenset({"migration.planned", "migration.committed", "image.published"})
"""Steps of a migration that its end tells with it."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One thing that happened: the record that closed it, which file it was about, and what happened."""

    record: Record
    about: str
    text: str


def chapters(records: Sequence[Record]) -> list[Chapter]:
    """Return what happened, the steps of each finished migration as one thing.

    Args:
        records: of one story, in their order.
    """
    finished = {record.get("migration") for record in records if record.get("event") == "migration.finished"}
    plans = {record.get("migration"): record for record in records if record.get("event") == "migration.planned"}
    labels = _labels(_paths(records))
    happened = []
    for record in records:
        event, migration = record.get("event"), record.get("migration")
        if migration and event in _STEPS and migration in finished:
            continue
        is_end = event == "migration.finished" and migration in plans
        text = what_became(record, plans[migration]) if is_end else sentence({**record, **_shortened(record, labels)})
        about = "" if event == "file.moved" else labels.get(str(record.get("path", "")), "")
        happened.append(Chapter(record, about, text))
    return happened


def common_folder(records: Sequence[Record]) -> str:
    """Return the folder below which all files of a story lie, empty when there is none but the root."""
    return _common(_paths(records))


def _paths(records: Sequence[Record]) -> list[str]:
    return [str(record[key]) for record in records for key in ("path", "old_path") if record.get(key)]


def _common(paths: Sequence[str]) -> str:
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120
    shared = os.path.commonpath(folders) if folders and all(path.startswith("/") for path in folders) else ""
    return "" if shared == "/" else shared


def _shortened(record: Record, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of a move as the story calls them."""
    if record.get("event") != "file.moved":
        return {}
    return {key: labels.get(str(record[key]), str(record[key])) for key in ("path", "old_path") if key in record}


def _labels(paths: Sequence[str]) -> dict[str, str]:
    """Return what tells the files of a story apart: nothing where there is but one."""
    if len(set(paths)) < 2:
        return {}
    folder = _common(paths)
    return {path: path.removeprefix(folder).lstrip("/") if folder else path for path in paths}
