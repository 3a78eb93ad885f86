"""What one side of a comparison says, as a person reads it."""

from typing import Any

from modelkeep.api.sides import comparable

NOTHING: dict[str, Any] = {"name": "", "type": "", "base": "", "tags": [], "meta_json": {}}


def test_objects_in_lists_stand_on_a_line_each() -> None:
    origins = [
        {"kind": "civitai", "model_id": "401050", "url": ""},
        {"kind": "url", "url": "https://example.org/a,b"},
    ]
    known = comparable({**NOTHING, "meta_json": {"origins": origins}})
    assert known == {"origins": "kind: civitai; model_id: 401050\nkind: url; url: https://example.org/a,b"}


def test_plain_lists_and_nested_objects_are_told_by_comma_and_dot() -> None:
    meta = {"trigger_words": ["a", "b"], "weight": {"strength": 0.7, "minimum": None}}
    assert comparable({**NOTHING, "meta_json": meta}) == {"trigger_words": "a, b", "weight.strength": "0.7"}
