import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.unit.doctor.conftest import encoded

from modelkeep.doctor.images import ImageDefects, Shelves, compare, spread
from modelkeep.doctor.webp import HEADER_BYTES, fault_of_tier, webp_size
from modelkeep.domain.images import QUALITIES, TIERS, image_name
from modelkeep.domain.values import ImageRow

ROWS = [ImageRow(digit * 64, seq, 10, 10, "d") for digit in "ab" for seq in range(2)]
NAMES = [image_name(row.sha256, row.seq, quality) for row in ROWS for quality in QUALITIES]


@given(st.sets(st.sampled_from([*NAMES, "stray", image_name("c" * 64, 0, "low")])))
def test_each_name_is_lacking_or_there_or_a_stray(published: set[str]) -> None:
    defects = compare(ROWS, Shelves(frozenset(published)), (), (), {})

    lacking = {image_name(row.sha256, row.seq, each) for row, lacks in defects.lacking.items() for each in lacks}
    assert lacking == set(NAMES) - published
    assert defects.strays == published - set(NAMES)
    assert bool(defects) == (published != set(NAMES))


def test_images_are_sorted_by_whether_they_can_be_made_whole() -> None:
    whole = frozenset(NAMES) - {NAMES[0], NAMES[4], NAMES[6], NAMES[7], NAMES[8]}

    defects = compare(ROWS, Shelves(whole), (), (), {})

    assert dict(defects.renderable) == {ROWS[1]: {"medium"}}
    assert dict(defects.unrecoverable) == {ROWS[0]: {"high"}, ROWS[2]: {"high", "medium", "low"}}


def test_originals_are_lost_or_unclaimed() -> None:
    shelves = Shelves(originals=frozenset({"1.png", "3.png", "9.png"}))

    defects = compare((), shelves, {"1.png", "2.png"}, {"3.png", "4.png"}, {})

    assert defects.lost == {"2.png"}
    assert defects.unclaimed == {"9.png"}


def test_what_only_one_of_two_looks_saw_was_work_in_motion() -> None:
    first = ImageDefects(
        {ROWS[0]: frozenset({"low", "high"}), ROWS[1]: frozenset({"low"})},
        frozenset({"a", "b"}),
        frozenset({"1"}),
        frozenset({"7", "8"}),
    )
    second = ImageDefects({ROWS[0]: frozenset({"low"})}, frozenset({"b", "c"}), frozenset(), frozenset({"7", "8"}))

    still = first.and_still(second).without_young({"8"})

    assert dict(still.lacking) == {ROWS[0]: {"low"}}
    assert [set(names) for names in (still.strays, still.lost, still.unclaimed)] == [{"b"}, set(), {"7"}]


@given(st.integers(0, 50), st.integers(1, 20))
def test_a_sample_is_spread_over_all_without_repeating_any(number: int, most: int) -> None:
    rows = [ImageRow("a" * 64, seq, 1, 1, "") for seq in range(number)]

    sample = spread(iter(rows), most)

    assert len(sample) == min(number, most) == len({row.seq for row in sample})
    assert not sample or sample[0] == rows[0]


# WebP headers, against the encoder that wrote them


def kinds(size: tuple[int, int]) -> Iterator[bytes]:
    yield encoded(Image.new("RGB", size, (1, 2, 3)))
    yield encoded(Image.new("RGB", size, (1, 2, 3)), lossless=True)
    transparent = Image.new("RGBA", size, (1, 2, 3, 4))
    yield encoded(transparent)
    yield encoded(transparent, lossless=True)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (640, 480), (1, 16383), (1413, 1414)])
def test_the_size_of_every_kind_of_webp_is_that_which_was_written(size: tuple[int, int]) -> None:
    for content in kinds(size):
        assert webp_size(content[:HEADER_BYTES], len(content)) == size


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(head: bytes) -> None:
    webp_size(head[:HEADER_BYTES], len(head))
    webp_size((b"RIFF\0\0\0\0WEBP" + head)[:HEADER_BYTES], len(head))


def test_one_byte_too_few_is_cut_off() -> None:
    for content in kinds((40, 30)):
        assert webp_size(content[:HEADER_BYTES], len(content)) is not None
        assert webp_size(content[:HEADER_BYTES], len(content) - 1) is None


def test_other_formats_are_no_webp() -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "PNG")

    assert webp_size(file.getvalue()[:HEADER_BYTES], len(file.getvalue())) is None


def test_a_tier_of_more_than_two_megapixels_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "large.webp"
    path.write_bytes(encoded(Image.new("RGB", (2001, 1000)), quality=1, method=0))

    fault = fault_of_tier(path, ImageRow("a" * 64, 0, 2001, 1000, ""), TIERS[0])

    assert "more than two megapixels" in fault
