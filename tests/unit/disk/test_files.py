"""Looks at real files: nothing blocks, nothing is changed, and a writer is seen."""

import errno
import os
import time
from pathlib import Path

import pytest
from tests.fakes import NOT_UTF8, HoldsOpen, let_go, without_rights
from tests.libraries import checkpoint, safetensors

from modelkeep.disk import files
from modelkeep.disk.files import (
    fingerprint_of,
    fingerprints_of,
    leads_through_link,
    look_at,
    look_at_all,
)
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.opening import open_for_reading
from modelkeep.disk.statx import Seen, see
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.formats import Completeness
from modelkeep.domain.naming import Root
from modelkeep.domain.settling import Look


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors("a"))
    return path


def looked(path: Path | str) -> Look:
    seen = look_at(str(path))
    assert seen is not None
    return seen


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestFingerprints:
    def test_a_file_has_that_of_its_stat(self, model: Path) -> None:
        assert fingerprint_of(str(model)) == see(str(model)).fingerprint

    def test_a_link_has_that_of_the_file_behind_it(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(model)
        assert fingerprint_of(str(tmp_path / "link")) == fingerprint_of(str(model))

    def test_what_is_no_regular_file_has_none(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        names = (".", "fifo", "dangling", "loop", "nowhere", "nul\0byte", "\ud800", "x" * 5000, "fifo/below")
        assert [name for name in names if fingerprint_of(str(tmp_path / name)) is not None] == []
        assert fingerprint_of("") is None
        assert fingerprint_of("/dev/null") is None

    def test_of_many_only_those_that_are_there_are_named(self, model: Path, tmp_path: Path) -> None:
        odd = tmp_path / NOT_UTF8
        odd.write_bytes(b"x")
        found = fingerprints_of([str(model), str(odd), str(tmp_path), str(tmp_path / "nowhere"), "\0"])
        assert set(found) == {str(model), str(odd)}


class TestOpening:
    @pytest.mark.timeout(60)
    def test_a_pipe_is_refused_without_waiting_for_its_writer(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.safetensors")
        with pytest.raises(OSError, match="not a regular file") as caught:
            open_for_reading(str(tmp_path / "a.safetensors"))
        assert caught.value.errno == errno.EINVAL

    def test_a_folder_is_refused_and_no_descriptor_is_left(self, tmp_path: Path) -> None:
        before = open_descriptors()
        for _ in range(20):
            with pytest.raises(OSError, match="not a regular file"):
                open_for_reading(str(tmp_path))
        assert open_descriptors() == before

    def test_a_disk_that_tells_nothing_of_an_open_file_leaves_no_descriptor(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: object) -> Seen:
            raise OSError(errno.ESTALE, "Stale file handle")

        monkeypatch.setattr("modelkeep.disk.opening.see", refuse)
        before = open_descriptors()
        with pytest.raises(OSError, match="Stale file handle"):
            open_for_reading(str(model))
        assert open_descriptors() == before

    def test_a_file_of_another_user_is_opened_all_the_same(self, open_folder: Path) -> None:
        path = open_folder / "a.safetensors"
        path.write_bytes(b"x")
        path.chmod(0o644)
        with without_rights():
            os.close(open_for_reading(str(path)))


class TestLooks:
    def test_a_whole_file_is_whole_and_nobody_writes_it(self, model: Path) -> None:
        seen = looked(model)
        assert seen.fingerprint == see(str(model)).fingerprint
        assert (seen.completeness, seen.being_written, seen.has_control_file) == (Completeness.WHOLE, False, False)
        assert -1 < seen.age_seconds < 60

    @pytest.mark.parametrize(
        ("name", "content", "completeness"),
        [
            ("a.safetensors", safetensors("a")[:-1], Completeness.CUT_OFF),
            ("a.safetensors", safetensors("a") + b"x", Completeness.UNKNOWN),
            ("a.ckpt", checkpoint("a"), Completeness.WHOLE),
            ("a.ckpt", b"", Completeness.EMPTY),
            ("a.gguf", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Completeness.POINTER),
            (NOT_UTF8, safetensors("b"), Completeness.WHOLE),
        ],
    )
    def test_its_bytes_say_how_complete_it_is(
        self, tmp_path: Path, name: str, content: bytes, completeness: Completeness
    ) -> None:
        (tmp_path / name).write_bytes(content)
        assert looked(tmp_path / name).completeness is completeness

    @pytest.mark.parametrize("mode", ["r+b", "ab"])
    def test_another_process_that_may_write_is_seen_until_it_closes(
        self, model: Path, hold_open: HoldsOpen, mode: str
    ) -> None:
        writer = hold_open(model, mode)
        assert looked(model).being_written is True
        let_go(writer)
        assert looked(model).being_written is False

    def test_another_process_that_only_reads_is_no_writer(self, model: Path, hold_open: HoldsOpen) -> None:
        hold_open(model, "rb")
        assert looked(model).being_written is False

    def test_a_writer_by_another_name_is_seen(self, model: Path, tmp_path: Path, hold_open: HoldsOpen) -> None:
        os.link(model, tmp_path / "other")
        hold_open(tmp_path / "other", "ab")
        assert looked(model).being_written is True

    def test_a_writer_is_not_held_up_by_a_look(self, model: Path) -> None:
        for _ in range(50):
            looked(model)
            began = time.monotonic()
            with model.open("ab"):
                assert time.monotonic() - began < 20, "the kernel waits for the end of a lease, for 45 s"

    def test_where_the_kernel_does_not_tell_nobody_knows(self, open_folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can leave a file to another user")
        path = open_folder / "a.safetensors"
        path.write_bytes(safetensors("a"))
        path.chmod(0o644)
        with without_rights():
            assert looked(path).being_written is None

    def test_space_that_is_reserved_and_not_filled_proves_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "a.safetensors"
        whole = safetensors("a", size_bytes=1 << 20)
        with path.open("wb") as file:
            file.write(whole[:4096])
            file.truncate(len(whole))
        assert looked(path).completeness is Completeness.UNKNOWN
        path.write_bytes(whole)
        assert looked(path).completeness is Completeness.WHOLE

    def test_a_control_file_beside_it_is_seen(self, model: Path) -> None:
        control = Path(f"{model}.aria2")
        control.touch()
        assert looked(model).has_control_file
        control.unlink()
        assert not looked(model).has_control_file

    def test_a_date_in_the_future_is_a_negative_age(self, model: Path) -> None:
        os.utime(model, (time.time() + 5000,) * 2)
        assert looked(model).age_seconds < -4000

    def test_what_cannot_be_looked_at_is_none(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        for name in (".", "fifo", "nowhere", "nul\0byte", "\ud800", "x" * 5000):
            assert look_at(str(tmp_path / name)) is None

    def test_what_may_not_be_read_is_none(self, open_folder: Path) -> None:
        path = open_folder / "a.safetensors"
        path.write_bytes(b"x")
        path.chmod(0)
        with without_rights():
            assert look_at(str(path)) is None

    def test_many_looks_name_every_path(self, model: Path, tmp_path: Path) -> None:
        nowhere = str(tmp_path / "nowhere")
        found = look_at_all([str(model), nowhere])
        assert found[nowhere] is None
        assert found[str(model)] is not None

    def test_a_look_changes_nothing(self, model: Path) -> None:
        os.utime(model, (time.time() - 500_000, time.time() - 400_000))
        before = model.stat()
        for _ in range(3):
            looked(model)
        after = model.stat()
        assert (after.st_atime_ns, after.st_mtime_ns, after.st_ctime_ns) == (
            before.st_atime_ns,
            before.st_mtime_ns,
            before.st_ctime_ns,
        )


@pytest.mark.parametrize("path", ["/proc/version", "/proc/self/status", "/sys/kernel/notes"])
def test_a_file_that_the_kernel_makes_up_is_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "link.pt").symlink_to(path)
    for each in (path, str(tmp_path / "link.pt")):
        assert fingerprint_of(each) is None
        assert look_at(each) is None
        with pytest.raises(OSError, match=r"not a regular file|No such file|Permission denied"):
            open_for_reading(each)


async def test_very_many_files_are_looked_at_as_each_is(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent
    (folder / "link.pt").symlink_to(model)
    (folder / "loop").symlink_to("loop")
    names = ("a.safetensors", "link.pt", "none.pt", "none/a.pt", "none/b.pt", "loop/a.pt", "a.safetensors/b.pt", "")
    paths = [f"{folder}/{name}" for name in names] + ["/", "/none.pt", "a.pt", "\0/a.pt", f"/{'x' * 300}/a.pt"]
    expected = fingerprints_of(paths)
    assert set(expected) == {str(model), str(folder / "link.pt")}
    asked: list[str] = []

    def note(path: str) -> Fingerprint | None:
        asked.append(path)
        return fingerprint_of(path)

    monkeypatch.setattr(files, "fingerprint_of", note)
    assert await DiskLooks().files(paths) == expected
    assert f"{folder}/none/a.pt" not in asked


def test_a_file_of_a_root_that_is_a_link_into_another_root_is_led_to(tmp_path: Path) -> None:
    drive, home, other = (Root(str(tmp_path / name)) for name in ("drive", "home", "other"))
    (tmp_path / "drive" / "loras").mkdir(parents=True)
    (tmp_path / "home").symlink_to("drive/loras")
    (tmp_path / "other").symlink_to("drive")
    paths = ("drive/loras/a.pt", "home/a.pt", "other/loras/a.pt")
    assert [leads_through_link(str(tmp_path / path), [drive, home, other]) for path in paths] == [False, True, True]
    assert not leads_through_link(f"{home.path}/a.pt", [home]), "nobody watches it by another name"
