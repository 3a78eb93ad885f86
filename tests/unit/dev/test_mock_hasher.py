"""The mock hasher gives shadow files the hashes of what they stand for, and answers for nothing else."""

import pickle
from pathlib import Path

import pytest

from modelkeep.dev.mock_hasher import MockHasher
from modelkeep.domain.values import normalise_sha256
from modelkeep.errors import FileVanished, HashError

CLAIM = "ab" * 32


@pytest.fixture
def hasher() -> MockHasher:
    return MockHasher({"known.safetensors": CLAIM.upper(), "broken.safetensors": "no hash", "unhashed.pt": ""})


def shadow(folder: Path, name: str, content: bytes = b"") -> str:
    path = folder / f"shadow_{name}"
    path.write_bytes(content)
    return str(path)


def test_a_shadow_has_the_hash_that_the_legacy_database_holds(hasher: MockHasher, tmp_path: Path) -> None:
    assert hasher.digest(shadow(tmp_path, "known.safetensors")) == CLAIM
    assert hasher.digest(shadow(tmp_path, "known.safetensors", b"salt")) == CLAIM


@pytest.mark.parametrize("name", ["unhashed.pt", "broken.safetensors", "other.pt", "", "\udce9.pt"])
def test_every_other_shadow_has_one_that_its_name_and_bytes_always_give(
    hasher: MockHasher, tmp_path: Path, name: str
) -> None:
    plain = hasher.digest(shadow(tmp_path, name))
    assert plain is not None
    assert normalise_sha256(plain) == plain
    assert hasher.digest(shadow(tmp_path, name)) == plain
    assert hasher.digest(shadow(tmp_path, name + "x")) != plain
    assert hasher.digest(shadow(tmp_path, name, b"salt")) != plain


def test_the_folder_of_a_shadow_does_not_matter(hasher: MockHasher, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert hasher.digest(shadow(tmp_path, "a.pt")) == hasher.digest(shadow(tmp_path / "sub", "a.pt"))


@pytest.mark.parametrize("name", ["known.safetensors", "Shadow_known.safetensors", "a_shadow_known.safetensors"])
def test_a_real_file_is_left_to_the_real_hasher(hasher: MockHasher, name: str) -> None:
    assert hasher.digest(f"/shadow_folder/{name}") is None


def test_a_shadow_that_is_gone_or_cannot_be_read_is_told(hasher: MockHasher, tmp_path: Path) -> None:
    with pytest.raises(FileVanished, match=r"shadow_known\.safetensors is not there"):
        hasher.digest(str(tmp_path / "shadow_known.safetensors"))
    (tmp_path / "shadow_a.pt").mkdir()
    with pytest.raises(HashError, match="cannot be read: Is a directory"):
        hasher.digest(str(tmp_path / "shadow_a.pt"))


def test_it_can_be_sent_to_a_worker(hasher: MockHasher, tmp_path: Path) -> None:
    sent: MockHasher = pickle.loads(pickle.dumps(hasher))
    assert sent.digest(shadow(tmp_path, "known.safetensors")) == CLAIM
