from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.cli import wording

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_cleaned_text_can_be_encoded_and_holds_nothing_a_terminal_obeys(text: str) -> None:
    cleaned = wording.clean(text)

    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in cleaned)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\xe9"),
        ("lone \ud800", "lone \\ud800"),
        ("right\u202eleft", "right\\u202eleft"),
        ("日本語 [red]", "日本語 [red]"),
    ],
)
def test_what_cannot_be_printed_stands_as_an_escape(text: str, shown: str) -> None:
    assert wording.clean(text) == shown


def test_long_text_is_cut_to_one_line() -> None:
    assert wording.shortened("one\ntwo   three", 9) == "one two…"


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "1.0 MB"),
        (6_442_450_944, "6.4 GB"),
        (123_000_000_000, "123 GB"),
        (2e15, "2.0 PB"),
        (5e18, "5000 PB"),
    ],
)
def test_sizes_have_a_unit_that_fits(size_bytes: float, shown: str) -> None:
    assert wording.size(size_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "40 ms"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (60, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 05 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_show_their_two_largest_units(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


def test_nouns_follow_their_number() -> None:
    assert [wording.count(number, "copy", "copies") for number in (0, 1, 1204)] == [
        "0 copies",
        "1 copy",
        "1,204 copies",
    ]


def test_a_time_that_no_calendar_knows_is_shown_as_the_number_it_is() -> None:
    assert wording.local_time(10**19) == str(10**19)
    assert wording.local_time(0) == ""


@pytest.mark.parametrize(
    ("text", "seconds_ago"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5D", 129_600), (" 1w ", 604_800)]
)
def test_since_takes_spans(text: str, seconds_ago: int) -> None:
    assert wording.since(text, NOW) == round((NOW.timestamp() - seconds_ago) * 1000)


def test_since_takes_times_with_and_without_a_zone() -> None:
    assert wording.since("2026-11-20T10:00:00Z", NOW) == 1_795_168_800_000
    local_midnight = datetime(2026, 11, 20).astimezone()
    assert wording.since("2026-11-20", NOW) == round(local_midnight.timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "2026-13-01", "h", "-2h", "9" * 400])
def test_since_refuses_what_is_no_time(text: str) -> None:
    assert wording.since(text, NOW) is None


def test_a_span_beyond_the_beginning_of_time_means_everything() -> None:
    assert wording.since("99999w", NOW) == 0
