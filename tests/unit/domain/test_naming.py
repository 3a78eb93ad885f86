"""What a path alone tells, and paths that come from another machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.naming import (
    PathMap,
    Root,
    is_hidden_below,
    is_model_file,
    is_name_from_path,
    is_temporary,
    is_type_from_path,
    is_windows_path,
    root_of,
    suggested_name,
    suggested_type,
)

EXTENSIONS = (".safetensors", ".ckpt", ".pt")
NOT_UTF8 = "/m/loras/caf\udce9.safetensors"
PARTS = st.text(st.characters(exclude_characters="/\\\0:", exclude_categories=["Cs"]), min_size=1).filter(
    lambda part: part not in (".", "..")
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


class TestTemporaryNames:
    @pytest.mark.parametrize(
        "suffix", [".part", ".partial", ".crdownload", ".download", ".tmp", ".aria2", ".!qB", ".opdownload", ".PART"]
    )
    def test_a_name_that_a_download_program_gives_waits_for_its_rename(self, suffix: str) -> None:
        assert is_temporary(f"model.safetensors{suffix}")
        assert not is_model_file(f"model.safetensors{suffix}", (*EXTENSIONS, suffix.lower()))

    @pytest.mark.parametrize("name", [".model.safetensors", ".safetensors", ".tmpAbC.safetensors"])
    def test_a_dot_file_is_no_model(self, name: str) -> None:
        assert is_temporary(name)
        assert not is_model_file(name, EXTENSIONS)

    @pytest.mark.parametrize(
        "name", ["model.safetensors", "MODEL.SAFETENSORS", "a.part.ckpt", "x.pt", "caf\udce9.pt"]
    )
    def test_a_final_name_is_that_of_a_model(self, name: str) -> None:
        assert is_model_file(name, EXTENSIONS)

    @pytest.mark.parametrize("name", ["model.png", "model", "safetensors", "model.ptx", "", "model.safetensors.txt"])
    def test_other_names_are_not(self, name: str) -> None:
        assert not is_model_file(name, EXTENSIONS)


class TestRoots:
    @pytest.mark.parametrize("path", ["/m", "/m/a", "/m/a/b.pt", NOT_UTF8])
    def test_a_root_contains_itself_and_what_lies_below(self, path: str) -> None:
        assert Root("/m").contains(path)

    @pytest.mark.parametrize("path", ["/", "/mm/a", "/m-old/a.pt", "/M/a.pt", "m/a.pt", "/x/m/a.pt"])
    def test_a_root_does_not_contain_what_only_looks_alike(self, path: str) -> None:
        assert not Root("/m").contains(path)

    def test_the_whole_file_system_may_be_a_root(self) -> None:
        assert Root("/").contains("/m/a.pt")
        assert suggested_type("/loras/a.pt", Root("/")) == "loras"

    def test_the_innermost_root_counts(self) -> None:
        outer, inner = Root("/m"), Root("/m/loras", type="lora")
        assert root_of("/m/loras/a.pt", [outer, inner]) is inner
        assert root_of("/m/loras/a.pt", [inner, outer]) is inner
        assert root_of("/m/vae/a.pt", [outer, inner]) is outer
        assert root_of("/other/a.pt", [outer, inner]) is None

    @pytest.mark.parametrize(
        ("path", "root", "expected"),
        [
            ("/m/loras/style/a.pt", Root("/m"), "loras"),
            ("/m/a.pt", Root("/m"), ""),
            ("/m/loras/a.pt", Root("/m", type="mixed"), "mixed"),
            ("/m/loras/a.pt", None, ""),
            (NOT_UTF8, Root("/m"), "loras"),
        ],
    )
    def test_the_type_is_the_roots_own_or_the_first_folder_below_it(
        self, path: str, root: Root | None, expected: str
    ) -> None:
        assert suggested_type(path, root) == expected

    @pytest.mark.parametrize(
        ("path", "hidden"),
        [
            ("/m/.cache/a.pt", True),
            ("/m/loras/.git/x/a.pt", True),
            ("/m/loras/a.pt", False),
            ("/m/loras/.a.pt", False),
            ("/m/a.b/a.pt", False),
        ],
    )
    def test_a_folder_that_begins_with_a_dot_hides_what_is_in_it(self, path: str, hidden: bool) -> None:
        assert is_hidden_below(path, "/m") is hidden

    def test_a_root_inside_a_hidden_folder_hides_nothing(self) -> None:
        assert not is_hidden_below("/home/me/.models/loras/a.pt", "/home/me/.models")


class TestNamesThatRepeatThePath:
    def test_a_nameless_model_is_called_like_its_file(self) -> None:
        assert suggested_name("/m/loras/a b.safetensors") == "a b.safetensors"
        assert suggested_name(NOT_UTF8) == "caf\udce9.safetensors"

    @pytest.mark.parametrize("name", ["b.v2.safetensors", "b.v2"])
    def test_the_files_name_with_or_without_its_ending_says_no_more_than_the_path(self, name: str) -> None:
        assert is_name_from_path(name, ["/m/a.pt", "/m/b.v2.safetensors"])

    @pytest.mark.parametrize("name", ["b", "B.v2", "m", "", "b.v2.safetensor"])
    def test_any_other_name_says_more(self, name: str) -> None:
        assert not is_name_from_path(name, ["/m/a.pt", "/m/b.v2.safetensors"])

    def test_any_folder_of_the_path_may_be_the_type(self) -> None:
        assert is_type_from_path("loras", ["/x/a.pt", "/m/loras/style/a.pt"])
        assert is_type_from_path("style", ["/m/loras/style/a.pt"])
        assert not is_type_from_path("a.pt", ["/m/loras/a.pt"])
        assert not is_type_from_path("lora", ["/m/loras/a.pt"])


class TestPathMap:
    @pytest.mark.parametrize(
        ("pairs", "path", "expected"),
        [
            ((("/srv/models", "/mnt/models"),), "/srv/models/loras/a.pt", "/mnt/models/loras/a.pt"),
            ((("/srv/models/", "/mnt/models/"),), "/srv/models/loras/a.pt", "/mnt/models/loras/a.pt"),
            ((("/srv/models", "/mnt"),), "/srv/models-old/a.pt", "/srv/models-old/a.pt"),
            ((("/srv/models", "/mnt"),), "/srv/models", "/mnt"),
            ((("/srv/models", "/"),), "/srv/models/a.pt", "/a.pt"),
            ((("/", "/mnt"),), "/srv/a.pt", "/mnt/srv/a.pt"),
            ((("/srv", "/a"), ("/srv/models", "/b")), "/srv/models/x.pt", "/b/x.pt"),
            ((("/srv/models", "/b"), ("/srv", "/a")), "/srv/models/x.pt", "/b/x.pt"),
            ((("/srv/models", "/b"), ("/srv", "/a")), "/srv/other/x.pt", "/a/other/x.pt"),
            ((("/Srv", "/a"),), "/srv/x.pt", "/srv/x.pt"),
            ((("/m", "/mnt"),), NOT_UTF8, "/mnt/loras/caf\udce9.safetensors"),
            ((("/m/caf\udce9", "/mnt"),), "/m/caf\udce9/a.pt", "/mnt/a.pt"),
            ((), "/srv/a.pt", "/srv/a.pt"),
        ],
    )
    def test_a_prefix_is_rewritten_at_a_folder_boundary_and_the_longest_wins(
        self, pairs: tuple[tuple[str, str], ...], path: str, expected: str
    ) -> None:
        assert PathMap(pairs).apply(path) == expected

    @pytest.mark.parametrize(
        ("prefix", "path"),
        [
            ("D:\\models", "D:\\models\\loras\\a.pt"),
            ("d:\\MODELS", "D:\\Models\\loras\\a.pt"),
            ("D:/models", "D:\\models\\loras\\a.pt"),
            ("D:\\models\\", "D:/models/loras/a.pt"),
            ("D:\\", "D:\\loras\\a.pt"),
            ("D:", "D:\\loras\\a.pt"),
            ("\\\\nas\\share", "\\\\NAS\\share\\loras\\a.pt"),
            ("\\\\nas\\share\\models", "\\\\nas\\share\\models/loras/a.pt"),
        ],
    )
    def test_a_windows_prefix_matches_whatever_its_case_and_slashes(self, prefix: str, path: str) -> None:
        assert PathMap(((prefix, "/mnt/models"),)).apply(path) == "/mnt/models/loras/a.pt"

    @pytest.mark.parametrize("path", ["D:\\models-old\\a.pt", "E:\\models\\a.pt", "/models/a.pt", "models\\a.pt"])
    def test_a_windows_prefix_leaves_other_paths_alone(self, path: str) -> None:
        assert PathMap((("D:\\models", "/mnt"),)).apply(path) == path

    def test_the_case_of_what_follows_the_prefix_is_kept(self) -> None:
        assert PathMap((("d:\\m", "/mnt"),)).apply("D:\\M\\LoRAs\\A.pt") == "/mnt/LoRAs/A.pt"

    @pytest.mark.parametrize(
        ("path", "windows"),
        [
            ("C:\\a", True),
            ("c:/a", True),
            ("\\\\nas\\share\\a", True),
            ("/mnt/c/a", False),
            ("a/b", False),
            ("", False),
        ],
    )
    def test_windows_paths_are_told_by_their_drive_or_share(self, path: str, windows: bool) -> None:
        assert is_windows_path(path) is windows

    @given(PATHS, PATHS, PARTS)
    def test_what_lay_below_the_old_prefix_lies_below_the_new_one(self, old: str, new: str, name: str) -> None:
        assert PathMap(((old, new),)).apply(f"{old}/{name}") == f"{new}/{name}"

    @given(PATHS, PATHS, PARTS)
    def test_a_path_that_only_looks_alike_is_left_alone(self, old: str, new: str, name: str) -> None:
        assert PathMap(((old, new),)).apply(f"{old}{name}/x") == f"{old}{name}/x"
