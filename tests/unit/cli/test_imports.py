import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from modelkeep.cli.exits import WrongUse
from modelkeep.cli.imports import path_pairs
from modelkeep.importers.registry import IMPORTERS

Cli = Callable[..., Result]
MakeLegacy = Callable[[Path, list[str]], Path]


def report(**changes: Any) -> dict[str, Any]:
    counts = {"rows": 3, "migrated": 1, "pending": 1, "updated": 0, "unchanged": 0, "images_processed": 0}
    lists: dict[str, Any] = {"refusals": [], "image_errors": [], "remarks": []}
    return {"kind": "hikaze", "source": "/old.db", "dry_run": False, **counts, **lists, **changes}


def entry(key: object, reason: str = "because") -> dict[str, str]:
    return {"key": str(key), "path": f"/m/{key}[red]\x1b.ckpt", "reason": reason}


@pytest.fixture
def legacy(tmp_path: Path, make_legacy: MakeLegacy) -> Path:
    """A legacy database with a row whose file is at its path and one whose file is not."""
    (tmp_path / "here.ckpt").write_bytes(b"x")
    return make_legacy(tmp_path / "old" / "hikaze_mm.sqlite3", [str(tmp_path / "here.ckpt"), "/gone/b.ckpt"])


def stream(daemon: Any, **changes: Any) -> None:
    progress = {"progress": {"phase": "reading", "done": 0, "total": 0}}
    daemon.answer("POST", "/api/import", [progress, {"report": report(**changes)}])


