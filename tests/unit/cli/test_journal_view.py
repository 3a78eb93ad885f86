import pytest

from modelkeep.cli.journal_view import day_of, details, line_of

TS = "2026-11-20T05:43:01.000001Z"


def line(**record: object) -> str:
    return line_of({"seq": 1, "ts": TS, "event": "file.detected", **record}).plain


def test_a_line_holds_name_short_hash_and_the_fields_in_words() -> None:
    shown = line(
        event="hash.finished", path="/srv/models/a b.safetensors", sha256="ab" * 32, bytes=6_400_000_000, seconds=4.26
    )

    assert shown.endswith("hash.finished             a b.safetensors  ababababab  6.4 GB, in 4.3 s")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cause": "import", "pending_id": 12}, "import, row 12"),
        ({"action": "merged", "strategy": "auto", "migration": "0f" * 16}, "merged, by auto"),
        ({"old_path": "/srv/old.ckpt"}, "from /srv/old.ckpt"),
        ({"claimed": "1" * 64, "found": "2" * 64}, "claimed 1111111111, found 2222222222"),
        ({"kind": "hikaze", "source": "/x.db", "rows": 1200}, "hikaze, from /x.db, rows 1,200"),
        ({"counts": {"scanned": 3, "added": 0}}, "scanned 3, added 0"),
        ({"something_new": [1, "b"], "empty": "", "files": [{"staged": "x"}]}, "something new 1 b"),
        ({"bytes": "many", "retry_at": "soon", "seconds": None}, "many, again at soon"),
    ],
)
def test_fields_are_said_in_words(fields: dict[str, object], words: str) -> None:
    assert details(fields) == words


def test_an_error_stands_last_and_in_red() -> None:
    shown = line_of({"seq": 1, "ts": TS, "event": "hash.failed", "error": "no such file", "attempts": 2})

    assert shown.plain.endswith("attempt 2  no such file")
    assert "red" in {str(span.style) for span in shown.spans if shown.plain[span.start : span.end] == "no such file"}


def test_a_name_with_control_characters_stays_on_its_line() -> None:
    shown = line(path="/x/a\n\x1b[2Jb[red].ckpt", error="bad\r")

    assert "\n" not in shown
    assert "a\\n\\x1b[2Jb[red].ckpt" in shown
    assert shown.endswith("bad\\r")


@pytest.mark.parametrize("ts", ["", "yesterday", None])
def test_a_record_without_a_time_is_shown_all_the_same(ts: object) -> None:
    assert "file.detected" in line(ts=ts)
    assert day_of({"ts": ts}) == "no date"


def test_what_the_owner_did_to_pictures_reads_as_a_sentence() -> None:
    about = {"path": "/m/a.pt", "sha256": "ab" * 32, "cause": "by the owner"}
    removed = {**about, "action": "image_removed", "picture": 0, "moved_down": 2, "removed": ["x"], "originals": []}
    assert details(removed) == "by the owner, picture removed, number 0, 2 later ones moved down by one"
    assert details({**about, "action": "image_uploaded", "picture": 3}) == "by the owner, picture added, number 3"
    assert details({**about, "action": "merged", "pending_id": 7}) == "by the owner, merged, row 7"
