"""The delay before another try: it grows, and never beyond a day."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.retry import LONGEST_DELAY_SECONDS, retry_at, retry_delay_seconds

ATTEMPTS = st.integers(1, 10_000_000)
BASES = st.floats(0.001, 1e9)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 30), (2, 60), (3, 120), (11, 30_720), (12, 61_440), (13, 86_400)]
)
def test_the_delay_doubles_with_each_failure_up_to_a_day(attempts: int, seconds: float) -> None:
    assert retry_delay_seconds(attempts, 30.0) == seconds


@given(ATTEMPTS, BASES)
def test_a_later_failure_never_waits_shorter(attempts: int, base: float) -> None:
    assert retry_delay_seconds(attempts, base) <= retry_delay_seconds(attempts + 1, base)


@given(st.integers(-5, 10**30), BASES)
def test_the_delay_is_always_more_than_nothing_and_at_most_a_day(attempts: int, base: float) -> None:
    delay = retry_delay_seconds(attempts, base)
    assert math.isfinite(delay)
    assert 0 < delay <= LONGEST_DELAY_SECONDS == 24 * 60 * 60


@given(st.integers(0, 2**50), ATTEMPTS, BASES)
def test_the_time_of_the_next_try_is_the_delay_from_now(now_ms: int, attempts: int, base: float) -> None:
    assert retry_at(now_ms, attempts, base) - now_ms == round(retry_delay_seconds(attempts, base) * 1000)
