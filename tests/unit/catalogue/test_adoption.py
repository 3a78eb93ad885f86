"""Source records are kept, attached to the contents of which they speak, and put into the models."""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store import sources
from modelkeep.domain.acts import ActKind, ActOrder
from modelkeep.domain.adopting import Adopted, Arrival, How, RecordTaking
from modelkeep.domain.content_facts import SAFETENSORS
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.detection import Rename
from modelkeep.domain.edits import Edit
from modelkeep.domain.knowledge import (
    AnswerVersion,
    Grade,
    HashClaim,
    HashKind,
    Meaning,
    SourceRecord,
    VersionFile,
)
from modelkeep.domain.orphans import OfferedBy
from modelkeep.domain.values import PendingState, Strategy
from modelkeep.errors import NotFound

from .conftest import NOW, A, B, C, dump, hashed, migrate, order, queue, rows_of, the_model

HERO, SIDECAR = "/m/loras/hero.safetensors", "/m/loras/hero.metadata.json"
SAID = Meaning(title="Hero", notes="mine", tags=("ink",), trigger_words=("hero",), base_model="SDXL")


def record(
    said: Meaning = SAID,
    *,
    key: str = SIDECAR,
    kind: str = "lora-manager",
    digest: str = "1",
    models: Sequence[str] = (HERO,),
    claims: Sequence[HashClaim] = (),
    **others: Any,
) -> SourceRecord:
    return SourceRecord(
        kind,
        key,
        digest,
        tuple(models),
        stem="hero",
        meaning=said,
        claims=tuple(claims),
        raw={"all": "of it"},
        **others,
    )


def claim(value: str, kind: HashKind = HashKind.SHA256, grade: Grade = Grade.B) -> HashClaim:
    return HashClaim(kind, value, grade)


async def adopt(catalogue: Catalogue, *records: SourceRecord, gone: Sequence[int] = (), now: int = NOW) -> Adopted:
    return await catalogue.adopt([Arrival(each) for each in records], (), now, lambda _: None, gone=gone)


async def attach(catalogue: Catalogue, *paths: str) -> Adopted:
    return await catalogue.attach_records(list(paths) or None, (), NOW, lambda _: None)


async def edit(catalogue: Catalogue, sha256: str, wanted: Edit) -> None:
    await catalogue.act(ActOrder("act", ActKind.EDITED, sha256, edit=wanted), (), NOW, lambda _: None)


