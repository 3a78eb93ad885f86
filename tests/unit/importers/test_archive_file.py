import errno
import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.archives import whole, write_archive

from modelkeep.domain.archive import (
    MEMBERS,
    MODELS,
    Archive,
    ArchivedContent,
    ArchivedImage,
    ArchivedLocation,
    ArchivedModel,
    ArchivedRecord,
    ArchivedRow,
    ArchivedTaking,
    ArchivedTarget,
    as_json,
)
from modelkeep.domain.archive_lines import content_of, model_of, record_of, row_of, tag_of
from modelkeep.domain.knowledge import (
    Grade,
    HashClaim,
    HashKind,
    ImageFile,
    Meaning,
    Origin,
    SourceRecord,
    Text,
    Weight,
)
from modelkeep.domain.legacy import LegacyTag
from modelkeep.errors import ImageError, SourceError, StorageError
from modelkeep.exporters.archive import NewArchive
from modelkeep.importers import archive_file
from modelkeep.importers.archive_file import ArchiveFile

T = TypeVar("T")
SHA256 = "40dc1708" * 8
RECORD = SourceRecord(
    "webui",
    "/m/a.json",
    SHA256,
    models=("/m/a.safetensors",),
    meaning=Meaning("t", description=Text("d"), weight=Weight(0.5), origins=(Origin("civitai", "1"),), tags=("x",)),
    raw={"deep": [None, 1.5, {"ü": "\udc80"}]},
    claims=(HashClaim(HashKind.SHA256, SHA256, Grade.B),),
    images=(ImageFile("/m/a.png"),),
)
ARCHIVE = Archive(
    (LegacyTag(" style", "#fff", 5),),
    (
        ArchivedModel(
            SHA256,
            "/m/\udcff.safetensors",
            9,
            7,
            ("style",),
            (ArchivedLocation("/m/a.safetensors", "missing", True, 1, 2),),
            (ArchivedImage(0, 24, 16, SHA256),),
            {"title": "t"},
            (ArchivedTaking("/m/a.png", SHA256, SHA256),),
            name="Name",
            type="loras",
            base="SDXL",
            created_at=8,
            meta={"notes": "n", "own": {"x": [1]}},
        ),
    ),
    (ArchivedRow("/m/b.ckpt", name="b", source="hikaze", image="7.png", tags=("style",)),),
    (
        ArchivedRecord(
            RECORD, (ArchivedTarget("/m/a.safetensors", SHA256, "beside"),), True, False, 1, 2, ("n",), 3, 4
        ),
    ),
    (ArchivedContent(SHA256, "safetensors", {"k": "v"}, "p", None),),
)


def picture(name: str) -> bytes:
    return b"RIFF" + name.encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_archive(tmp_path / "a.zip", ARCHIVE, picture, picture)
    return tmp_path / "a.zip"


def changed(path: Path, members: Mapping[str, bytes | None]) -> Path:
    """Copy an archive with other members; None leaves one out."""
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(target, "w") as written:
        for name in [*read.namelist(), *(members.keys() - set(read.namelist()))]:
            data = members[name] if name in members else read.read(name)
            if data is not None:
                written.writestr(name, data)
    return target


def read(path: Path) -> Archive:
    with ArchiveFile(path) as packed:
        return whole(packed.read())


def only(values: Iterable[T]) -> T:
    (value,) = values
    return value


def test_what_was_written_is_read_with_its_images(path: Path) -> None:
    with ArchiveFile(path) as packed:
        archive = packed.read()
        (image,) = only(archive.models).images
        data = packed.image(f"{SHA256}_0_low.webp", image.files["low"])
        row = packed.pending_image("7.png", only(archive.pending).image_sha256)
        with pytest.raises(ImageError, match="not as it was written"):
            packed.image(f"{SHA256}_0_low.webp", SHA256)
        with pytest.raises(ImageError):
            packed.image("../../etc/passwd", SHA256)

    assert image.is_whole
    assert (data, row) == (picture(f"{SHA256}_0_low.webp"), picture("7.png"))
    known = read(path)
    assert (known.tags, known.sources, known.contents) == (ARCHIVE.tags, ARCHIVE.sources, ARCHIVE.contents)
    assert (len(archive.sources), len(archive.contents)) == (1, 1)
    assert only(known.models).path == "/m/\udcff.safetensors"
    with zipfile.ZipFile(path) as packed_zip:
        kinds = {each.filename: each.compress_type for each in packed_zip.infolist()}
    assert kinds[f"images/{SHA256}_0_low.webp"] == zipfile.ZIP_STORED


def test_a_reader_that_is_called_off_ends(path: Path) -> None:
    with ArchiveFile(path) as packed:
        archive = packed.read()
        packed.call_off()
        with pytest.raises(SourceError, match="called off"):
            list(archive.sources)


def test_an_image_that_is_gone_is_left_out_and_nothing_is_overwritten(tmp_path: Path) -> None:
    def gone(name: str) -> bytes:
        raise FileNotFoundError(name)

    lost = write_archive(tmp_path / "a.zip", ARCHIVE, gone, gone)

    assert len(lost) == 4
    assert not only(read(tmp_path / "a.zip").models).images[0].is_whole
    before = (tmp_path / "a.zip").read_bytes()
    with pytest.raises(FileExistsError):
        write_archive(tmp_path / "a.zip", ARCHIVE, gone, gone)
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == before


def test_lines_on_their_way_have_no_name_and_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[object]:
        yield only(ARCHIVE.models)
        assert not list(tmp_path.iterdir())
        raise OSError(errno.ENOSPC, "no room")

    with NewArchive(tmp_path / "a.zip") as archive, pytest.raises(StorageError, match="no room"):
        archive.keep({MODELS: broken()})
    with pytest.raises(StorageError, match="cannot be written"):
        NewArchive(tmp_path / "none" / "a.zip")
    assert not list(tmp_path.iterdir())


