"""Odd rows of a Hikaze database: each is taken as far as possible, or refused with a reason."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.legacy import LegacyRow, LegacyTag, Refusal, TakenRows
from modelkeep.domain.naming import PathMap
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.hikaze import HikazeImporter, RowComposer
from modelkeep.importers.hikaze_source import HikazeRecord
from modelkeep.importers.image_folder import ImageFolder
from modelkeep.importers.report import report_of

MakeDatabase = Callable[..., Path]
HASH = "ab" * 32


def read(database: Path, *pairs: tuple[str, str], images: Path | None = None) -> SourceContent:
    return HikazeImporter().read(SourceOptions(database, images, PathMap(pairs)))


def compose(*pairs: tuple[str, str], **columns: Any) -> LegacyRow | Refusal:
    values = {"id": 1, "path": "/models/a.safetensors", "hash_hex": "", **columns}
    record = HikazeRecord(**{"tags": (), **dict.fromkeys(HikazeRecord._fields[:-1]), **values})
    return RowComposer(ImageFolder(Path("/images"), frozenset({"a.png", "b c.png"})), PathMap(pairs)).compose(record)


def taken(*pairs: tuple[str, str], **columns: Any) -> LegacyRow:
    row = compose(*pairs, **columns)
    assert isinstance(row, LegacyRow), row
    return row


def refused(*pairs: tuple[str, str], **columns: Any) -> str:
    refusal = compose(*pairs, **columns)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.key == "1"
    return refusal.reason


@pytest.mark.parametrize("path", [None, "", b"", 7, 1.5])
def test_a_row_without_a_path_is_refused(path: object) -> None:
    assert "path is empty or no text" in refused(path=path)


def test_a_relative_path_is_refused() -> None:
    assert "models/a.ckpt is not an absolute path" in refused(path="models/a.ckpt")


def test_a_path_with_a_nul_is_refused() -> None:
    assert "NUL" in refused(path="/models/a\x00b")


def test_a_windows_path_is_refused_with_the_option_that_helps() -> None:
    reason = refused(path="D:\\models\\loras\\a.safetensors")
    assert "D:\\models\\loras\\a.safetensors lies on a Windows drive" in reason
    assert "--map 'D:\\=/where/it/is'" in reason


def test_the_option_named_in_the_refusal_really_helps() -> None:
    row = taken(("D:\\", "/where/it/is"), path="D:\\models\\loras\\a.safetensors")
    assert row.path == "/where/it/is/models/loras/a.safetensors"
    assert row.original_path == "D:\\models\\loras\\a.safetensors"


def test_a_windows_share_is_refused_and_can_be_mapped() -> None:
    reason = refused(path="\\\\nas\\models\\a.safetensors")
    assert "Windows share" in reason
    assert "--map '\\\\nas\\models\\=/where/it/is'" in reason
    assert taken(("\\\\nas\\models\\", "/mnt"), path="\\\\NAS\\models\\a.safetensors").path == "/mnt/a.safetensors"


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        ("/models//loras/./a.ckpt", "/models/loras/a.ckpt"),
        ("/models/loras/../vae/a.ckpt", "/models/vae/a.ckpt"),
        (b"/models/a.ckpt", "/models/a.ckpt"),
        ("/models/ a .ckpt", "/models/ a .ckpt"),
    ],
)
def test_a_path_is_normalised_by_its_spelling(stored: object, path: str) -> None:
    assert taken(path=stored).path == path


def test_dots_cannot_climb_out_of_a_mapped_folder() -> None:
    assert taken(("/srv/models", "/mnt"), path="/srv/models/../secret/a.ckpt").path == "/srv/secret/a.ckpt"
    assert "Windows" in refused(("C:\\models", "/mnt"), path="C:\\models\\..\\secret\\a.ckpt")


def test_symbolic_links_in_a_path_are_not_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert taken(path=str(tmp_path / "link" / "a.ckpt")).path == str(tmp_path / "link" / "a.ckpt")


def test_a_name_that_is_no_utf_8_keeps_its_bytes_in_the_path_alone(make_database: MakeDatabase) -> None:
    name = b"/models/caf\xe9.ckpt"
    database = make_database([{"name": "n"}])
    # The text has to get past Python's own encoder.
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE models SET path = CAST(? AS TEXT), name = CAST(? AS TEXT)", (name, name))
    connection.close()
    (row,) = read(database).rows
    assert row.path.encode("utf-8", "surrogateescape") == name
    assert row.name == "/models/caf\ufffd.ckpt"


@pytest.mark.parametrize("stored", [HASH, HASH.upper(), f"  {HASH}\n", HASH.encode()])
def test_a_valid_hash_is_a_claim_in_lower_case(stored: object) -> None:
    row = taken(hash_hex=stored)
    assert (row.claim, row.remarks) == (HASH, ())


@pytest.mark.parametrize("stored", ["ab" * 31, "zz" * 32, "sha256:" + HASH, b"\xff\xfe", 12345])
def test_an_invalid_hash_is_no_claim_and_is_told(stored: object) -> None:
    row = taken(hash_hex=stored)
    assert row.claim == ""
    assert "is no SHA-256" in row.remarks[0]


def test_the_hash_of_an_empty_file_is_no_claim() -> None:
    row = taken(hash_hex=hashlib.sha256(b"").hexdigest())
    assert row.claim == ""
    assert "empty file" in row.remarks[0]


@pytest.mark.parametrize("stored", ["", "  ", None])
def test_a_row_that_was_never_hashed_is_taken_in_silence(stored: object) -> None:
    row = taken(hash_hex=stored)
    assert (row.claim, row.remarks) == ("", ())


@pytest.mark.parametrize(("stored", "size"), [(7, 7), ("42", 42), (8.0, 8), (None, 0), ("", 0), (b"9", 9)])
def test_a_size_is_read_in_whatever_type_it_is_stored(stored: object, size: int) -> None:
    row = taken(size_bytes=stored)
    assert (row.size_bytes, row.remarks) == (size, ())


@pytest.mark.parametrize("stored", [-1, "big", float("nan"), float("inf"), 2**63, "9" * 5000])
def test_a_size_that_is_none_becomes_zero_and_is_told(stored: object) -> None:
    row = taken(size_bytes=stored)
    assert row.size_bytes == 0
    assert "is no number of bytes" in row.remarks[0]


@pytest.mark.parametrize(
    ("stored", "created_at"),
    [
        (1735689600000, 1735689600000),
        (1735689600, 1735689600000),
        (1735689600.5, 1735689600500),
        ("1735689600", 1735689600000),
        ("2025-01-01T00:00:00Z", 1735689600000),
        ("2025-01-01 00:00:00", 1735689600000),
        (None, 0),
    ],
)
def test_a_time_is_read_as_milliseconds_seconds_or_a_date(stored: object, created_at: int) -> None:
    row = taken(created_at=stored)
    assert (row.created_at, row.remarks) == (created_at, ())


@pytest.mark.parametrize("stored", [-5, "yesterday", 2**62, float("inf")])
def test_a_time_that_is_none_becomes_zero_and_is_told(stored: object) -> None:
    row = taken(created_at=stored)
    assert row.created_at == 0
    assert "is no time" in row.remarks[0]


def test_the_first_image_that_is_there_is_taken_and_the_others_are_told() -> None:
    images = ["/media/gone.png", "/media/b%20c.png", "/media/a.png"]
    row = taken(extra_json=json.dumps({"images": images}))
    assert row.image == "/images/b c.png"
    assert row.remarks == (
        "its image /media/gone.png is not in /images",
        "its first image, b c.png, is taken; in /images stay a.png, for a row takes one image with it",
    )


def test_the_same_image_named_twice_is_one_image() -> None:
    row = taken(
        extra_json='{"images": ["/media/a.png", "/media/a.png?rev=2"]}', meta_json='{"image": "/media/a.png"}'
    )
    assert (row.image, row.remarks, row.meta) == ("/images/a.png", (), {})


@pytest.mark.parametrize("reference", ["/media/../../etc/passwd", "/media/%2e%2e%2fpasswd", "/media/..", "/media/"])
def test_a_reference_that_climbs_finds_nothing(reference: str) -> None:
    row = taken(extra_json=json.dumps({"images": [reference]}))
    assert row.image == ""
    assert "is not in /images" in row.remarks[0]


def test_a_reference_that_climbs_to_a_name_that_is_there_finds_that_one() -> None:
    assert taken(extra_json='{"images": ["/media/../../elsewhere/a.png"]}').image == "/images/a.png"


def test_a_tag_is_named_once_and_never_empty(make_database: MakeDatabase) -> None:
    tags: list[tuple[tuple[Any, ...], list[int]]]
    tags = [((1, " hero ", None, None), [1]), ((2, "hero", "#fff", 5), [1]), ((3, "  ", "#000", 5), [1])]
    tags += [((4, b"caf\xe9", 7, "2025-01-01"), [1]), ((5, None, None, None), [1])]
    (row,) = read(make_database([{}], tags)).rows
    assert row.tags == (LegacyTag("hero", "#fff", 5000), LegacyTag("caf\ufffd", "7", 1735689600000))


def test_a_link_to_a_tag_or_model_that_is_gone_is_passed_over(make_database: MakeDatabase) -> None:
    (row,) = read(make_database([{}], [((1, "kept", None, None), [1, 99])])).rows
    assert row.tags == (LegacyTag("kept"),)


def test_two_rows_of_one_path_that_differ_are_taken_once_and_told(make_database: MakeDatabase) -> None:
    content = read(make_database([{"path": "/m/a", "name": "one"}, {"path": "/m//a", "name": "two"}]))
    assert [row.name for row in content.rows] == ["one"]
    (refusal,) = content.refusals
    assert (refusal.key, refusal.path) == ("2", "/m//a")
    assert "row 1 (/m/a) means the same file, /m/a, and was taken" in refusal.reason


def test_two_rows_of_one_path_that_agree_lose_nothing_and_say_so(make_database: MakeDatabase) -> None:
    rows = [{"path": "C:\\m\\a", "name": "one"}, {"path": "c:/m/a", "name": "one"}]
    content = read(make_database(rows), ("C:\\m", "/m"))
    assert len(content.rows) == 1
    assert "row 1 says the same about /m/a and was taken, so nothing is lost" in content.refusals[0].reason


def test_two_rows_of_one_id_are_taken_once_and_told(make_database: MakeDatabase) -> None:
    tables = "CREATE TABLE models (id, path, hash_hex);"
    content = read(make_database([{"id": None}, {"id": None, "path": "/m/b"}, {"id": 7}], tables=tables))
    assert [row.key for row in content.rows] == ["", "7"]
    assert content.refusals == (Refusal("", "/m/b", "another row has the id '' too"),)


def test_the_digest_changes_with_everything_that_the_source_says() -> None:
    columns: dict[str, list[Any]] = {
        "path": ["/models/a.safetensors", "/models/b.safetensors"],
        "name": [None, "a", "b", b"a"],
        "type": [None, "loras"],
        "size_bytes": [None, 1, "1"],
        "hash_hex": ["", HASH, HASH.upper()],
        "created_at": [None, 1],
        "meta_json": [None, "{}", '{"a": 1}'],
        "extra_json": [None, "{}", '{"images": ["/media/a.png"]}', '{"images": ["/media/gone.png"]}'],
        "tags": [(), (LegacyTag("a"),), (LegacyTag("a", "#fff"),)],
    }
    digests = {taken(**{name: value}).digest for name, values in columns.items() for value in values[1:]}
    plain = taken().digest
    assert plain not in digests
    assert len(digests) == sum(len(values) - 1 for values in columns.values())


def test_the_digest_is_that_of_earlier_versions() -> None:
    row = taken(name="N \u6c34", size_bytes=7, tags=(LegacyTag("b", "#fff"), LegacyTag("a")), extra_json="{}")
    said = ("/models/a.safetensors", "", "N \u6c34", None, 7, None, None, "{}", [("a", ""), ("b", "#fff")], "")
    assert row.digest == hashlib.sha256(ascii(said).encode()).hexdigest()


def test_the_digest_is_the_same_whatever_the_order_of_the_tags_and_the_map() -> None:
    one, two = LegacyTag("a"), LegacyTag("b")
    assert taken(tags=(one, two)).digest == taken(tags=(two, one)).digest
    assert taken(("/models", "/mnt")).digest == taken().digest


def test_a_name_that_is_no_utf_8_does_not_change_what_is_read_of_others(make_database: MakeDatabase) -> None:
    database = make_database([{"name": f"n{number}"} for number in range(1, 6)], [((1, "x", None, None), [2, 4, 5])])
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE models SET name = CAST(x'ff61' AS TEXT) WHERE id IN (3, 4)")
    connection.close()
    rows = read(database).rows
    assert [(row.key, row.name) for row in rows] == [
        ("1", "n1"),
        ("2", "n2"),
        ("3", "\ufffda"),
        ("4", "\ufffda"),
        ("5", "n5"),
    ]
    assert [len(row.tags) for row in rows] == [0, 1, 0, 1, 1]


cells = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.binary(max_size=20),
    st.text(st.sampled_from("ab/\\:\0 水\ud800{}0"), max_size=20),
)


@given(st.fixed_dictionaries(dict.fromkeys(HikazeRecord._fields[:-1], cells)))
def test_whatever_the_cells_hold_the_row_is_taken_or_refused_and_can_be_written(columns: dict[str, Any]) -> None:
    composed = compose(**columns)
    if isinstance(composed, Refusal):
        assert composed.reason
        return
    # Earlier runs have noted it: were it another one, all rows would seem to be changed.
    said = (*(columns[name] for name in HikazeRecord._fields[1:-1]), [], "")
    assert composed.image or composed.digest == hashlib.sha256(ascii(said).encode()).hexdigest()
    assert composed.path.startswith("/")
    assert 0 <= composed.size_bytes < 2**63
    assert 0 <= composed.created_at < 2**63
    for text in (composed.key, composed.name, composed.type, composed.claim, *composed.remarks):
        text.encode()
    json.dumps(composed.meta, allow_nan=False, ensure_ascii=False).encode()


def test_what_is_lost_is_told_before_what_was_never_known() -> None:
    rows = (
        replace(taken(created_at=-5), key="1"),
        replace(taken(extra_json='{"images": ["/media/gone.png"]}'), key="2"),
        replace(taken(size_bytes="x"), key="3"),
    )
    remarks = report_of(SourceContent("hikaze", "/old", rows), TakenRows(), 0).remarks
    assert [remark.key for remark in remarks] == ["2", "1", "3"]
