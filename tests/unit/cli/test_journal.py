import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import pytest
from typer.testing import Result

Cli = Callable[..., Result]
SHA = "ab" * 32


def sealed(record: dict[str, object]) -> bytes:
    """One line of the journal, made by the words of its format and not by the program's own writer."""
    body = json.dumps(record, separators=(",", ":"))[:-1].encode("ascii") + b","
    return body + b'"crc":"%08x"}\n' % crc32(body)


def record(seq: int, event: str, ts: str = "", **fields: object) -> dict[str, object]:
    return {"seq": seq, "ts": ts or f"2026-11-20T05:00:{seq % 60:02d}.000000Z", "event": event, **fields}


STORY = [
    record(1, "daemon.started", "2026-11-18T12:00:00.000000Z", version="0.1.0", pid=7),
    record(2, "file.detected", "2026-11-18T12:00:01.000000Z", path="/m/loras/a.ckpt", pending_id=3, cause="scan"),
    record(3, "file.detected", "2026-11-18T12:00:02.000000Z", path="/m/loras/other.ckpt", pending_id=4, cause="scan"),
    record(4, "hash.finished", path="/m/loras/a.ckpt", pending_id=3, sha256=SHA, bytes=5, seconds=0.1),
    record(5, "hash.failed", path="/m/loras/other.ckpt", pending_id=4, error="it cannot be read"),
    record(6, "migration.finished", path="/m/loras/a.ckpt", sha256=SHA, migration="m1", action="created"),
]


@pytest.fixture
def folder(config: Path) -> Path:
    made = config.parent / "data" / "journal"
    made.mkdir(parents=True)
    (made / "migration-1.jsonl").write_bytes(b"".join(map(sealed, STORY)))
    return made


def lines(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_is_one_record_a_line_as_in_the_file_without_its_crc(cli: Cli, folder: Path) -> None:
    assert lines(cli("journal", "--json")) == STORY


def test_people_read_one_line_a_record(cli: Cli, folder: Path) -> None:
    result = cli("journal")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(STORY)
    assert "other.ckpt: not hashed: it cannot be read" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--failed"], [5]),
        (["--event", "hash.*"], [4, 5]),
        (["--limit", "2"], [5, 6]),
        (["--since", "2026-11-20T05:00:05Z"], [5, 6]),
        (["--model", "a.ckpt"], [2, 4, 6]),
        (["--model", SHA[:8]], [2, 4, 6]),
        (["--model", "/m/x/../loras/a.ckpt"], [2, 4, 6]),
    ],
)
def test_records_can_be_chosen(cli: Cli, folder: Path, arguments: list[str], wanted: list[int]) -> None:
    assert [found["seq"] for found in lines(cli("journal", "--json", *arguments))] == wanted


def test_the_story_of_a_model_is_told_day_by_day(cli: Cli, folder: Path) -> None:
    result = cli("journal", "--model", "a.ckpt")

    days = [line for line in result.stdout.splitlines() if line.startswith(("Wednesday", "Friday"))]
    assert days == ["Wednesday, 2026-11-18", "Friday, 2026-11-20"]


def test_a_model_that_the_journal_does_not_know_exits_with_four(cli: Cli, folder: Path) -> None:
    result = cli("journal", "--model", "unheard-of")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "unheard-of" in result.stderr


def test_no_record_is_said_in_words_and_is_no_failure(cli: Cli, config: Path) -> None:
    assert "nothing has happened" in cli("journal").stdout
    assert cli("journal", "--json").stdout == ""
    assert not (config.parent / "data").exists()


def test_nothing_that_fits_is_said_in_words(cli: Cli, folder: Path) -> None:
    assert cli("journal", "--event", "nothing.*").stdout == "No record fits.\n"


@pytest.mark.parametrize("since", ["yesterday", "2x", "2026-99-99"])
def test_a_time_that_is_none_is_wrong_use(cli: Cli, folder: Path, since: str) -> None:
    result = cli("journal", "--since", since)

    assert (result.exit_code, result.stdout) == (2, "")
    assert since in result.stderr


def test_names_that_are_no_utf8_are_shown_and_kept(cli: Cli, folder: Path) -> None:
    name = os.fsdecode(b"/m/caf\xe9[red].ckpt")
    path = folder / "migration-1.jsonl"
    path.write_bytes(path.read_bytes() + sealed(record(7, "file.detected", path=name)))

    assert "caf\\xe9[red].ckpt" in cli("journal").stdout
    assert lines(cli("journal", "--json", "--limit", "1"))[0]["path"] == name


def program(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "modelkeep", "--config", str(config), *arguments]


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_follow_goes_on_with_what_is_written_later_until_it_is_interrupted(config: Path, folder: Path) -> None:
    with started(program(config, "journal", "--follow", "--json", "--event", "file.*")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [json.loads(process.stdout.readline())["seq"] for _ in range(2)] == [2, 3]
        with (folder / "migration-1.jsonl").open("ab") as file:
            file.write(
                sealed(record(7, "hash.finished")) + sealed(record(8, "file.moved", path="/m/b", old_path="/m/a"))
            )

        assert json.loads(process.stdout.readline())["seq"] == 8
        process.send_signal(2)
        assert process.wait(60) == 130
        assert process.stderr.read() == b""


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_has_enough_ends_it_quietly(config: Path, folder: Path, form: list[str]) -> None:
    many = [record(seq, "file.detected", path=f"/m/loras/{seq}-{'x' * 100}.ckpt") for seq in range(1, 20_000)]
    (folder / "migration-1.jsonl").write_bytes(b"".join(map(sealed, many)))

    with started(program(config, "journal", *form)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""
