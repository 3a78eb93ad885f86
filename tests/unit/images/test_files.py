"""The border to the disk: what is read, what is refused, what is left behind."""

import os
import resource
from pathlib import Path

import pytest
from tests.fakes import limited, without_rights

from modelkeep.domain.images import SOURCE_BYTES
from modelkeep.errors import ImageError
from modelkeep.images.files import image_chunks, read_image, shown_name


def refusal_of(path: Path | str) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(str(path))
    return str(caught.value)


def test_the_bytes_are_read_as_they_are(tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 17)
    image = tmp_path / "a.png"
    image.write_bytes(content)
    assert read_image(str(image)) == content


def test_a_link_to_a_image_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    (tmp_path / "b.png").symlink_to("a.png")
    assert read_image(str(tmp_path / "b.png")) == b"content"


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "gone.png") == "gone.png is not there (any more)"


def test_a_dangling_link_is_a_missing_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("nowhere")
    assert refusal_of(tmp_path / "a.png") == "a.png is not there (any more)"


def test_a_folder_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert refusal_of(tmp_path / "a.png") == "a.png is a folder, not an image"


@pytest.mark.timeout(60)
def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert refusal_of(tmp_path / "a.png") == "a.png is not a regular file, so it is not read"


def test_a_device_is_refused() -> None:
    assert refusal_of("/dev/zero") == "zero is not a regular file, so it is not read"


def test_what_the_kernel_makes_up_is_no_image() -> None:
    assert refusal_of("/proc/self/status") == "status is not a regular file, so it is not read"


def test_a_image_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"content")
    image.chmod(0)
    with without_rights():
        assert refusal_of(image) == "a.png cannot be read: Permission denied"


def test_links_in_a_ring_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("a.png")
    assert refusal_of(tmp_path / "a.png") == "a.png cannot be read: Too many levels of symbolic links"


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert refusal_of(tmp_path / "file" / "a.png") == "a.png cannot be read: Not a directory"


def test_an_empty_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert refusal_of(tmp_path / "a.png").startswith("a.png is empty")


def test_a_image_is_refused_from_the_first_byte_too_many(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    with image.open("wb") as file:
        file.truncate(SOURCE_BYTES)
    assert sum(map(len, image_chunks(str(image)))) == SOURCE_BYTES
    with image.open("r+b") as file:
        file.truncate(SOURCE_BYTES + 1)
    assert refusal_of(image) == "a.png is 65 MB; at most 64 MB are taken"


def test_a_image_that_is_far_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**30)
    assert refusal_of(tmp_path / "a.png") == "a.png is 1024 MB; at most 64 MB are taken"


def test_a_image_that_grows_too_large_while_it_is_read_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    with image.open("wb") as file:
        file.truncate(SOURCE_BYTES)
    chunks = image_chunks(str(image))
    next(chunks)
    with image.open("r+b") as file:
        file.truncate(SOURCE_BYTES + 2**20)
    with pytest.raises(ImageError, match="at most 64 MB"):
        list(chunks)


@pytest.mark.parametrize("path", ["/tmp/a\0b.png", "/tmp/\ud800.png"])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    assert refusal_of(path).endswith("is no name that a file can have")


def test_a_name_that_is_not_utf8_is_shown_and_can_be_stored(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    assert refusal_of(path) == "caf\\udce9.png is not there (any more)"
    refusal_of(path).encode("utf-8")
    Path(path).write_bytes(b"content")
    assert read_image(path) == b"content"


def test_only_the_base_name_is_shown() -> None:
    assert shown_name("/a/b/c d.png") == "c d.png"


def test_running_out_of_descriptors_is_no_fault_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    with limited(resource.RLIMIT_NOFILE, 0), pytest.raises(OSError, match="Too many open files"):
        read_image(str(tmp_path / "a.png"))


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    (tmp_path / "folder").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_image(str(tmp_path / "a.png"))
    refusal_of(tmp_path / "folder")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
