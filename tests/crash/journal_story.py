"""What the journal tells of migrations, and whether it is whole."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from modelkeep.journal.records import is_sound
from modelkeep.journal.soundness import check


@dataclass(frozen=True)
class JournalStory:
    """Ids of migrations by what the journal says of them; `damages` are sentences."""

    damages: list[str] = field(default_factory=list)
    is_whole: bool = False
    """Whether it begins with the first record: old segments go."""
    events: list[str] = field(default_factory=list)
    planned: set[str] = field(default_factory=set)
    committed: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    rolled_back: set[str] = field(default_factory=set)
    denied: set[tuple[str, str]] = field(default_factory=set)
    """Path and hash of what was rolled back."""
    finished: set[tuple[str, str]] = field(default_factory=set)
    """Path and hash of what was migrated."""


def read_story(folder: Path) -> JournalStory:
    """Read the journal."""
    damages = [f"{damage.segment} at {damage.offset}: {damage.reason}" for damage in check(folder)]
    segments = sorted(folder.glob("migration-*.jsonl"))
    story = JournalStory(damages, bool(segments) and int(segments[0].stem.split("-")[1]) == 1)
    for segment in segments:
        for line in segment.read_bytes().splitlines(keepends=True):
            if is_sound(line):  # `check` tells of the others
                _take(json.loads(line), story)
    return story


def _take(record: dict[str, object], story: JournalStory) -> None:
    event, migration = str(record["event"]), str(record.get("migration", ""))
    story.events.append(event)
    content = (str(record.get("path")), str(record.get("sha256")))
    if event == "migration.finished":
        story.finished.add(content)
    if not migration:
        return
    if event == "migration.planned":
        story.planned.add(migration)
    elif event in ("migration.committed", "recovery.rolled_forward"):
        story.committed.add(migration)
    elif event == "recovery.rolled_back":
        story.rolled_back.add(migration)
        story.denied.add(content)
    if event in ("migration.finished", "migration.failed", "migration.conflicted", "recovery.rolled_back"):
        story.ended.add(migration)
