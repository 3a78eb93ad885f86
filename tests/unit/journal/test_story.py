"""The story of one model: followed through renames, new keys and migrations, and mixed with no other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.journal.reader import Query, read
from modelkeep.journal.writer import JournalWriter

OpenJournal = Callable[..., JournalWriter]

HERO, RIVER, DECADE = "ab12cd" + "0" * 58, "ab12ce" + "1" * 58, "decade" + "2" * 58
CAFE = b"/m/caf\xe9.pt".decode(errors="surrogateescape")

HISTORY: list[tuple[str, dict[str, object]]] = [
    ("daemon.started", {"version": "1", "sha256": "", "path": "", "pending_id": 0, "migration": ""}),  # 1
    ("import.started", {"kind": "hikaze", "source": "/old/hero.sqlite3"}),
    ("file.detected", {"path": "/m/loras/hero.pt", "pending_id": 1, "sha256": ""}),
    ("file.detected", {"path": "/m/loras/river.pt", "pending_id": 2, "sha256": ""}),
    ("file.moved", {"path": "/m/loras/Heroine.pt", "old_path": "/m/loras/hero.pt", "pending_id": 0}),  # 5
    ("hash.finished", {"path": "/m/loras/Heroine.pt", "pending_id": 1, "sha256": HERO}),
    ("hash.finished", {"path": "/m/loras/river.pt", "pending_id": 2, "sha256": RIVER}),
    ("migration.planned", {"migration": "m1", "pending_id": 1, "sha256": HERO}),
    ("migration.finished", {"migration": "m1"}),
    ("migration.planned", {"migration": "m2", "pending_id": 2, "sha256": RIVER}),  # 10
    ("migration.finished", {"migration": "m2", "pending_id": 0}),
    ("file.moved", {"path": "/m/Été 水彩.pt", "old_path": "/m/loras/Heroine.pt"}),
    ("file.missing", {"path": "/m/Été 水彩.pt", "sha256": HERO}),
    ("sweep.finished", {"checked": 2, "sha256": None, "pending_id": None}),
    ("file.returned", {"path": "/m/elsewhere/x.pt", "sha256": HERO}),  # 15
    ("file.detected", {"path": CAFE, "pending_id": 3}),
    ("hash.finished", {"path": CAFE, "pending_id": 3, "sha256": DECADE, "name": 'the "best" café'}),
]
HERO_STORY = [3, 5, 6, 8, 9, 12, 13, 15]
RIVER_STORY = [4, 7, 10, 11]
CAFE_STORY = [16, 17]


@pytest.fixture
def journal(folder: Path, open_journal: OpenJournal, seal: Callable[[Path], Path]) -> Path:
    open_journal(segment_bytes=400, keep_segments=100).write_many(HISTORY)
    return seal(folder)


def story(journal: Path, model: str, **others: int | str | bool) -> list[object]:
    return [record["seq"] for record in read(journal, Query(model=model, **others))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (HERO, HERO_STORY),
        (HERO.upper(), HERO_STORY),
        ("ab12cd", HERO_STORY),
        ("ab12c", []),  # too short for a hash
        ("/m/loras/hero.pt", HERO_STORY),
        ("/m/loras/Heroine.pt", HERO_STORY),
        ("/m/Été 水彩.pt", HERO_STORY),
        ("水彩", HERO_STORY),
        ("éTÉ", HERO_STORY),
        ("/m/elsewhere/x.pt", HERO_STORY),
        ("heroine", HERO_STORY),
        ("HERO.PT", HERO_STORY),
        ("x.pt", HERO_STORY),
        ("river", RIVER_STORY),
        (CAFE, CAFE_STORY),
        ("caf", CAFE_STORY),
        ("decade", CAFE_STORY),
        ('"BEST"', CAFE_STORY),
        ("CAFÉ", CAFE_STORY),
        (".pt", sorted(HERO_STORY + RIVER_STORY + CAFE_STORY)),
        ("ab12", []),
        ("loras", []),  # a folder is not the file's name
        ("/m/loras", []),
        ("hikaze", []),
        ("started", []),
        ("nothing of that name", []),
    ],
)
def test_story_of(journal: Path, model: str, wanted: list[int]) -> None:
    assert story(journal, model) == wanted


def test_story_is_narrowed_by_the_rest_of_the_query_but_connected_by_all(journal: Path) -> None:
    assert story(journal, "/m/loras/hero.pt", after=6) == [8, 9, 12, 13, 15]
    assert story(journal, "/m/loras/hero.pt", limit=2) == [13, 15]
    assert story(journal, "/m/elsewhere/x.pt", event="file.detected") == [3]
    assert story(journal, "heroine", failed=True) == []


def test_long_chain_of_renames_is_followed_from_either_end(folder: Path, open_journal: OpenJournal) -> None:
    writer = open_journal()
    writer.write_many(
        ("file.moved", {"path": f"/m/{number + 1}.pt", "old_path": f"/m/{number}.pt"}) for number in range(100)
    )
    writer.write("file.moved", path="/m/other-b.pt", old_path="/m/other-a.pt")
    for path in ("/m/0.pt", "/m/50.pt", "/m/100.pt"):
        assert story(folder, path) == list(range(1, 101))


def test_story_of_very_many_keys_is_told_whole_and_mixed_with_no_other(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal()
    for number in range(60):
        writer.write("file.detected", path=f"/m/many_{number}.pt", pending_id=2 * number + 1)
        writer.write("file.detected", path=f"/m/other_{number}.pt", pending_id=2 * number + 2)
    for number in range(120):
        writer.write("migration.failed", pending_id=number + 1, error="x")
    assert story(folder, "many") == [*range(1, 121, 2), *range(121, 241, 2)]


def test_record_connected_only_by_what_comes_later_and_then_earlier_is_found(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/c.pt", pending_id=3)
    writer.write("file.detected", path="/m/a.pt", pending_id=1)
    writer.write("migration.planned", migration="m1", pending_id=1, sha256=HERO)
    writer.write("hash.finished", pending_id=2, sha256=HERO)
    writer.write("file.moved", path="/m/c.pt", old_path="/m/b.pt")
    writer.write("file.detected", path="/m/b.pt", pending_id=2)
    assert story(folder, "/m/a.pt") == [1, 2, 3, 4, 5, 6]


def test_number_of_a_pending_row_is_not_taken_for_the_beginning_of_another(
    folder: Path, open_journal: OpenJournal
) -> None:
    writer = open_journal()
    writer.write("file.detected", path="/m/a.pt", pending_id=1)
    writer.write("file.detected", path="/m/b.pt", pending_id=11)
    writer.write("hash.failed", pending_id=11, error="x")
    assert story(folder, "a.pt") == [1]
    assert story(folder, "b.pt") == [2, 3]