def manifest(**values: Any) -> bytes:
    known = {"format": "modelkeep-archive", "version": 1, "members": dict.fromkeys(MEMBERS, "0" * 64)}
    return json.dumps({**known, **values}).encode()


@pytest.mark.parametrize(
    "members",
    [
        {"manifest.json": None},
        {"manifest.json": b"{"},
        {"manifest.json": b"[" * 100_000},
        {"manifest.json": b"[]"},
        {"manifest.json": manifest(format="other")},
        {"manifest.json": manifest(version=2)},
        {"manifest.json": manifest(members={"../x": ""})},
        {"manifest.json": manifest()},
        {"manifest.json": b" " * (2**20 + 1)},
        {MODELS: None},
        {MODELS: b""},
    ],
)
def test_what_is_no_whole_archive_is_refused(path: Path, members: dict[str, bytes | None]) -> None:
    with pytest.raises(SourceError):
        read(changed(path, members))


def line(**values: Any) -> bytes:
    return json.dumps({**as_json(only(ARCHIVE.models)), **values}).encode() + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        line(sha256="x"),
        line(size_bytes=-1),
        line(size_bytes=2**63),
        line(size_bytes=True),
        line(name=["x"]),
        line(path="a\0b"),
        line(meta=[]),
        line(tags="style"),
        line(tags=[1]),
        line(locations=[{"path": "", "state": "present"}]),
        line(locations=[{"path": "/a", "state": "anywhere"}]),
        line(images=[{"seq": 10**9, "width": 1, "height": 1, "source_digest": SHA256}]),
        line(images=[7]),
        line(meta={"n": float("nan")}),
        b'{"meta": ' + b"[" * 300 + b"]" * 300 + b"}\n",
        b"[1]\n",
        b"\xff\n",
    ],
)
def test_a_line_that_cannot_be_is_refused_with_its_place(path: Path, data: bytes) -> None:
    digests = {name: hashlib.sha256(zipfile.ZipFile(path).read(name)).hexdigest() for name in MEMBERS}
    digests[MODELS] = hashlib.sha256(data).hexdigest()
    with pytest.raises(SourceError, match=r"line 1 of models\.jsonl"):
        read(changed(path, {MODELS: data, "manifest.json": manifest(members=digests)}))


def test_sizes_are_bounded_whatever_a_header_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_file, "TAGS_BYTES_MAX", 10)
    with pytest.raises(SourceError, match="more text than any library"):
        read(path)


@pytest.mark.parametrize("key", ['/m/"ü\\.json', "/m/caf\udce9.json"])
def test_a_record_that_is_too_long_is_left_out_by_name_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    (known,) = ARCHIVE.sources
    long = replace(known, record=replace(RECORD, key=key, raw={"text": "x" * 10_000}))
    path = tmp_path / "long.zip"
    write_archive(path, replace(ARCHIVE, sources=(long, known, long)), picture, picture)
    monkeypatch.setattr(archive_file, "LINE_BYTES_MAX", 4_000)
    with ArchiveFile(path) as packed:
        archive = packed.read()
        assert [list(archive.sources), list(archive.sources)] == [[known], [known]]
        assert [(refusal.key, refusal.path) for refusal in packed.refusals] == [
            ("line 1 of sources.jsonl", key),
            ("line 3 of sources.jsonl", key),
        ]
        assert len(archive.sources) == 1


def test_members_that_nobody_asks_for_are_never_looked_at(path: Path) -> None:
    assert read(changed(path, {"../../evil": b"x", "/etc/passwd": b"x"})).tags == ARCHIVE.tags


def test_an_archive_that_was_copied_in_part_is_told_apart_from_what_is_none(path: Path) -> None:
    whole = path.read_bytes()
    for content, said in ((whole[: len(whole) // 2], "is cut off"), (b"a letter", "is no archive")):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=said), ArchiveFile(path):
            pass


def test_what_is_no_regular_file_is_refused_unread(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(SourceError, match="no regular file"), ArchiveFile(path):
            pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(MODELS, b"")
    with pytest.raises(SourceError, match="twice"):
        read(path)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_damaged_bytes_are_told_or_do_no_harm(tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write_archive(folder / "a.zip", ARCHIVE, picture, picture)
    data = bytearray((folder / "a.zip").read_bytes())
    at %= len(data)
    data[at : at + len(junk)] = junk
    (folder / "a.zip").write_bytes(data)
    try:
        found = read(folder / "a.zip")
    except SourceError:
        return
    assert only(found.models).meta == only(ARCHIVE.models).meta


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(st.sampled_from([tag_of, model_of, row_of, record_of, content_of]), JSON, JSON, JSON)
def test_no_object_makes_reading_it_raise_anything_else(make: Any, one: Any, other: Any, third: Any) -> None:
    keys = ("sha256", "path", "images", "locations", "meaning", "claims", "tags", "state", "raw", "targets", "digest")
    for key in keys:
        value = {"sha256": SHA256, "digest": SHA256, "path": "/a", "state": "waiting", "standing": "answer"}
        try:  # whatever a line is, it is refused or of the right types
            make(value | dict(zip((key, "meta", "meaning"), (one, other, third), strict=True)))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def test_everything_comes_back_from_its_json() -> None:
    lines = json.loads(json.dumps(as_json(ARCHIVE)))

    assert tag_of(lines["tags"][0]) == ARCHIVE.tags[0]
    assert model_of(lines["models"][0]) == only(ARCHIVE.models)
    assert record_of(lines["sources"][0]) in ARCHIVE.sources
    assert content_of(lines["contents"][0]) in ARCHIVE.contents