class TestTaking:
    async def test_a_record_beside_a_known_model_is_put_into_it(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        (taken,) = (await adopt(catalogue, record())).taken
        assert (taken.taking, taken.contents, taken.is_orphan) == (RecordTaking.TAKEN, (A,), False)
        model = await the_model(catalogue, A)
        assert (model.name, model.base, [tag.name for tag in model.tags]) == ("Hero", "SDXL", ["ink"])
        assert model.meta["notes"] == "mine"
        (kept,) = (await catalogue.sources(A)).records
        assert (kept.record.raw, kept.attached) == ({"all": "of it"}, {A: How.BESIDE})

    async def test_taking_it_again_changes_nothing(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, HERO, A)
        await adopt(catalogue, record())
        before = dump(file)
        (taken,) = (again := await adopt(catalogue, record(), now=NOW + 1)).taken
        assert (taken.taking, again.attached, again.learnt, again.asked) == (RecordTaking.UNCHANGED, (), (), ())
        assert dump(file) == before

    async def test_a_dry_run_tells_the_same_and_changes_nothing(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, HERO, A)
        before = dump(file)
        dry = await catalogue.adopt([Arrival(record())], (), NOW, lambda _: None, dry_run=True)
        assert dump(file) == before
        assert dry.taken == (await adopt(catalogue, record())).taken

    async def test_a_record_that_came_before_its_model_waits_for_it(self, catalogue: Catalogue) -> None:
        await adopt(catalogue, record())
        (row,) = await queue(catalogue, HERO)
        (taken,) = (await adopt(catalogue, record())).taken
        assert (taken.waits, taken.is_orphan) == (True, False)
        await migrate(catalogue, order(row, A))
        assert [each.sha256 for each in (await attach(catalogue, HERO)).attached] == [A]
        assert (await the_model(catalogue, A)).name == "Hero"

    async def test_it_stays_with_its_content_when_that_is_renamed_and_when_its_file_goes(
        self, catalogue: Catalogue
    ) -> None:
        await hashed(catalogue, HERO, A)
        (taken,) = (await adopt(catalogue, record())).taken
        await catalogue.move_paths([Rename(HERO, "/m/loras/new.safetensors")], NOW)
        assert (await adopt(catalogue, gone=[taken.id])).gone == (("lora-manager", SIDECAR),)
        (kept,) = (await catalogue.sources(A)).records
        assert kept.gone
        assert (await the_model(catalogue, A)).meta["notes"] == "mine"

    async def test_another_content_at_its_path_gets_what_is_said_anew(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        await adopt(catalogue, record())
        await hashed(catalogue, HERO, B)
        await attach(catalogue, HERO)
        await adopt(catalogue, record(Meaning(title="Second"), digest="2"))
        first, second = await catalogue.sources(A), await catalogue.sources(B)
        assert [kept.record.meaning.title for kept in first.records] == ["Hero"]
        assert [kept.record.meaning.title for kept in second.records] == ["Second"]

    async def test_half_characters_of_foreign_texts_are_replaced(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        await adopt(catalogue, record(Meaning(title="a\ud83d", notes="\udcff", tags=("t\ud83d",))))
        model = await the_model(catalogue, A)
        assert (model.name, model.meta["notes"], [tag.name for tag in model.tags]) == ("a�", "�", ["t�"])

    async def test_in_whatever_order_they_come_the_model_is_the_same(self, tmp_path: Path, fresh_file: Path) -> None:
        """The model, its sidecar, a change of the sidecar and a second tool's come in every order that there is."""
        later = Meaning(
            title="Hero II", notes="mine", base_model="SDXL", tags=("ink", "bold"), trigger_words=("hero", "cape")
        )
        other = record(
            Meaning(title="API", author="x", tags=("api",)), kind="civitai-helper", key="/m/loras/hero.civitai.info"
        )
        ends = []
        for number, steps in enumerate(itertools.permutations(["model", "sidecar", "change", "other"])):
            catalogue = Catalogue(Path(shutil.copy(fresh_file, tmp_path / f"{number}.db")))
            sidecars = iter([record(), record(later, digest="2")])
            for step in steps:
                if step == "model":
                    await hashed(catalogue, HERO, A)
                    await attach(catalogue, HERO)
                else:
                    await adopt(catalogue, other if step == "other" else next(sidecars))
            model = await the_model(catalogue, A)
            ends.append((model.name, model.base, model.meta, sorted(tag.name for tag in model.tags)))
            catalogue.close()
        assert all(end == ends[0] for end in ends)
        assert ends[0][0] == "Hero II"  # of two answers of the same time the longer


class TestSharedStems:
    PATHS = ("/m/a.safetensors", "/m/a.ckpt")

    async def test_the_hash_tells_them_apart(self, catalogue: Catalogue) -> None:
        for path, sha256 in zip(self.PATHS, (A, B), strict=True):
            await hashed(catalogue, path, sha256)
        (taken,) = (await adopt(catalogue, record(models=self.PATHS, claims=[claim(B)]))).taken
        assert taken.contents == (B,)

    async def test_without_one_it_is_for_both_and_said_to_be_ambiguous(self, catalogue: Catalogue) -> None:
        (first, second) = self.PATHS
        await hashed(catalogue, first, A)
        (row,) = await queue(catalogue, second)
        (taken,) = (await adopt(catalogue, record(models=self.PATHS))).taken
        assert (taken.contents, taken.waits) == ((), True)
        await migrate(catalogue, order(row, B))
        attached = (await attach(catalogue, second)).attached
        assert {(each.sha256, each.how) for each in attached} == {(A, How.AMBIGUOUS), (B, How.AMBIGUOUS)}


class TestAnswersOfSeveralVersions:
    OTHER = "/m/loras/hero.ckpt"

    def answer(self, *hashes: HashClaim, names: Sequence[str] = ("one.pt", "two.pt")) -> SourceRecord:
        versions = tuple(
            AnswerVersion(
                (VersionFile(name, 0, (each,)),), Meaning(version=f"v{number}", trigger_words=("hero", f"w{number}"))
            )
            for number, (name, each) in enumerate(zip(names, hashes, strict=True))
        )
        said = Meaning(title="Hero")
        return record(said, models=(HERO, self.OTHER), claims=hashes, versions=versions)

    async def test_each_content_gets_the_version_that_it_is(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        await hashed(catalogue, self.OTHER, B)
        await adopt(catalogue, self.answer(claim(B), claim(A)))
        for sha256, version in ((A, "v1"), (B, "v0")):
            model = await the_model(catalogue, sha256)
            assert (model.name, model.meta["version"]) == ("Hero", version)
            (kept,) = (await catalogue.sources(sha256)).records
            assert [each.value for each in kept.record.claims] == [sha256]

    async def test_a_digest_that_is_read_later_chooses_then(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        answer = self.answer(claim("9f" * 6, HashKind.AUTOV3), claim("12" * 6, HashKind.AUTOV3))
        await adopt(catalogue, replace(answer, models=(HERO,)))
        (kept,) = (await catalogue.sources(A)).records
        assert "which of its 2 versions" in kept.record.remarks[0]
        await catalogue.keep_contents([ContentRow(A, SAFETENSORS, tensors="12" * 32)])
        await attach(catalogue, HERO)
        model = await the_model(catalogue, A)
        assert (model.name, model.meta["version"]) == ("Hero", "v1")

    async def test_what_another_version_gave_by_its_name_is_taken_back_when_a_digest_tells(
        self, catalogue: Catalogue
    ) -> None:
        await hashed(catalogue, HERO, A)
        claims = claim("9f" * 6, HashKind.AUTOV3), claim("12" * 6, HashKind.AUTOV3)
        answer = self.answer(*claims, names=("hero.safetensors", "other.safetensors"))
        await adopt(catalogue, replace(answer, models=(HERO,)))
        model = await the_model(catalogue, A)
        assert (model.meta["version"], model.meta["trigger_words"]) == ("v0", ["hero", "w0"])
        await edit(catalogue, A, Edit(meta={"trigger_words": ["hero", "w0", "mine"]}))
        await catalogue.keep_contents([ContentRow(A, SAFETENSORS, tensors="12" * 32)])
        await attach(catalogue, HERO)
        model = await the_model(catalogue, A)
        assert (model.meta["version"], model.meta["trigger_words"]) == ("v1", ["hero", "mine", "w1"])


class TestTheOwner:
    async def test_his_words_stay_and_differing_ones_of_his_are_asked_about_once(
        self, catalogue: Catalogue, file: Path
    ) -> None:
        await hashed(catalogue, HERO, A)
        await edit(catalogue, A, Edit(meta={"notes": "said here"}))
        (asked,) = (await adopt(catalogue, record())).asked
        assert (await the_model(catalogue, A)).meta["notes"] == "said here"
        row = await catalogue.pending(asked.pending_id)
        assert row is not None
        assert (row.state, row.sha256, row.verified, row.meta) == (PendingState.CONFLICT, A, True, {"notes": "mine"})
        assert (await adopt(catalogue, record(digest="2"))).asked == ()
        await catalogue.drop_pending(row.id)
        assert (await adopt(catalogue, record(digest="3"))).asked == ()
        assert len((await adopt(catalogue, record(Meaning(notes="third"), digest="4"))).asked) == 1

    async def test_what_he_decides_about_it_is_done(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        await edit(catalogue, A, Edit(meta={"notes": "said here"}))
        (asked,) = (await adopt(catalogue, record())).asked
        row = await catalogue.pending(asked.pending_id)
        assert row is not None
        await migrate(catalogue, replace(order(row, A, Strategy.OVERRIDE), fingerprint=None))
        assert (await the_model(catalogue, A)).meta["notes"] == "mine"

    async def test_two_tools_with_words_of_his_that_differ_are_asked_about(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        said, own = Meaning(notes="others", usage_hint="clip skip 2"), frozenset({"notes", "usage_hint"})
        other = record(said, kind="rgthree", key="/m/loras/hero.safetensors.rgthree-info.json", owned=own)
        adopted = await adopt(catalogue, record(replace(SAID, usage_hint="30 steps"), owned=own), other)
        assert [(each.kind, each.field) for each in adopted.asked] == [("rgthree", "notes")]
        assert (await the_model(catalogue, A)).meta["notes"] == "mine"

    async def test_words_of_a_record_that_he_replaced_himself_are_no_question(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        await adopt(catalogue, record())
        await edit(catalogue, A, Edit(meta={"notes": "better said"}))
        assert (await adopt(catalogue, record(digest="2"))).asked == ()
        assert (await the_model(catalogue, A)).meta["notes"] == "better said"
        assert len((await adopt(catalogue, record(Meaning(notes="third"), digest="3"))).asked) == 1

    async def test_a_tag_that_he_took_away_does_not_come_back(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        await adopt(catalogue, record())
        await edit(catalogue, A, Edit(tags=()))
        await adopt(catalogue, record(Meaning(title="Hero", tags=("ink", "new")), digest="2"))
        assert [tag.name for tag in (await the_model(catalogue, A)).tags] == ["new"]


class TestOrphans:
    async def test_one_clear_candidate_with_a_true_hash_is_taken(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/loras/renamed.safetensors", A)
        (taken,) = (await adopt(catalogue, record(models=(), claims=[claim(A)]))).taken
        assert taken.contents == (A,)
        assert (await the_model(catalogue, A)).name == "Hero"

    async def test_it_is_taken_too_when_the_model_comes_later(self, catalogue: Catalogue) -> None:
        await adopt(catalogue, record(models=(), claims=[claim(A)]))
        await hashed(catalogue, "/m/other/renamed.safetensors", A)
        (attached,) = (await attach(catalogue, "/m/other/renamed.safetensors")).attached
        assert (attached.sha256, attached.how) == (A, How.CLAIM)

    async def test_a_hash_of_a_kind_that_is_often_wrong_is_only_offered(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/loras/renamed.safetensors", A)
        await adopt(catalogue, record(models=(), claims=[claim(A, grade=Grade.D)]))
        (orphan,) = await catalogue.orphans()
        assert [(offer.sha256, offer.by) for offer in orphan.offers] == [(A, OfferedBy.HASH)]

    async def test_a_neighbour_of_a_similar_name_and_one_of_the_same_size_and_name_are_offered(
        self, catalogue: Catalogue
    ) -> None:
        await hashed(catalogue, "/m/loras/hero (final).safetensors", A)
        await hashed(catalogue, "/m/moved/Hero.safetensors", B)
        await hashed(catalogue, "/m/loras/unlike.safetensors", C)
        await adopt(catalogue, record(models=(), size_bytes=10))
        (orphan,) = await catalogue.orphans()
        assert [(offer.sha256, offer.by) for offer in orphan.offers] == [
            (B, OfferedBy.SIZE_AND_NAME),
            (A, OfferedBy.NEIGHBOURHOOD),
        ]

    async def test_what_lies_in_the_folders_below_is_no_neighbour(
        self, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sources, "_NEIGHBOURS_MAX", 1)
        await hashed(catalogue, "/m/loras/a/hero (old).safetensors", A)
        await hashed(catalogue, "/m/loras/hero (final).safetensors", B)
        await adopt(catalogue, record(models=()))
        (orphan,) = await catalogue.orphans()
        assert [offer.sha256 for offer in orphan.offers] == [B]

    async def test_the_owner_gives_them_to_a_model_or_drops_them_all_or_none(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/x.safetensors", A)
        others = [record(models=(), key=f"/m/{number}") for number in (2, 3)]
        first, second, third = (await adopt(catalogue, record(models=()), *others)).taken
        for unknown in (([first.id], B), ([first.id, 99], A), ([first.id, 99], "")):
            with pytest.raises(NotFound):
                await catalogue.resolve_orphans(*unknown, (), NOW, lambda _: None)
            assert len(await catalogue.orphans()) == 3
        await catalogue.resolve_orphans([first.id], A, (), NOW, lambda _: None)
        dropped = await catalogue.resolve_orphans([second.id, third.id], "", (), NOW, lambda _: None)
        assert [kept.record.key for kept in dropped.dropped] == ["/m/2", "/m/3"]
        assert await catalogue.orphans() == []
        assert (await the_model(catalogue, A)).name == "Hero"
        await adopt(catalogue, record(models=(), key="/m/2"))
        assert await catalogue.orphans() == []
        await adopt(catalogue, record(models=(), key="/m/2", digest="2"))
        assert len(await catalogue.orphans()) == 1


class TestFinding:
    async def test_by_a_claimed_hash_unless_it_is_refuted_and_by_texts(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, HERO, A)
        claims = [claim("0d" * 32, HashKind.BLAKE3), claim(B), claim("b" * 10, HashKind.AUTOV2)]
        await adopt(catalogue, record(claims=claims))
        for text in ("0d0d0d0d", "mine", "Hero", "hero"):
            assert [model.sha256 for model in await catalogue.find_models(text)] == [A]
        for text in ("b" * 10, "b" * 64):
            assert await catalogue.find_models(text) == []


async def test_a_purged_model_takes_its_records_along(catalogue: Catalogue, file: Path) -> None:
    await hashed(catalogue, HERO, A)
    await adopt(catalogue, record(claims=[claim(A)]))
    await catalogue.set_missing([HERO], "gone", NOW)
    await catalogue.act(ActOrder("act", ActKind.PURGED, A), (), NOW, lambda _: None)
    for table in ("source_records", "record_targets", "record_claims", "knowledge"):
        assert rows_of(file, f"SELECT * FROM {table}") == []
