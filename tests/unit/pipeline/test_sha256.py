"""The digests of the library are those of hashlib, for streams of any lengths in any pieces, two at a time."""

import ctypes
import hashlib
import mmap
import os
import shutil
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkeep.pipeline import sha256
from modelkeep.pipeline.sha256 import Hashlib, Implementation, PairLibrary, Piece

TOP = Path(__file__).parents[3]

pieces = st.lists(st.binary(max_size=200) | st.integers(0, 9000).map(lambda size: bytes(range(256)) * (size // 256)))


@pytest.fixture(scope="module")
def library(hatch_build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> PairLibrary:
    if shutil.which("cc") is None or os.uname().machine != "x86_64":
        pytest.skip("there is no C compiler for x86-64")
    built = tmp_path_factory.mktemp("library") / "sha256_pair.so"
    assert hatch_build.build(TOP / hatch_build.SOURCE, built, "-Werror") == ""
    if not ctypes.CDLL(str(built)).sha256_is_supported():
        pytest.skip("this processor has no SHA-NI")
    return PairLibrary(built)


def buffer(data: bytes) -> memoryview:
    return memoryview(bytearray(data))


@settings(max_examples=60, deadline=None)
@given(one=pieces, other=pieces)
def test_two_streams_side_by_side_have_the_digests_that_each_has_alone(
    library: PairLibrary, one: list[bytes], other: list[bytes]
) -> None:
    streams = library.new(), library.new()
    left = [list(one), list(other)]
    while any(left):
        taken: list[Piece] = [(streams[at], buffer(left[at].pop(0))) for at in (0, 1) if left[at]]
        assert library.update(*taken)
    expected = [hashlib.sha256(b"".join(parts)).hexdigest() for parts in (one, other)]
    assert [stream.hexdigest() for stream in streams] == expected


def test_a_stream_takes_the_place_of_another_while_the_second_goes_on(library: PairLibrary) -> None:
    contents = [bytes([number]) * size for number, size in enumerate((70, 1000, 64, 5000))]
    long, long_content = library.new(), b""
    for content in contents:
        short, more = library.new(), os.urandom(777)
        long_content += more
        assert library.update((short, buffer(content)), (long, buffer(more)))
        assert short.hexdigest() == hashlib.sha256(content).hexdigest()
    assert long.hexdigest() == hashlib.sha256(long_content).hexdigest()


def test_a_mapped_file_that_is_cut_off_is_told_and_nothing_of_it_is_taken(
    library: PairLibrary, tmp_path: Path
) -> None:
    library.survive_cuts()
    path = tmp_path / "a.pt"
    path.write_bytes(bytes(64 * mmap.PAGESIZE))
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE))
    os.truncate(path, mmap.PAGESIZE)
    one, other = library.new(), library.new()
    assert library.update((one, buffer(b"abc")))
    assert not library.update((one, data))
    assert not library.update((other, buffer(b"x" * 9999)), (one, data))
    assert library.update((one, data[:5]), (other, buffer(b"abc")))
    assert one.hexdigest() == hashlib.sha256(b"abc" + bytes(5)).hexdigest()
    assert other.hexdigest() == hashlib.sha256(b"abc").hexdigest()


def test_without_the_library_hashlib_does_it_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def implementation() -> Implementation:
        sha256.implementation.cache_clear()
        return sha256.implementation()

    broken = tmp_path / "broken.so"
    monkeypatch.setattr(sha256, "LIBRARY", broken)
    try:
        assert "was not built" in implementation().reason
        broken.write_bytes(b"no library")
        found = implementation()
        assert (found.name, bool(found.reason)) == ("hashlib", True)
    finally:
        sha256.implementation.cache_clear()
    assert isinstance(found, Hashlib)
    stream = found.new()
    assert found.update((stream, buffer(b"abc")))
    assert stream.hexdigest() == hashlib.sha256(b"abc").hexdigest()


def test_an_install_without_a_compiler_says_so(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "no-such-compiler")
    problem = hatch_build.build(TOP / hatch_build.SOURCE, tmp_path / "library.so")
    assert problem == "there is no C compiler" or "x86-64" in problem
    assert list(tmp_path.iterdir()) == []
