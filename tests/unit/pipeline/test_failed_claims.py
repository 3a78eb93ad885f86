"""A claim or doubt whose file cannot be read is tried again, but later each time: its disk may fail."""

import pytest

from modelkeep.pipeline import failed_claims
from modelkeep.pipeline.failed_claims import FailedClaims


def sweeps_until_tried(claims: FailedClaims, path: str) -> int:
    sweeps = 1
    while path in claims.swept():
        sweeps += 1
    return sweeps


def test_a_file_that_fails_again_is_left_alone_for_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_claims, "SWEEPS_MAX", 10)
    claims, waited = FailedClaims(), []
    for _ in range(6):
        claims.note("/a", "bad sector", is_of_file=True)
        waited.append(sweeps_until_tried(claims, "/a"))
    assert waited == [1, 2, 4, 8, 10, 10]


def test_that_it_failed_again_is_no_news_unless_for_another_reason() -> None:
    claims = FailedClaims()
    assert claims.note("/a", "bad sector", is_of_file=True)
    assert not claims.note("/a", "bad sector", is_of_file=True)
    assert claims.note("/a", "no permission", is_of_file=True)


def test_what_says_nothing_about_the_file_has_it_tried_with_the_next_sweep() -> None:
    claims = FailedClaims()
    for _ in range(3):
        claims.note("/a", "the disk does not answer", is_of_file=False)
        assert sweeps_until_tried(claims, "/a") == 1


def test_a_file_to_which_something_happened_is_tried_as_if_it_never_failed() -> None:
    claims = FailedClaims()
    for _ in range(5):
        claims.note("/a", "bad sector", is_of_file=True)
    claims.forget(["/a", "/b"])
    assert claims.swept() == set()
    assert claims.note("/a", "bad sector", is_of_file=True)
