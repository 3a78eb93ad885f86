"""An independent judge: reads the legacy database and the catalogue itself, and says what is not accounted for.

It shares no code with the program. Every row of the legacy database has to be migrated with exactly its tags, text
and image, or pending with exactly these and a reason that a person understands.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.image_judge import faults_of_published, is_usable
from tests.integration.kept import Kept, Row, read_kept
from tests.integration.legacy_facts import LegacyFacts, read_legacy
from tests.libraries import sha256_of

_TECHNICAL = re.compile(r"Errno|Traceback|Exception|Error\b|<class|\bNone\b|0x[0-9a-f]{6}|\.py\b|sqlite3\.|[{}]")
_AN_HOUR_AGO_MS = (time.time() - 3600) * 1000
_DERIVED = {"images", "images_count"}


@dataclass
class Judgement:
    """What the oracle found: complaints, and what became of each row (`migrated` or `pending`) by its id."""

    complaints: list[str] = field(default_factory=list)
    fates: dict[int, str] = field(default_factory=dict)


def judge(
    database: Path,
    data_dir: Path,
    path_map: tuple[str, str] = ("", ""),
    report: Mapping[str, Any] | None = None,
    *,
    claims_are_kept: bool = False,
    digests: Mapping[Path, str] | None = None,
) -> Judgement:
    """Compare a legacy database with what was made of it.

    Args:
        database: the legacy one; its images lie in `images/` beside it.
        data_dir: the daemon's data folder; nothing is on its way in it any more.
        path_map: the prefix that was rewritten by `--map`, and what it became.
        report: of the import; tells of images that could not be taken.
        claims_are_kept: a row whose stored hash is wrong stays under that hash, and follows its file too.
        digests: of files that are not read for it.
    """
    case = _Case(
        read_legacy(database, path_map, digests), read_kept(data_dir), data_dir, report or {}, claims_are_kept
    )
    for row in case.rows:
        case.judge_row(row)
    case.judge_models()
    case.judge_files()
    case.judge_tags()
    return Judgement(case.complaints, case.fates)


def assert_none(complaints: list[str]) -> None:
    """Fail with the complaints, if there are any."""
    assert not complaints, "\n".join([f"{len(complaints)} complaints:", *complaints[:20]])


def is_understandable(reason: str) -> bool:
    """Return whether a reason is a sentence for a person and not for a programmer."""
    return len(reason) >= 15 and " " in reason and not _TECHNICAL.search(reason)


@dataclass
class _Case:
    rows: list[LegacyFacts]
    kept: Kept
    data_dir: Path
    report: Mapping[str, Any]
    claims_are_kept: bool
    complaints: list[str] = field(default_factory=list)
    fates: dict[int, str] = field(default_factory=dict)
    migrated: dict[str, list[LegacyFacts]] = field(default_factory=lambda: defaultdict(list))
    followed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Claimed hashes under which something was said of a content that has another."""

    def complain(self, row: LegacyFacts, sentence: str) -> None:
        self.complaints.append(f"row {row.id} ({row.path.name}): {sentence}")

    # Rows

    def judge_row(self, row: LegacyFacts) -> None:
        is_kept = self.claims_are_kept and row.claim in self.kept.models
        content = row.claim if row.claim and (is_kept or not row.content) else row.content
        waiting, place = self.kept.pending.get(str(row.path)), self.kept.locations.get(str(row.path))
        if waiting is not None and waiting["source"] != "watch":
            self.fates[row.id] = "pending"
            self._judge_pending(row, waiting)
        elif content in self.kept.models and (place is not None or self.claims_are_kept):
            self.fates[row.id] = "migrated"
            self._judge_migrated(row, content)
            if row.content and row.content != content and row.content in self.kept.models:
                self.migrated[row.content].append(row)
                self.followed[row.content].add(content)
        else:
            self.complain(row, "it is neither migrated nor pending")

    def _judge_pending(self, row: LegacyFacts, waiting: Row) -> None:
        for column in ("name", "type", "created_at"):
            if waiting[column] != getattr(row, column):
                self.complain(row, f"pending with {column} {waiting[column]!r} for {getattr(row, column)!r}")
        if json.loads(waiting["meta_json"]) != row.texts:
            self.complain(row, f"pending with other texts: {waiting['meta_json']}")
        tags = self.kept.pending_tags.get(waiting["id"], set())
        if tags != row.tags:
            self.complain(row, f"pending with the tags {sorted(tags)} for {sorted(row.tags)}")
        if not is_understandable(waiting["last_error"]):
            self.complain(row, f"pending ({waiting['state']}) with the reason {waiting['last_error']!r}")
        self._judge_pending_image(row, waiting)
        self._judge_state(row, waiting)

    def _judge_pending_image(self, row: LegacyFacts, waiting: Row) -> None:
        if row.image is None or self._is_told(row):
            return
        original = self.data_dir / "images" / "pending" / (waiting["image"] or "none")
        if not original.is_file() or original.read_bytes() != row.image.read_bytes():
            self.complain(row, f"pending without its image {row.image.name}")

    def _judge_state(self, row: LegacyFacts, waiting: Row) -> None:
        state, is_there = waiting["state"], row.path.is_file()
        if state == "waiting" or (state == "missing") == is_there:
            self.complain(row, f"pending as {state} though its file is {'there' if is_there else 'gone'}")
        if state != "conflict":
            return
        if waiting["sha256"] != row.content or row.content not in self.kept.models:
            self.complain(row, "in conflict with a model that does not have its content")
        elif not self._differs(row, self.kept.models[row.content]):
            self.complain(row, "in conflict though merging it would lose nothing")

    def _judge_migrated(self, row: LegacyFacts, content: str) -> None:
        model, place = self.kept.models[content], self.kept.locations.get(str(row.path))
        self.migrated[content].append(row)
        lacking = list(self._differs(row, model))
        if lacking:
            self.complain(row, f"migrated without {lacking}")
        missing = row.tags - self.kept.model_tags.get(content, set())
        if missing:
            self.complain(row, f"migrated without the tags {sorted(missing)}")
        expected = "present" if row.path.is_file() else "missing"
        is_refuted = self.claims_are_kept and row.content not in ("", content)
        if place is not None and not is_refuted and (place["sha256"], place["state"]) != (content, expected):
            self.complain(row, f"its path is {place['state']} with {place['sha256'][:8]}, not {expected}")
        if row.path.is_file() and row.content == content and model["size_bytes"] != row.path.stat().st_size:
            self.complain(row, f"its model has {model['size_bytes']} bytes, its file {row.path.stat().st_size}")
        self._judge_migrated_image(row, content)

    def _judge_migrated_image(self, row: LegacyFacts, content: str) -> None:
        if row.image is None:
            return
        digest = sha256_of(row.image)
        is_published = any(image["source_digest"] == digest for image in self.kept.images.get(content, ()))
        if is_published != is_usable(row.image):
            self.complain(row, f"its image {row.image.name} is {'' if is_published else 'not '}published")
        if not is_published and not (self._is_told(row) or self._is_refused(row, content)):
            self.complain(row, f"nobody is told why its image {row.image.name} was not taken")

    def _is_told(self, row: LegacyFacts) -> bool:
        """Return whether the import's report says why the row's image was not taken."""
        errors = self.report.get("image_errors", ())
        return any(error["key"] == str(row.id) and is_understandable(error["reason"]) for error in errors)

    def _is_refused(self, row: LegacyFacts, content: str) -> bool:
        """Return whether the catalogue says why, and the original is kept."""
        assert row.image is not None
        for refused in self.kept.refused.get(content, ()):
            original = self.data_dir / "images" / "pending" / refused["file"]
            if original.is_file() and original.read_bytes() == row.image.read_bytes():
                return is_understandable(refused["reason"])
        return False

    def _differs(self, row: LegacyFacts, model: Row) -> list[str]:
        """Return which non-empty values of a row a model does not have."""
        lacking = list(_lacking(row.texts, json.loads(model["meta_json"])))
        if row.name not in (model["name"], row.path.name, row.path.stem):
            lacking.append("name")
        if row.type != model["type"] and row.type not in row.path.parts:
            lacking.append("type")
        return lacking

    # Models

    def judge_models(self) -> None:
        """No model has more than its rows say, and none is there without a reason."""
        for content, model in self.kept.models.items():
            rows, what = self.migrated.get(content, []), f"model {model['name']} ({content[:8]})"
            tags = self.kept.model_tags.get(content, set())
            if tags != {tag for row in rows for tag in row.tags}:
                self.complaints.append(f"{what} has the tags {sorted(tags)}, which its rows do not explain")
            texts = json.loads(model["meta_json"])
            if not all(any(_holds(row.texts, path, value) for row in rows) for path, value in _leaves(texts)):
                self.complaints.append(f"{what} has texts that its rows do not explain: {texts}")
            if _DERIVED & texts.keys():
                self.complaints.append(f"{what} stores what is derived: {sorted(texts)}")
            said = {sha256_of(row.image) for row in rows if row.image is not None}
            said |= {sha256_of(image) for claim in self.followed[content] for image in self._published(claim)}
            self._judge_images(what, content, said)
            if not rows and not self._explains(content):
                self.complaints.append(f"{what} is there without a row and without a file")
            if rows:
                self._judge_columns(what, model, rows)

    def _judge_columns(self, what: str, model: Row, rows: list[LegacyFacts]) -> None:
        """What no row says comes from where the file lies: it was hashed before its row came."""
        said = {column: {getattr(row, column) for row in rows} for column in ("name", "type", "created_at")}
        places = [Path(path) for path, place in self.kept.locations.items() if place["sha256"] == model["sha256"]]
        said["name"] |= {place.name for place in places}
        said["type"] |= {part for place in places for part in place.parts}
        if model["created_at"] > _AN_HOUR_AGO_MS:
            said["created_at"].add(model["created_at"])
        for column, values in said.items():
            if model[column] not in values:
                self.complaints.append(f"{what} has the {column} {model[column]!r}, which none of its rows has")

    def _judge_images(self, what: str, content: str, said: set[str]) -> None:
        images = self.kept.images.get(content, [])
        digests = [image["source_digest"] for image in images]
        if len(set(digests)) != len(digests) or not set(digests) <= said:
            self.complaints.append(f"{what} has images that its rows do not explain")
        if [image["seq"] for image in images] != list(range(len(images))):
            self.complaints.append(f"{what} has the image numbers {[image['seq'] for image in images]}")

    def _published(self, content: str) -> list[Path]:
        """Return the images of a content: what was said under a refuted hash follows the file as these."""
        return sorted((self.data_dir / "images").glob(f"{content}_*_high.webp"))

    def _explains(self, content: str) -> bool:
        return any(place["sha256"] == content and Path(path).is_file() for path, place in self.kept.locations.items())

    # Files and tags

    def judge_files(self) -> None:
        """The folder of images holds what the catalogue names and nothing else."""
        folder = self.data_dir / "images"
        sources = {sha256_of(row.image): row.image for row in self.rows if row.image is not None}
        sources |= {
            sha256_of(path): path for claims in self.followed.values() for c in claims for path in self._published(c)
        }
        expected = set()
        for content, images in self.kept.images.items():
            for image in images:
                expected |= {f"{content}_{image['seq']}_{quality}.webp" for quality in ("high", "medium", "low")}
                faults = faults_of_published(folder, image, sources.get(image["source_digest"]))
                self.complaints += [f"image {content[:8]}_{image['seq']}: {fault}" for fault in faults]
        originals = {row["image"] for row in self.kept.pending.values() if row["image"]}
        originals |= {row["file"] for rows in self.kept.refused.values() for row in rows}
        for place, names in ((folder, expected), (folder / "pending", originals), (folder / ".staging", set[str]())):
            found = {entry.name for entry in place.iterdir() if entry.is_file()}
            if found != names:
                odd = sorted(found ^ names)[:5]
                self.complaints.append(f"{place.name}: {len(found)} files for {len(names)} names, e.g. {odd}")

    def judge_tags(self) -> None:
        """Every tag that a row carries is there once, with its colour and time."""
        known = {name: (color, created_at) for row in self.rows for name, color, created_at in row.tag_facts}
        found = {name: (row["color"], row["created_at"]) for name, row in self.kept.tags.items()}
        for name in sorted(known.keys() | found.keys()):
            if known.get(name) != found.get(name):
                self.complaints.append(f"tag {name}: {found.get(name)} for {known.get(name)}")


def _leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


def _holds(texts: Mapping[str, Any], path: tuple[str, ...], value: Any) -> bool:
    held: Any = texts
    for key in path:
        held = held.get(key) if isinstance(held, dict) else None
    return bool(held == value)


def _lacking(said: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[str]:
    for path, value in _leaves(said):
        if value not in (None, "", []) and not _holds(held, path, value):
            yield ".".join(path)
