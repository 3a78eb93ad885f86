"""Of an answer that tells of several versions, the one that a content is speaks for it; else what holds for all."""

from dataclasses import replace

import pytest

from modelkeep.domain.knowledge import (
    AnswerVersion,
    Grade,
    HashClaim,
    HashKind,
    Meaning,
    Origin,
    SourceRecord,
    VersionFile,
)
from modelkeep.domain.versions import about, versions_as_json, versions_from_json

OURS, OTHER = "a" * 64, "b" * 64
ORIGIN = Origin("civitai", "1")


def file(name: str, sha256: str = "", size_bytes: int = 0, kind: HashKind = HashKind.SHA256) -> VersionFile:
    return VersionFile(name, size_bytes, (HashClaim(kind, sha256, Grade.C),) if sha256 else ())


def version(number: int, *files: VersionFile) -> AnswerVersion:
    said = Meaning(
        version=f"v{number}", origins=(Origin("civitai", "1", str(number)),), trigger_words=(f"w{number}",)
    )
    return AnswerVersion(files, said, updated_at=number)


def answer(*versions: AnswerVersion) -> SourceRecord:
    said = Meaning(title="Hero", tags=("ink",), origins=(ORIGIN,))
    every = tuple(claim for each in versions for known in each.files for claim in known.claims)
    return SourceRecord("sdnext", "/m/x.json", "1", stem="x", meaning=said, claims=every, versions=versions)


def chosen(record: SourceRecord, size_bytes: int = 10, kind: HashKind = HashKind.CRC32) -> SourceRecord:
    """Return what a record says of a content of such a size, of which a hash of that kind is `12`."""
    return about(record, {HashKind.SHA256: OURS, kind: "12"}, size_bytes)


def test_the_version_with_a_true_hash_is_taken_whatever_its_file_is_called() -> None:
    said = chosen(answer(version(1, file("x.safetensors", OTHER)), version(2, file("other.safetensors", OURS))))
    assert (said.meaning.title, said.meaning.tags) == ("Hero", ("ink",))
    assert (said.meaning.version, said.meaning.trigger_words, said.updated_at) == ("v2", ("w2",), 2)
    assert said.meaning.origins == (Origin("civitai", "1", "2"),)
    assert [claim.value for claim in said.claims] == [OURS]
    assert said.remarks == ()


@pytest.mark.parametrize("kind", [HashKind.AUTOV3, HashKind.BLAKE3, HashKind.AUTOV2])
def test_any_hash_that_tells_files_apart_chooses(kind: HashKind) -> None:
    record = answer(version(1, file("x.safetensors", OTHER)), version(2, file("y.safetensors", "12", kind=kind)))
    assert chosen(record, kind=kind).meaning.version == "v2"
    assert chosen(record).meaning.version == "v1"  # while nobody read what would tell, its name does


def test_a_weak_hash_chooses_nothing() -> None:
    record = answer(*(version(number, file(f"{number}.pt", "12", kind=HashKind.AUTOV1)) for number in (1, 2)))
    assert chosen(record, kind=HashKind.AUTOV1).meaning.version == ""


def test_without_a_true_hash_the_name_and_then_the_size_tell() -> None:
    named = answer(version(1, file("X.safetensors", OTHER)), version(2, file("y.safetensors")))
    assert chosen(named).meaning.version == "v1"
    alike = answer(version(1, file("x.safetensors", size_bytes=500)), version(2, file("x.pt", size_bytes=10)))
    assert chosen(alike).meaning.version == "v2"
    assert chosen(alike, size_bytes=11).meaning.version == "v2"  # sizes in kB are rounded
    assert chosen(alike, size_bytes=100).meaning.version == ""


def test_of_versions_that_share_a_file_the_name_tells() -> None:
    record = answer(version(1, file("x.pt", OURS)), version(2, file("y.pt", OURS)), version(3, file("x.pt", OTHER)))
    assert chosen(record).meaning.version == "v1"


def test_where_nothing_tells_what_holds_for_all_is_taken_and_said() -> None:
    record = answer(version(1, file("y.safetensors", OTHER)), version(2, file("z.safetensors")))
    said = chosen(record)
    assert (said.meaning, said.updated_at, said.claims) == (record.meaning, 0, record.claims)
    assert "which of its 2 versions" in said.remarks[0]


def test_of_a_version_with_several_files_all_is_taken_and_that_none_is_this_one_is_said() -> None:
    record = answer(version(1, file("y.safetensors", OTHER), file("z.safetensors", OURS)))
    assert chosen(record) == replace(record, versions=(), meaning=chosen(record).meaning, updated_at=1)
    other = about(record, {HashKind.SHA256: "c" * 64}, 10)
    assert other.meaning.version == "v1"
    assert "none of its files" in other.remarks[0]


def test_a_record_without_versions_says_what_it_says() -> None:
    record = answer()
    assert chosen(record) is record


def test_versions_are_kept_as_they_are() -> None:
    versions = (version(1, file("x.pt", OURS, 7), file("y.pt")), version(2))
    assert versions_from_json(versions_as_json(versions)) == versions
