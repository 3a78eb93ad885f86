import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from modelkeep.cli.journal_view import day_of, line_of, plain_line, story_of
from modelkeep.cli.journal_words import sentence

TS = "2026-11-20T05:43:01.000001Z"
NOW = datetime(2026, 11, 22, 5, 43, 2, tzinfo=UTC)
SHA, OTHER = "ab" * 32, "cd" * 32
FILE = Console(file=io.StringIO(), width=1000)
TERMINAL = Console(file=io.StringIO(), width=80, force_terminal=True)


def record(event: str = "file.detected", **fields: object) -> dict[str, object]:
    return {"seq": 1, "ts": TS, "event": event, **fields}


def line(**fields: object) -> str:
    one = record(**fields)  # type: ignore[arg-type]
    assert plain_line(one) == line_of(one, FILE).plain
    return plain_line(one)


def test_a_line_holds_the_event_the_name_and_a_sentence() -> None:
    shown = line(event="hash.finished", path="/srv/a b.safetensors", sha256=SHA, bytes=6_400_000_000, seconds=4.26)

    assert shown.endswith(
        "hash.finished         a b.safetensors: hashed: 6.4 GB in 4.3 s, 1.5 GB/s; sha256 abababababab"
    )


@pytest.mark.parametrize(
    ("event", "fields", "words"),
    [
        (
            "file.detected",
            {"cause": "import", "source": "hikaze", "source_row": "4", "pending_id": 12},
            "imported from hikaze, its row 4: waits to be hashed (row 12)",
        ),
        ("file.detected", {"cause": "scan", "pending_id": 3}, "found by a scan (row 3)"),
        ("file.moved", {"path": "/m/b", "old_path": "/m/a", "cause": "renamed"}, "moved: /m/a is now /m/b"),
        ("claim.refuted", {"claimed": "1" * 64, "found": "2" * 64}, "the older hash 111111111111 is wrong"),
        (
            "hash.failed",
            {"error": "it changed", "retry_at": "soon"},
            "not hashed: it changed; tried again after soon",
        ),
        (
            "migration.conflicted",
            {"differing": ["name", "description"], "pending_id": 8},
            "conflict: its content is in the catalogue, and name, description would be lost by merging",
        ),
        ("migration.finished", {"action": "merged", "cause": "by the owner"}, "by the owner: merged into its model"),
        (
            "migration.finished",
            {"action": "image_removed", "image": 0, "moved_down": 2, "cause": "by the owner"},
            "by the owner: image removed (number 0); 2 later images moved down by one",
        ),
        (
            "import.finished",
            {"kind": "hikaze", "rows": 1200, "migrated": 9, "images_processed": 1, "errors": 0},
            "import from hikaze finished: 1,200 rows; 9 became models at once, 1 image taken",
        ),
        (
            "root.unreachable",
            {"root": "/srv", "cause": "it is not there"},
            "root /srv is unreachable: it is not there",
        ),
        (
            "rescan.finished",
            {"root": "/srv", "scanned": 2, "unreadable": ["/srv/a: Permission denied"]},
            "scanned /srv: 2 files, nothing new; cannot be read: /srv/a: Permission denied",
        ),
    ],
)
def test_what_happened_is_told_in_words(event: str, fields: dict[str, object], words: str) -> None:
    assert sentence(record(event, **fields)).startswith(words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"something_new": [1, "b"], "empty": "", "files": [{"staged": "x"}]}, "something new 1 b"),
        ({"counts": {"scanned": 3000, "added": 0}, "by": SHA}, "counts scanned 3,000, added 0, by abababababab"),
        ({"count": 0, "error": "no room"}, "count 0: no room"),
    ],
)
def test_an_event_of_another_version_is_told_with_its_fields(fields: dict[str, object], words: str) -> None:
    assert sentence(record("thing.happened", **fields)) == words
    assert sentence(record("hash.finished", **fields)) == words  # known, but with other fields than here


def test_a_failure_is_marked_with_a_sign_and_with_a_colour() -> None:
    failed = line_of(record("hash.failed", error="no such file"), FILE)

    assert " ! hash.failed" in failed.plain
    assert "red" in {str(span.style) for span in failed.spans}
    assert " ! " not in line()


def test_a_name_with_control_characters_stays_on_its_line() -> None:
    shown = line(path="/x/a\n\x1b[2Jb[red].ckpt", error="bad\r")

    assert "\n" not in shown
    assert "a\\n\\x1b[2Jb[red].ckpt" in shown
    assert shown.endswith("bad\\r")


@pytest.mark.parametrize("ts", ["", "yesterday", None])
def test_a_record_without_a_time_is_shown_all_the_same(ts: object) -> None:
    assert "file.detected" in line(ts=ts)
    assert day_of({"ts": ts}) == "no date"


def test_a_terminal_gets_lines_that_fit_and_stand_below_each_other() -> None:
    folded = line_of(record(path=f"/m/{'x' * 30}.pt", cause="scan"), TERMINAL, with_day=False).plain.splitlines()

    assert len(folded) == 2
    assert all(len(each) <= 80 for each in folded)
    assert folded[1] == " " * 33 + "scan"


def migration(event: str, **fields: object) -> dict[str, object]:
    return record(f"migration.{event}", migration="m1", path="/m/loras/a.pt", sha256=SHA, action="created", **fields)


def told(*records: dict[str, object]) -> list[str]:
    return [paragraph.plain for paragraph in story_of(records, NOW, FILE)]


def test_a_story_tells_a_finished_migration_as_one_thing_with_its_tags_and_images() -> None:
    row = {"tags": ["hero", "loras"], "image": "3.png"}
    files = [{"staged": "x", "final": f"{SHA}_0_{quality}.webp"} for quality in ("high", "low")]
    shown = told(
        migration("planned", pending=row, files=files, strategy="auto"),
        migration("committed"),
        record("image.published", migration="m1", path="/m/loras/a.pt", files=[f"{SHA}_0_high.webp"]),
        migration("finished"),
    )

    assert shown[0] == "in /m/loras"
    assert shown[2].endswith("2 d ago   became a model; tags hero, loras; image 0 stored")
    assert shown[3] == "4 records; --json shows them as they are."


def test_a_story_tells_each_step_of_a_migration_that_did_not_finish() -> None:
    shown = told(migration("planned"), record("recovery.rolled_back", migration="m1", path="/m/loras/a.pt"))

    assert shown[2].endswith("planned: to become a model")
    assert shown[3].endswith("undone after an interruption")


def test_a_story_of_several_files_says_which() -> None:
    shown = told(record(path="/m/loras/a.pt", cause="scan"), record(path="/m/loras/from afar/a.pt", cause="watch"))

    assert shown[2].endswith("a.pt: found by a scan")
    assert shown[3].endswith("from afar/a.pt: found as it appeared")
    assert "ago" not in shown[3]  # said once, as long as it is the same


def test_a_move_is_told_by_the_names_within_the_story() -> None:
    shown = told(
        record(path="/m/loras/a.pt", cause="scan"),
        record("file.moved", path="/m/loras/b/c.pt", old_path="/m/loras/a.pt", cause="renamed"),
    )

    assert shown[0] == "in /m/loras"
    assert shown[3].endswith("moved: a.pt is now b/c.pt")
