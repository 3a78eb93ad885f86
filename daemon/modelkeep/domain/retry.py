"""When a failed row is due again: the delay doubles with each attempt, up to a day."""

LONGEST_DELAY_SECONDS = 86_400.0


def retry_delay_seconds(attempts: int, base_seconds: float) -> float:
    """Return the delay after the `attempts`-th failure (1 = the first)."""
    # 2**64 is beyond any day; bounding the exponent keeps the float finite.
    return min(base_seconds * 2.0 ** min(max(attempts - 1, 0), 64), LONGEST_DELAY_SECONDS)


def retry_at(now_ms: int, attempts: int, base_seconds: float) -> int:
    """Return the time in ms at which a row that failed for the `attempts`-th time is due again."""
    return now_ms + round(retry_delay_seconds(attempts, base_seconds) * 1000)
