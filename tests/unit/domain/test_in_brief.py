import pytest

from modelkeep.domain.naming import in_brief


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("", 5, ""),
        ("12345", 5, "12345"),
        ("123456", 5, "12…56"),
        ("1234567", 4, "1…67"),
        ("\udce9" * 9, 3, "\udce9…\udce9"),
    ],
)
def test_the_middle_of_a_long_text_is_left_out(text: str, length: int, expected: str) -> None:
    assert in_brief(text, length) == expected
