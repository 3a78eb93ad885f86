"""Names of images are parsed, never joined; sizes stay within their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.images import (
    HIGH_PIXELS,
    QUALITIES,
    TIERS,
    Tier,
    high_size,
    image_name,
    parse_image_name,
    tier_size,
)

SHA = "0123456789abcdef" * 4
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
SIDES = st.integers(1, 100_000)


@given(HASHES, st.integers(0, 999_999_999), st.sampled_from(QUALITIES))
def test_a_name_gives_back_what_it_was_made_of(sha256: str, seq: int, quality: str) -> None:
    assert parse_image_name(image_name(sha256, seq, quality)) == (sha256, seq, quality)


@pytest.mark.parametrize(
    "name",
    [
        "",
        f"{SHA}.webp",
        f"{SHA}_0.webp",
        f"{SHA}_0_huge.webp",
        f"{SHA}_00_high.webp",
        f"{SHA}_-1_high.webp",
        f"{SHA}_1234567890_high.webp",
        f"{SHA}_٣_high.webp",
        f"{SHA.upper()}_0_high.webp",
        f"{SHA[1:]}_0_high.webp",
        f"{SHA}_0_high.webp\n",
        f"{SHA}_0_high.png",
        f"../{SHA}_0_high.webp",
        f"{SHA}_0_high.webp/../../etc/passwd",
        f"{SHA}_0_high.webp\0",
    ],
)
def test_what_is_no_image_name_is_not_parsed(name: str) -> None:
    assert parse_image_name(name) is None


@given(st.text(max_size=90))
def test_no_text_parses_to_anything_but_itself(name: str) -> None:
    parsed = parse_image_name(name)
    assert parsed is None or image_name(*parsed) == name


@given(SIDES, SIDES)
def test_the_high_tier_has_at_most_two_megapixels_and_is_never_larger_than_its_source(
    width: int, height: int
) -> None:
    high = high_size(width, height)
    assert min(high) >= 1
    assert high[0] <= width
    assert high[1] <= height
    assert high[0] * high[1] <= HIGH_PIXELS


@given(st.integers(500, 9_000), st.integers(500, 9_000))
def test_shrinking_keeps_the_shape_of_a_image(width: int, height: int) -> None:
    high = high_size(width, height)
    assert high[0] / high[1] == pytest.approx(width / height, rel=0.01)


@pytest.mark.parametrize("size", [(1, 1), (2000, 1000), (1414, 1414)])
def test_a_image_within_the_bound_keeps_its_size(size: tuple[int, int]) -> None:
    assert high_size(*size) == size


@given(SIDES, SIDES, st.sampled_from(TIERS))
def test_a_tier_is_its_share_of_the_high_one(width: int, height: int, tier: Tier) -> None:
    sides = tier_size((width, height), tier)
    assert min(sides) >= 1
    assert sides[0] == max(1, round(width * tier.scale))
    assert sides[1] == max(1, round(height * tier.scale))


def test_the_tiers_are_those_that_the_front_end_knows() -> None:
    assert [(tier.quality, tier.scale, tier.webp_quality) for tier in TIERS] == [
        ("high", 1.0, 80),
        ("medium", 0.66, 60),
        ("low", 0.33, 45),
    ]
