"""Which file a caller means by a path."""

import pytest

from modelkeep.domain.naming import Root
from modelkeep.domain.requested import name_file, plain_path, require_model_name
from modelkeep.errors import NotAModel, OutsideRoots

ROOTS = {Root("/m"): "/srv/models", Root("/m/inner", "loras"): "/srv/models/inner", Root("/other"): "/other"}


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/m/a.ckpt", "/m/a.ckpt"),
        ("/m/sub/../a.ckpt", "/m/a.ckpt"),
        ("//m//./a.ckpt/", "/m/a.ckpt"),
        ("/../../m/a.ckpt", "/m/a.ckpt"),
        ("/", "/"),
    ],
)
def test_a_path_has_one_spelling(path: str, plain: str) -> None:
    assert plain_path(path) == plain


def test_a_relative_path_means_nothing_to_a_daemon() -> None:
    with pytest.raises(OutsideRoots):
        plain_path("m/a.ckpt")


@pytest.mark.parametrize(
    ("path", "target", "root", "leads_out"),
    [
        ("/m/a.ckpt", "/srv/models/a.ckpt", "/m", False),
        ("/m/inner/a.ckpt", "/srv/models/inner/a.ckpt", "/m/inner", False),
        ("/m/link.ckpt", "/other/b.ckpt", "/m", False),
        ("/m/link.ckpt", "/cache/blob", "/m", True),
        ("/m/link.ckpt", "/srv/models-of-others/x", "/m", True),
    ],
)
def test_a_file_below_a_root_keeps_its_name(path: str, target: str, root: str, leads_out: bool) -> None:
    named = name_file(path, target, ROOTS)
    assert (named.path, named.root.path, named.leads_out) == (path, root, leads_out)


@pytest.mark.parametrize(
    ("path", "target", "name"),
    [
        ("/srv/models/a.ckpt", "/srv/models/a.ckpt", "/m/a.ckpt"),
        ("/home/alias/inner/a.ckpt", "/srv/models/inner/a.ckpt", "/m/inner/a.ckpt"),
    ],
)
def test_another_name_of_a_file_in_a_root_becomes_the_one_below_the_root(path: str, target: str, name: str) -> None:
    named = name_file(path, target, ROOTS)
    assert (named.path, named.leads_out) == (name, False)


def test_the_root_of_the_file_system_may_be_a_root() -> None:
    assert name_file("/a/b.ckpt", "/a/b.ckpt", {Root("/"): "/"}).path == "/a/b.ckpt"
    assert name_file("/a/b.ckpt", "/x/b.ckpt", {Root("/all"): "/"}).path == "/all/x/b.ckpt"


@pytest.mark.parametrize("path", ["/etc/passwd", "/models", "/mm/a.ckpt"])
def test_a_path_outside_is_refused(path: str) -> None:
    with pytest.raises(OutsideRoots):
        name_file(path, path, ROOTS)


@pytest.mark.parametrize("name", ["notes.txt", "a.ckpt.part", ".a.ckpt", ".cache/a.ckpt", "", "ckpt"])
def test_what_no_scan_finds_is_no_model(name: str) -> None:
    named = name_file(f"/m/{name}".rstrip("/"), f"/srv/models/{name}", ROOTS)
    with pytest.raises(NotAModel):
        require_model_name(named, (".ckpt",))
    require_model_name(name_file("/m/sub/A.CKPT", "/srv/models/sub/A.CKPT", ROOTS), (".ckpt",))
