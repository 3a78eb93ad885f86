import os
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from modelkeep.cli.app import app

MakeLegacy = Callable[[Path, list[str]], Path]


def dev(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dev", *arguments])


def shadows(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_legacy_row_gets_an_empty_shadow_in_its_folder(tmp_path: Path, make_legacy: MakeLegacy) -> None:
    legacy = make_legacy(tmp_path / "old.sqlite3", ["/srv/models/loras/a.ckpt", "/srv/models/vae/deep/b.ckpt"])

    result = dev("shadow", str(legacy), str(tmp_path / "out"))

    assert result.exit_code == 0, result.output
    assert result.stdout == f"2 shadow files made in {tmp_path / 'out'}\n"
    assert shadows(tmp_path / "out") == ["loras/shadow_a.ckpt", "vae/deep/shadow_b.ckpt"]
    assert (tmp_path / "out" / "loras" / "shadow_a.ckpt").stat().st_size == 0


def test_salted_shadows_differ_and_a_second_run_keeps_them(tmp_path: Path, make_legacy: MakeLegacy) -> None:
    legacy = make_legacy(tmp_path / "old.sqlite3", ["/srv/a.ckpt", "/srv/b.ckpt"])
    out = tmp_path / "out"

    dev("shadow", str(legacy), str(out), "--salt")
    contents = {name: (out / name).read_bytes() for name in shadows(out)}
    again = dev("shadow", str(legacy), str(out), "--salt")

    assert len(set(contents.values())) == 2
    assert {name: (out / name).read_bytes() for name in shadows(out)} == contents
    assert "0 shadow files made" in again.stdout
    assert "2 were there already" in again.stdout


def test_rows_that_only_a_mapping_could_import_get_shadows_too(tmp_path: Path, make_legacy: MakeLegacy) -> None:
    legacy = make_legacy(tmp_path / "old.sqlite3", ["D:\\models\\loras\\a.ckpt", "D:\\models\\vae\\b.ckpt"])

    assert dev("shadow", str(legacy), str(tmp_path / "out")).exit_code == 0
    assert shadows(tmp_path / "out") == ["loras/shadow_a.ckpt", "vae/shadow_b.ckpt"]


def test_a_source_that_is_none_is_named(tmp_path: Path) -> None:
    result = dev("shadow", str(tmp_path / "gone"), str(tmp_path / "out"))

    assert result.exit_code == 1
    assert str(tmp_path / "gone") in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_demo_tells_what_to_try_and_it_works(tmp_path: Path) -> None:
    result = dev("demo", str(tmp_path / "demo"))

    assert result.exit_code == 0, result.output
    commands = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert [command[-1] for command in commands][-1] == "run"
    for command in commands[:-1]:
        assert CliRunner().invoke(app, command).exit_code == 0, command


def test_a_demo_does_not_touch_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    result = dev("demo", str(tmp_path))

    assert result.exit_code == 1
    assert "modelkeep: " in result.stderr
    assert (tmp_path / "mine").read_text() == ""
    assert not os.path.lexists(tmp_path / "models")