def test_an_import_goes_through_the_daemon_with_absolute_paths(
    cli: Cli, daemon: Any, legacy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream(daemon)

    result = cli("import", "hikaze", "old", "--images", "old/images", "--map", "D:\\x=new", "--dry-run")

    assert result.exit_code == 0, result.output
    assert daemon.asked == [
        (
            "POST",
            "/api/import",
            {
                "kind": "hikaze",
                "source": str(tmp_path / "old"),
                "images": str(tmp_path / "old" / "images"),
                "map": [["D:\\x", str(tmp_path / "new")]],
                "dry_run": True,
            },
        )
    ]


def test_the_report_names_what_was_refused_and_why(cli: Cli, daemon: Any, legacy: Path) -> None:
    stream(daemon, refusals=[entry(7, "a directory")], image_errors=[entry(8, "no image")], remarks=[entry(9, "odd")])

    result = cli("import", "hikaze", str(legacy))
    stdout = result.stdout

    assert result.exit_code == 0
    assert "Imported from /old.db: 3 rows" in stdout
    assert "7    /m/7[red]\\x1b.ckpt  a directory" in stdout
    assert "no image" in stdout
    assert "odd" in stdout


def test_a_dry_run_says_would(cli: Cli, daemon: Any, legacy: Path) -> None:
    stream(daemon, dry_run=True)

    assert "Would import from" in cli("import", "hikaze", str(legacy), "--dry-run").stdout


def test_long_lists_are_cut_for_people_and_whole_as_json(cli: Cli, daemon: Any, legacy: Path) -> None:
    stream(daemon, remarks=[entry(number, "odd") for number in range(120)])

    stdout = cli("import", "hikaze", str(legacy)).stdout

    assert stdout.count("odd") == 50
    assert "and 70 more; --json shows all" in stdout
    assert len(json.loads(cli("import", "hikaze", str(legacy), "--json").stdout)["remarks"]) == 120


def test_a_long_path_neither_widens_the_report_nor_hides_its_end(cli: Cli, daemon: Any, legacy: Path) -> None:
    path = f"/m/{'folder/' * 60}the end.ckpt"
    stream(daemon, remarks=[{"key": "k" * 5000, "path": path, "reason": f"its image {path} is not there"}])

    stdout = cli("import", "hikaze", str(legacy)).stdout

    assert max(map(len, stdout.splitlines())) <= 120
    assert "…/folder/the end.ckpt" in stdout
    assert path in cli("import", "hikaze", str(legacy), "--json").stdout


@pytest.mark.parametrize(
    "values", [[{"progress": {"phase": "reading", "done": 0, "total": 0}}, {"error": "broken"}], []]
)
def test_an_import_that_breaks_off_is_no_success(cli: Cli, daemon: Any, legacy: Path, values: list[Any]) -> None:
    daemon.answer("POST", "/api/import", values)

    result = cli("import", "hikaze", str(legacy), "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert ("broken" if values else "without a report") in result.stderr


def test_a_source_that_cannot_be_read_exits_with_one(cli: Cli, daemon: Any, legacy: Path) -> None:
    daemon.answer("POST", "/api/import", {"error": "it is no database"}, 400)

    result = cli("import", "hikaze", str(legacy))

    assert (result.exit_code, result.stderr) == (1, "modelkeep: it is no database\n")


def test_help_says_of_every_kind_what_is_taken_and_where_people_have_it(cli: Cli) -> None:
    told = " ".join(cli("import", "--help").stdout.split())
    for kind, importer in IMPORTERS.items():
        assert f"{kind} {importer.description}" in told
        assert "SOURCE" in importer.description


def test_an_unknown_kind_lists_the_kinds(cli: Cli, daemon: Any) -> None:
    result = cli("import", "odd", "x")

    assert result.exit_code == 2
    assert "the kinds are: archive, civitai-helper, comfyui, hikaze" in result.stderr
    assert daemon.asked == []


@pytest.mark.parametrize("text", ["/srv/models", "=/x", "/x=", "="])
def test_a_map_without_both_sides_is_wrong_use(cli: Cli, daemon: Any, legacy: Path, text: str) -> None:
    result = cli("import", "hikaze", str(legacy), "--map", text)

    assert result.exit_code == 2
    assert f"--map {text}: write OLD=NEW" in result.stderr
    assert daemon.asked == []


def test_only_the_first_equals_sign_divides_a_map() -> None:
    assert path_pairs(["/a=/b=c"]) == (("/a", "/b=c"),)
    with pytest.raises(WrongUse):
        path_pairs(["/a=/b", "nothing"])


def test_without_a_daemon_the_files_are_written_and_what_comes_next_is_told(cli: Cli, legacy: Path) -> None:
    result = cli("import", "hikaze", str(legacy))

    assert result.exit_code == 0, result.output
    assert "2 rows will be hashed by: " in result.stdout
    assert "--map" not in result.stdout
    assert [row["path"] for row in json.loads(cli("pending", "list", "--json").stdout)][1] == "/gone/b.ckpt"


def test_a_second_import_without_a_daemon_takes_nothing_twice(cli: Cli, legacy: Path) -> None:
    cli("import", "hikaze", str(legacy))

    again = json.loads(cli("import", "hikaze", str(legacy), "--json").stdout)

    assert (again["pending"], again["unchanged"]) == (0, 2)


@pytest.mark.parametrize("old", ["/other/machine/models", "D:\\models"])
def test_where_no_file_is_at_its_path_the_mapping_that_finds_them_is_suggested(
    cli: Cli, make_legacy: MakeLegacy, tmp_path: Path, old: str
) -> None:
    separator = "\\" if "\\" in old else "/"
    (tmp_path / "models" / "loras").mkdir(parents=True)
    (tmp_path / "models" / "loras" / "a.ckpt").write_bytes(b"x")
    legacy = make_legacy(tmp_path / "old.sqlite3", [separator.join([old, "loras", "a.ckpt"])])

    result = cli("import", "hikaze", str(legacy), "--dry-run")

    assert result.exit_code == 0, result.output
    expected = f"{old}={tmp_path / 'models'}"
    assert result.stdout.rstrip().endswith((f"--map {expected}", f"--map '{expected}'"))


def test_a_sidecar_that_was_refused_lies_where_it_lies(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "beside"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"x")
    (folder / "a.metadata.json").write_text("{")

    result = cli("import", "sidecars", str(folder))

    assert "refused  1" in result.stdout
    assert "--map" not in result.stdout


def test_where_the_files_are_nowhere_the_old_folder_is_named(
    cli: Cli, make_legacy: MakeLegacy, tmp_path: Path
) -> None:
    legacy = make_legacy(tmp_path / "old.sqlite3", ["/other/models/a/x.ckpt", "/other/models/b/y.ckpt"])

    result = cli("import", "hikaze", str(legacy), "--dry-run")

    assert "--map /other/models=/where/they/are/now" in result.stdout


def test_a_source_that_is_not_there_exits_with_one_without_a_daemon(cli: Cli, tmp_path: Path) -> None:
    result = cli("import", "hikaze", str(tmp_path / "gone.sqlite3"))

    assert (result.exit_code, result.stdout) == (1, "")
    assert str(tmp_path / "gone.sqlite3") in result.stderr


def test_the_source_is_never_written(cli: Cli, legacy: Path) -> None:
    copy = legacy.with_name("copy")
    shutil.copy(legacy, copy)
    before = sorted(path.name for path in legacy.parent.iterdir())

    cli("import", "hikaze", str(legacy))

    assert legacy.read_bytes() == copy.read_bytes()
    assert sorted(path.name for path in legacy.parent.iterdir()) == before
