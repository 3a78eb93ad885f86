"""Of which content a record speaks, what becomes of its claims, and which models an orphan is offered."""

import itertools
from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import orphans
from modelkeep.domain.adopting import How, KeptRecord, Target, choose_targets, speaking
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, SourceRecord
from modelkeep.domain.orphans import Candidate, Neighbourhood, OfferedBy, offers, the_clear_one
from modelkeep.domain.verdicts import Verdict, known_digests, verdict

A, B, T = "a" * 64, "b" * 64, "1f" * 32
DIGESTS = {sha256: known_digests(None, sha256) for sha256 in (A, B)}
CANDIDATE = Candidate(A, 10, ("/m/hero.pt",), DIGESTS[A])


def claim(value: str, kind: HashKind = HashKind.SHA256, grade: Grade = Grade.C) -> HashClaim:
    return HashClaim(kind, value, grade)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (HashKind.SHA256, A, Verdict.CONFIRMED),
        (HashKind.SHA256, B, Verdict.REFUTED),
        (HashKind.AUTOV2, A[:10], Verdict.CONFIRMED),
        (HashKind.AUTOV3, T[:12], Verdict.CONFIRMED),
        (HashKind.TENSORS, A, Verdict.REFUTED),
        (HashKind.SHA256_OR_TENSORS, T, Verdict.CONFIRMED),
        (HashKind.SHA256_OR_TENSORS, B, Verdict.REFUTED),
        (HashKind.BLAKE3, B, Verdict.OPEN),
    ],
)
def test_a_claim_is_judged_by_what_was_read(kind: HashKind, value: str, expected: Verdict) -> None:
    content = ContentRow(A, "safetensors", tensors=T)
    assert verdict(claim(value, kind), known_digests(content, A)) is expected


def test_what_nobody_looked_for_refutes_nothing_and_what_is_not_there_does() -> None:
    either = claim(B, HashKind.SHA256_OR_TENSORS)
    assert verdict(either, known_digests(None, A)) is Verdict.OPEN
    assert verdict(either, known_digests(ContentRow(A, tensors=None), A)) is Verdict.OPEN
    assert verdict(either, known_digests(ContentRow(A, tensors=""), A)) is Verdict.REFUTED


class TestTargets:
    def test_the_one_path_that_is_named_counts_whatever_is_claimed(self) -> None:
        assert choose_targets([claim(B)], [Target("/a", A)], DIGESTS) == {"/a": How.BESIDE}

    def test_of_several_those_count_of_which_a_hash_is_true(self) -> None:
        targets = [Target("/a", A), Target("/b", B), Target("/c", waits=True)]
        assert choose_targets([claim(B)], targets, DIGESTS) == {"/b": How.BESIDE}
        assert set(choose_targets([claim(A), claim(B)], targets, DIGESTS)) == {"/a", "/b"}

    def test_without_one_all_count_as_soon_as_all_are_read(self) -> None:
        assert choose_targets([], [Target("/a", A), Target("/b", waits=True)], DIGESTS) == {}
        assert choose_targets([], [Target("/a", A), Target("/b", B)], DIGESTS) == dict.fromkeys(
            ["/a", "/b"], How.AMBIGUOUS
        )
        assert choose_targets([], [Target("/a", A), Target("/b", A)], DIGESTS) == dict.fromkeys(
            ["/a", "/b"], How.BESIDE
        )

    @given(st.permutations([("/a", A), ("/b", B), ("/c", A)]), st.lists(st.sampled_from([A, B]), max_size=2))
    def test_in_whatever_order_files_are_read_the_end_is_the_same(
        self, order: list[tuple[str, str]], claimed: list[str]
    ) -> None:
        claims, attached = [claim(value) for value in claimed], dict[str, How]()
        for read in range(1, 4):
            known = dict(order[:read])
            targets = [Target(path, known.get(path, ""), path not in known) for path, _ in order]
            attached |= choose_targets(claims, targets, DIGESTS)
        at_once = choose_targets(claims, [Target(path, sha256) for path, sha256 in order], DIGESTS)
        assert attached == at_once


def test_a_record_whose_file_is_gone_speaks_while_no_other_of_its_kind_does() -> None:
    def kept(number: int, kind: str, *, gone: bool = False, dropped: bool = False) -> KeptRecord:
        return KeptRecord(number, SourceRecord(kind, f"/{number}", "d"), gone, dropped, last_seen=number)

    records = [kept(1, "a", gone=True), kept(2, "a"), kept(3, "b", gone=True), kept(4, "b", gone=True)]
    records.append(kept(5, "c", dropped=True))
    for order in itertools.permutations(records):
        assert {record.id for record in speaking(order, A)} == {2, 4}


class TestOrphans:
    def test_the_clear_one_has_a_true_hash_of_a_kind_that_is_seldom_wrong(self) -> None:
        other = Candidate(B, 10, ("/m/b.pt",), DIGESTS[B])

        def clear(*claims: HashClaim) -> str:
            return the_clear_one(SourceRecord("x", "/m/x", "d", claims=claims), [CANDIDATE, other])

        assert clear(claim(A)) == A
        assert clear(claim(A), claim(B)) == ""
        assert clear(claim(A, grade=Grade.D)) == ""
        assert clear(claim(A[:10], HashKind.AUTOV2)) == ""

    @pytest.mark.parametrize(
        ("stem", "size_bytes", "claims", "expected"),
        [
            ("x", 0, (claim(A, grade=Grade.D),), OfferedBy.HASH),
            ("HERO", 10, (), OfferedBy.SIZE_AND_NAME),
            ("her0", 0, (), OfferedBy.NEIGHBOURHOOD),
            ("hero (old)", 0, (), OfferedBy.NEIGHBOURHOOD),
            ("villain", 10, (), None),
        ],
    )
    def test_a_model_is_offered_for_the_best_reason(
        self, stem: str, size_bytes: int, claims: tuple[HashClaim, ...], expected: OfferedBy | None
    ) -> None:
        record = SourceRecord("x", "/m/x.json", "d", stem=stem, size_bytes=size_bytes, claims=claims)
        assert [offer.by for offer in offers(record, [CANDIDATE], Neighbourhood([CANDIDATE]))] == (
            [expected] if expected else []
        )

    def test_of_very_many_neighbours_those_with_most_in_common_are_compared(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared = []

        class Counted(SequenceMatcher[str]):
            def __init__(self, *names: Any) -> None:
                compared.append(names[1:])
                super().__init__(*names)

        monkeypatch.setattr(orphans, "SequenceMatcher", Counted)
        names = [f"lovely style of {number} v1" for number in range(1000)]
        many = [Candidate(f"{i:064x}", 10, (f"/m/{name}.pt",), DIGESTS[A]) for i, name in enumerate(names)]
        found = offers(SourceRecord("x", "/m/x.json", "d", stem="lovely style of 721 v2"), [], Neighbourhood(many))
        assert found[0].path == "/m/lovely style of 721 v1.pt"
        assert len(found) == orphans.OFFERS_MAX
        assert len(compared) == orphans.COMPARED_MAX
