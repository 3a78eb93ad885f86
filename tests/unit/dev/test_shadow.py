"""Shadow files mirror the folders of a legacy database, and overwrite nothing."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.dev.shadow import make_shadows
from modelkeep.errors import ModelkeepError


def files(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def test_folders_are_mirrored_below_what_all_paths_share(tmp_path: Path) -> None:
    paths = ["/srv/models/loras/char/a.safetensors", "/srv/models/vae/b.pt", "/srv/models/vae/水彩 c.pt"]
    report = make_shadows(paths, tmp_path / "out")
    assert files(report.folder) == [
        "loras/char/shadow_a.safetensors",
        "vae/shadow_b.pt",
        "vae/shadow_水彩 c.pt",
    ]
    assert (report.made, report.kept, report.skipped) == (3, 0, ())
    assert all(path.stat().st_size == 0 for path in report.folder.rglob("shadow_*"))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/a/b/c.ckpt"], ["shadow_c.ckpt"]),
        (["/a/b/c.ckpt", "/a/b/d.ckpt"], ["shadow_c.ckpt", "shadow_d.ckpt"]),
        (["/a/b/c.ckpt", "/x/d.ckpt"], ["a/b/shadow_c.ckpt", "x/shadow_d.ckpt"]),
        (["/a/bc/c.ckpt", "/a/bd/d.ckpt"], ["bc/shadow_c.ckpt", "bd/shadow_d.ckpt"]),
        (["/a/c.ckpt", "/a/b/d.ckpt"], ["b/shadow_d.ckpt", "shadow_c.ckpt"]),
        (["D:\\m\\loras\\a.pt", "D:\\m\\vae\\b.pt"], ["loras/shadow_a.pt", "vae/shadow_b.pt"]),
        (["C:\\m\\a.pt", "D:/m/b.pt"], ["C/m/shadow_a.pt", "D/m/shadow_b.pt"]),
        (["\\\\nas\\m\\x\\a.pt", "/m/b.pt"], ["m/shadow_b.pt", "nas_m/x/shadow_a.pt"]),
        (["/a/../../../b/c.pt", "/d/e.pt"], ["b/shadow_c.pt", "d/shadow_e.pt"]),
        (["../../a.pt", "..\\b.pt"], ["shadow_..\\b.pt", "shadow_a.pt"]),
        ([], []),
    ],
)
def test_paths_of_every_kind_of_machine(tmp_path: Path, paths: list[str], expected: list[str]) -> None:
    make_shadows(paths, tmp_path / "out")
    assert files(tmp_path / "out") == expected


def test_salted_shadows_all_differ(tmp_path: Path) -> None:
    make_shadows([f"/m/{number}.pt" for number in range(20)], tmp_path, salt=True)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 20


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shadow_a.pt").write_bytes(b"mine")
    (tmp_path / "shadow_b.pt").symlink_to(tmp_path / "elsewhere")
    report = make_shadows(["/m/a.pt", "/m/b.pt", "/m/c.pt"], tmp_path, salt=True)
    assert (report.made, report.kept) == (1, 2)
    assert (tmp_path / "shadow_a.pt").read_bytes() == b"mine"
    assert not (tmp_path / "elsewhere").exists()


def test_a_path_that_cannot_have_a_shadow_is_skipped_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file where a folder would be")
    paths = ["/", "", "C:\\", "/m/" + "x" * 255, "/m/a\x00b", "/m/taken/a.pt", "/m/ok.pt"]
    report = make_shadows(paths, tmp_path)
    assert report.made == 1
    assert [path for path, _ in report.skipped] == paths[:-1]
    assert all(reason for _, reason in report.skipped)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelkeepError, match="out cannot be made: Not a directory"):
        make_shadows(["/m/a.pt"], tmp_path / "file" / "out")


def test_a_name_that_is_no_utf_8_keeps_its_bytes(tmp_path: Path) -> None:
    make_shadows([os.fsdecode(b"/m/caf\xe9.pt")], tmp_path)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b"shadow_caf\xe9.pt"]


@given(st.lists(st.text(st.sampled_from("ab./\\: ~\x00é"), max_size=12), max_size=6))
def test_nothing_is_ever_made_outside(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    top = tmp_path_factory.mktemp("top")
    out = top / "between" / "out"
    report = make_shadows(paths, out)
    assert all(path.is_relative_to(out) for path in top.rglob("*") if path.is_file())
    assert report.made + report.kept + len(report.skipped) == len(set(paths))
    assert all(path.name.startswith("shadow_") for path in out.rglob("*") if path.is_file())
