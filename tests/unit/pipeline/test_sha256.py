"""The digests of the library are those of hashlib, of any lengths in any pieces, alone and side by side."""

import ctypes
import hashlib
import mmap
import os
import platform
import shutil
import sysconfig
import time
from collections import deque
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkeep.disk import folder_listing
from modelkeep.pipeline import sha256
from modelkeep.pipeline.sha256 import STREAMS_MAX, Hashlib, Implementation, Piece, StreamsLibrary

TOP = Path(__file__).parents[3]

pieces = st.lists(st.binary(max_size=200) | st.integers(0, 9000).map(lambda size: bytes(range(256)) * (size // 256)))


@pytest.fixture(scope="module")
def library(hatch_build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StreamsLibrary:
    if shutil.which("cc") is None or os.uname().machine != "x86_64":
        pytest.skip("there is no C compiler for x86-64")
    built = tmp_path_factory.mktemp("library") / "sha256_streams.so"
    assert hatch_build.build(TOP / hatch_build.SOURCE, built, "-Werror") == ""
    streams = ctypes.CDLL(str(built)).sha256_streams()
    if not streams:
        pytest.skip("this processor has no SHA-NI")
    return StreamsLibrary(built, streams)  # as many as it can, whether they pay here or not


def buffer(data: bytes) -> memoryview:
    return memoryview(bytearray(data))


@settings(max_examples=100, deadline=None)
@given(contents=st.lists(pieces, min_size=2, max_size=STREAMS_MAX))
def test_streams_side_by_side_have_the_digests_that_each_has_alone(
    library: StreamsLibrary, contents: list[list[bytes]]
) -> None:
    streams = [library.new() for _ in contents]
    left = [list(content) for content in contents]
    while any(left):
        taken: list[Piece] = [
            (stream, buffer(of_it.pop(0))) for stream, of_it in zip(streams, left, strict=True) if of_it
        ]
        assert library.update(*taken)
    assert [stream.hexdigest() for stream in streams] == [
        hashlib.sha256(b"".join(content)).hexdigest() for content in contents
    ]


@pytest.mark.parametrize("count", range(2, STREAMS_MAX + 1))
def test_a_stream_takes_the_place_of_another_while_the_others_go_on(library: StreamsLibrary, count: int) -> None:
    contents = [bytes([number]) * size for number, size in enumerate((70, 1000, 64, 5000))]
    long, long_contents = [library.new() for _ in range(count - 1)], [b""] * (count - 1)
    for content in contents:
        short, more = library.new(), [os.urandom(1777) for _ in long]
        long_contents = [before + new for before, new in zip(long_contents, more, strict=True)]
        # Each has been at each place.
        streams = deque([(short, buffer(content)), *zip(long, map(buffer, more), strict=True)])
        streams.rotate(len(content) % count)
        assert library.update(*streams)
        assert short.hexdigest() == hashlib.sha256(content).hexdigest()
    assert [stream.hexdigest() for stream in long] == [
        hashlib.sha256(content).hexdigest() for content in long_contents
    ]


@pytest.mark.parametrize(("most", "named"), [(2, "two"), (3, "three")])
def test_no_more_streams_are_taken_than_gain_anything(library: StreamsLibrary, most: int, named: str) -> None:
    class Slow(StreamsLibrary):
        def update(self, *pieces: Piece) -> bool:
            if len(pieces) > most:
                time.sleep(0.01)
            return super().update(*pieces)

    slow = Slow(Path(library.functions._name))
    assert (slow.streams, slow.name) == (most, f"SHA-NI, {named} files at once")


def test_a_mapped_file_that_is_cut_off_is_told_and_nothing_of_it_is_taken(
    library: StreamsLibrary, tmp_path: Path
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
    assert not library.update((other, buffer(b"x" * 9999)), (library.new(), buffer(b"y" * 9999)), (one, data))
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


def test_a_library_that_was_built_for_other_code_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    if not folder_listing.LIBRARY.exists():
        pytest.skip("no library was built")
    monkeypatch.setattr(sha256, "LIBRARY", folder_listing.LIBRARY)
    try:
        for streams in (0, 2):
            sha256.implementation.cache_clear()
            found = sha256.implementation(streams)
            assert (found.name, "another version" in found.reason) == ("hashlib", True)
    finally:
        sha256.implementation.cache_clear()


def test_where_the_daemon_was_started_without_the_library_no_process_of_it_uses_one() -> None:
    try:
        assert isinstance(sha256.implementation(1), Hashlib)
    finally:
        sha256.implementation.cache_clear()


@pytest.mark.parametrize(
    ("machine", "problems"), [("x86_64", ["", ""]), ("aarch64", ["it is for x86-64, and this is aarch64", ""])]
)
def test_only_the_library_for_sha_ni_is_for_one_kind_of_processor(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, problems: list[str]
) -> None:
    if shutil.which("cc") is None or os.uname().machine != "x86_64":
        pytest.skip("there is no C compiler for x86-64")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert [hatch_build.build(TOP / source, tmp_path / "library.so") for source in hatch_build.LIBRARIES] == problems


def test_an_install_without_a_compiler_says_so(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "no-such-compiler")
    problem = hatch_build.build(TOP / hatch_build.SOURCE, tmp_path / "library.so")
    assert problem == "there is no C compiler" or "x86-64" in problem
    assert list(tmp_path.iterdir()) == []
