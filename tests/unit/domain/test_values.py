"""Hashes of others, fingerprints of odd files."""

import os
from pathlib import Path

import pytest

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import normalise_sha256

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [SHA, SHA.upper(), f"  {SHA}\n"])
def test_a_hash_is_taken_however_it_is_spelled(text: str) -> None:
    assert normalise_sha256(text) == SHA


@pytest.mark.parametrize(
    "text",
    ["", None, 5, b"0" * 64, SHA[:63], SHA + "0", "g" * 64, "sha256:" + SHA, SHA[:10], "٣" * 64, "0x" + SHA[2:]],
)
def test_what_is_no_sha256_is_none(text: object) -> None:
    assert normalise_sha256(text) is None


def test_an_unmoved_path_is_known_again_after_its_device_got_another_number() -> None:
    before = Fingerprint(1, 2, 3, 4)
    assert Fingerprint(9, 2, 3, 4).same_file_at_same_path(before)
    assert not Fingerprint(1, 9, 3, 4).same_file_at_same_path(before)
    assert not Fingerprint(1, 2, 9, 4).same_file_at_same_path(before)
    assert not Fingerprint(1, 2, 3, 9).same_file_at_same_path(before)
    assert not before.same_file_at_same_path(None)


def test_a_fingerprint_is_what_stat_says(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"x" * 77)
    os.utime(path, ns=(5, 1_700_000_000_123_456_789))
    status = path.stat()
    times = (1_700_000_000_123_456_789, status.st_ctime_ns)
    assert Fingerprint.from_stat(status) == Fingerprint(status.st_dev, status.st_ino, 77, *times)
