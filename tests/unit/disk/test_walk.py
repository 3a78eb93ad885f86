"""Walks through real folders: loops end, what is hidden stays hidden, what cannot be read is named."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fakes import NOT_UTF8, without_rights

from modelkeep.disk import walk as scan
from modelkeep.disk.statx import see
from modelkeep.disk.walk import Listing, walk

EXTENSIONS = (".safetensors", ".pt")


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def files_of(root: Path, listing: Listing) -> list[str]:
    return sorted(os.path.relpath(path, root) for path in listing.files)


def folders_of(root: Path, listing: Listing) -> list[str]:
    return sorted(os.path.relpath(path, root) for path in listing.folders)


def walked(root: Path, extensions: Sequence[str] = EXTENSIONS) -> Listing:
    return walk(str(root), extensions)


def test_model_files_of_every_depth_are_listed_with_their_fingerprints(tmp_path: Path) -> None:
    put(tmp_path, "a.pt", "loras/B.SAFETENSORS", "loras/x/y/z/c.pt", f"loras/{NOT_UTF8}")
    listing = walked(tmp_path)
    assert files_of(tmp_path, listing) == sorted(
        ["a.pt", "loras/B.SAFETENSORS", "loras/x/y/z/c.pt", f"loras/{NOT_UTF8}"]
    )
    path = tmp_path / "loras/x/y/z/c.pt"
    assert listing.files[str(path)] == see(str(path)).fingerprint
    assert listing.unreadable == []


def test_folders_are_listed_the_first_one_included(tmp_path: Path) -> None:
    put(tmp_path, "loras/x/a.pt")
    (tmp_path / "empty").mkdir()
    assert folders_of(tmp_path, walked(tmp_path)) == [".", "empty", "loras", "loras/x"]


def test_other_files_and_unfinished_ones_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a.pt.part", "a.pt.aria2", ".a.pt", "a.safetensors.crdownload", "readme", "a.json")
    assert walked(tmp_path).files == {}


def test_an_empty_file_is_listed_for_the_decision_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.pt").touch()
    assert files_of(tmp_path, walked(tmp_path)) == ["a.pt"]


def test_hidden_folders_are_left_out_but_the_first_may_be_one(tmp_path: Path) -> None:
    root = tmp_path / ".models"
    put(root, "a.pt", ".cache/b.pt", "loras/.git/c.pt", ".Trash-1000/files/d.pt")
    listing = walked(root)
    assert files_of(root, listing) == ["a.pt"]
    assert folders_of(root, listing) == [".", "loras"]


def test_a_folder_that_is_named_like_a_model_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "model.safetensors/a.pt")
    assert files_of(tmp_path, walked(tmp_path)) == ["model.safetensors/a.pt"]


def test_pipes_and_dangling_links_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.pt")
    (tmp_path / "dangling.pt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    (tmp_path / "dangling folder").symlink_to(tmp_path / "nowhere")
    listing = walked(tmp_path)
    assert (listing.files, listing.unreadable) == ({}, [])


def test_a_link_to_a_file_is_a_file_with_the_fingerprint_behind_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(tmp_path, "elsewhere/blob", "root/a.pt")
    (root / "linked.pt").symlink_to(tmp_path / "elsewhere/blob")
    os.link(root / "a.pt", root / "hard.pt")
    listing = walked(root)
    assert files_of(root, listing) == ["a.pt", "hard.pt", "linked.pt"]
    assert listing.files[str(root / "linked.pt")] == see(str(tmp_path / "elsewhere/blob")).fingerprint
    assert listing.files[str(root / "hard.pt")] == listing.files[str(root / "a.pt")]


def test_it_is_remembered_in_which_folders_lies_what_links_out_of_the_root_lead_to(tmp_path: Path) -> None:
    root, media = tmp_path / "root", tmp_path / "media"
    put(tmp_path, "media/here/a.pt", "root/blobs/b.pt")
    (tmp_path / "also media").symlink_to(media)
    links: dict[str, str | Path] = {
        "a.pt": media / "here/a.pt",
        "b.pt": "blobs/b.pt",
        "away": tmp_path / "also media/drive/models",
        "away.pt": media / "stick/c.pt",
        "folder": media / "here",
        "itself": "itself",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    below = {media, media / "here", media / "drive", media / "drive/models", media / "stick", media / "stick/c.pt"}
    assert walked(root).around_linked == {str(path) for path in {*below, tmp_path, *tmp_path.parents}}


def test_links_to_folders_are_followed_and_a_loop_of_them_ends(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(tmp_path, "outside/b.pt", "root/loras/a.pt")
    (root / "outside").symlink_to(tmp_path / "outside")
    (root / "loras" / "up").symlink_to(root)
    (root / "loras" / "self").symlink_to(root / "loras")
    (tmp_path / "outside" / "back").symlink_to(root)
    assert files_of(root, walked(root)) == ["loras/a.pt", "outside/b.pt"]


@pytest.mark.parametrize("link", ["a link", "z link"])
def test_a_folder_is_listed_at_its_own_place_whatever_links_lead_to_it(tmp_path: Path, link: str) -> None:
    put(tmp_path, "m/deep/a.pt")
    (tmp_path / link).symlink_to("m")
    (tmp_path / "m" / "deep" / link).symlink_to(tmp_path / "m")
    assert files_of(tmp_path, walked(tmp_path)) == ["m/deep/a.pt"]
    assert folders_of(tmp_path, walked(tmp_path)) == [".", "m", "m/deep"]


def test_a_folder_outside_to_which_several_links_lead_is_listed_under_the_first_of_them(tmp_path: Path) -> None:
    put(tmp_path, "outside/a.pt")
    for name in ("m", "z", "a", "b"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "link").symlink_to(tmp_path / "outside")
    assert files_of(tmp_path / "root", walked(tmp_path / "root")) == ["a/link/a.pt"]


def test_a_part_of_a_root_is_listed_as_in_the_listing_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "beside/a.pt", ".hidden/b.pt", "part/c.pt", "part/deep/d.pt")
    put(tmp_path, "outside/e.pt", "outside/f/f.pt")
    targets = {"up": root, "to beside": root / "beside", "to hidden": root / ".hidden", "out": tmp_path / "outside"}
    for name, target in targets.items():
        (root / "part" / "deep" / name).symlink_to(target)
    for name, target in {"back": root, "self": tmp_path / "outside", "to part": root / "part"}.items():
        (tmp_path / "outside" / "f" / name).symlink_to(target)
    whole = walked(root)
    deep = ["d.pt", "out/e.pt", "out/f/f.pt", "to hidden/b.pt"]
    assert files_of(root, whole) == ["beside/a.pt", "part/c.pt", *(f"part/deep/{name}" for name in deep)]
    for part in ("part", "part/deep", "part/deep/out", "part/deep/out/f", "part/deep/to hidden"):
        listing = walk(str(root / part), EXTENSIONS, str(root))
        below = f"{root / part}/"
        assert listing.files == {path: status for path, status in whole.files.items() if path.startswith(below)}
        assert sorted(listing.folders) == sorted(f for f in whole.folders if f"{f}/".startswith(below))


def test_a_root_that_is_a_link_is_walked_under_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "real/loras/a.pt")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert list(walked(tmp_path / "root").files) == [str(tmp_path / "root" / "loras" / "a.pt")]


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_walked(open_folder: Path) -> None:
    put(open_folder, "closed/a.pt", "open/b.pt")
    (open_folder / "open").chmod(0o755)
    (open_folder / "closed").chmod(0)
    with without_rights():
        listing = walked(open_folder)
    (open_folder / "closed").chmod(0o755)
    assert files_of(open_folder, listing) == ["open/b.pt"]
    assert listing.unreadable == [(str(open_folder / "closed"), "Permission denied")]
    assert str(open_folder / "closed") not in listing.folders


@pytest.mark.parametrize("name", ["nowhere", "a.pt", "a.pt/b"])
def test_a_folder_that_is_none_any_more_is_no_unreadable_one(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.pt")
    listing = walked(tmp_path / name)
    assert (listing.files, listing.folders) == ({}, [])
    assert (listing.gone, listing.unreadable) == ([str(tmp_path / name)], [])


def test_a_tree_of_three_hundred_levels_is_walked(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.pt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    assert files_of(tmp_path, walked(tmp_path)) == ["d/" * 300 + "a.pt"]
    shutil.rmtree(tmp_path / "d")


def test_any_extension_may_be_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.pt", "b.onnx")
    assert files_of(tmp_path, walked(tmp_path, [".onnx"])) == ["b.onnx"]


def test_what_the_kernel_makes_up_is_not_followed_and_named_with_the_reason(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "a.pt")
    put(tmp_path, "beside/b.pt")
    targets = {"proc": "/proc", "root": "/proc/self/root", "all": "/", "up": "..", "file.pt": "/proc/version"}
    for name, target in {**targets, "beside": "../beside"}.items():
        (root / name).symlink_to(target)
    listing = walked(root)
    assert files_of(root, listing) == ["a.pt", "beside/b.pt"]
    assert [Path(path).name for path, _ in listing.not_followed] == sorted(targets)
    reasons = {Path(path).name: reason for path, reason in listing.not_followed}
    assert reasons["up"] == f"it leads to {tmp_path}, in which the root itself lies"
    assert "proc" in reasons["file.pt"]


@pytest.mark.parametrize(("limit", "listed"), [("LINKED_FOLDERS_MAX", 3), ("LINKED_LEVELS_MAX", 3)])
def test_links_out_of_a_root_are_not_followed_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, listed: int
) -> None:
    """What lies beyond is not taken for missing: its folder counts as one that cannot be read."""
    put(tmp_path, "root/own/deep/enough/to/be/beyond/a.pt", "outside/1/2/3/4/5/b.pt", "outside/c.pt")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    monkeypatch.setattr(scan, limit, listed)
    listing = walked(tmp_path / "root")
    assert files_of(tmp_path / "root", listing) == ["link/c.pt", "own/deep/enough/to/be/beyond/a.pt"]
    ((cut_off, reason),) = listing.unreadable
    assert cut_off == str(tmp_path / "root/link/1/2/3")
    assert "behind" in reason
