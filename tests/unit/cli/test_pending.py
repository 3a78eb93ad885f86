import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from modelkeep.api import shapes
from modelkeep.cli.pending_view import both_sides
from modelkeep.domain.details import ModelDetails, PendingDetails
from modelkeep.domain.values import Location, LocationState, Model, PendingImport, PendingState, Tag

Cli = Callable[..., Result]
SHA = "ab" * 32

PENDING = PendingImport(
    7,
    "/m/loras/new [i]name.ckpt",
    name="New",
    type="loras",
    size_bytes=1_500_000,
    created_at=1_795_168_800_000,
    meta={"description": "same", "prompts": {"positive": "a dog", "negative": "blur"}},
    source="hikaze",
    state=PendingState.CONFLICT,
    last_error="the name differs",
    image="7.png",
    tags=(Tag(1, "anime"),),
)
MODEL = Model(
    SHA, "/m/loras/old.ckpt", name="Old", type="loras", meta={"description": "same", "prompts": {"positive": "a cat"}}
)
EXISTING = ModelDetails(MODEL, locations=(Location("/m/loras/old.ckpt", SHA, LocationState.PRESENT),))
CONFLICT = PendingDetails(PENDING, EXISTING, ("name", "prompts.positive"))


def test_the_queue_is_listed_with_what_stands_in_the_way(cli: Cli, daemon: Any) -> None:
    nameless = PendingImport(8, "/m/loras/b.ckpt")
    daemon.answer("GET", "/api/pending", {"pending": [shapes.queue_row(PENDING), shapes.queue_row(nameless)]})

    result = cli("pending", "list", "--state", "conflict")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(
        line.split() == ["7", "conflict", "New", "loras", "1.5", "MB", "the", "name", "differs"] for line in lines
    )
    assert any(line.split() == ["8", "waiting", "b.ckpt"] for line in lines)
    assert daemon.asked == [("GET", "/api/pending", {"limit": "101", "offset": "0", "state": "conflict"})]


def test_one_long_name_does_not_make_every_line_long(cli: Cli, daemon: Any) -> None:
    reason = f"there is no file at /{'models/' * 500}age.pt"
    long = PendingImport(8, "/m/b.ckpt", name="x" * 5000, type="y" * 5000, last_error=reason)
    daemon.answer("GET", "/api/pending", {"pending": [shapes.queue_row(PENDING), shapes.queue_row(long)]})

    listed = cli("pending", "list").stdout
    assert max(map(len, listed.splitlines())) < 280
    assert "/age.pt" in listed  # the end of a reason tells which file it is about
    assert "x" * 5000 in cli("pending", "list", "--json").stdout


def test_the_queue_as_json_is_complete(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/pending", {"pending": [shapes.queue_row(PENDING)]})

    assert json.loads(cli("pending", "list", "--json").stdout) == [shapes.queue_row(PENDING)]


def test_an_empty_queue_is_said_in_words(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/pending", {"pending": []})

    assert cli("pending", "list").stdout == "The queue is empty.\n"
    assert cli("pending", "list", "--state", "failed").stdout == "Nothing is failed.\n"


@pytest.mark.parametrize(
    "arguments", [["list", "--state", "odd"], ["resolve", "7", "--strategy", "auto"], ["show", "x"]]
)
def test_a_choice_that_does_not_exist_is_wrong_use(cli: Cli, daemon: Any, arguments: list[str]) -> None:
    assert cli("pending", *arguments).exit_code == 2
    assert daemon.asked == []


def test_both_sides_of_a_conflict_stand_next_to_each_other(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/pending/7", shapes.pending_details(CONFLICT))

    result = cli("pending", "show", "7")

    assert result.exit_code == 0, result.output
    rows = {line.strip(): line.split() for line in result.stdout.splitlines()}
    assert ["≠", "name", "New", "Old"] in rows.values()
    assert ["≠", "prompts.positive", "a", "dog", "a", "cat"] in rows.values()
    assert ["description", "same", "same"] in rows.values()
    assert ["prompts.negative", "blur"] in rows.values()
    assert "/m/loras/new [i]name.ckpt" in result.stdout
    assert " pending resolve 7 --strategy merge" in result.stdout


def test_what_each_strategy_would_do_is_said_by_the_planning_itself(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/pending/7", shapes.pending_details(CONFLICT, "digest"))

    shown = cli("pending", "show", "7").stdout.partition("What each strategy would do:\n")[2].splitlines()
    effects = {line.split()[0]: " ".join(line.split()[1:]) for line in shown[:4]}

    lost = "loses the row's name, prompts.positive"
    merged = "adds prompts.negative, tag 'anime', its image becomes number 0"
    assert effects["merge"] == f"{merged}; {lost}"
    assert effects["override"] == f"replaces name, prompts.positive, {merged}"
    assert effects["delete"] == (
        "the model stays as it is; loses the row's name, prompts.positive, prompts.negative, tag 'anime', image"
    )
    assert effects["ignore"].startswith("nothing: the row stays")


def test_what_differs_is_highlighted() -> None:
    from rich.console import Console

    out = Console(force_terminal=True, width=120, color_system="standard", legacy_windows=False)
    with out.capture() as captured:
        out.print(both_sides(shapes.pending_details(CONFLICT), 1_795_168_900_000))

    assert "\x1b[1;33mNew" in captured.get()
    assert "\x1b[1;33msame" not in captured.get()


def test_a_row_without_a_model_shows_what_is_known_of_it(cli: Cli, daemon: Any) -> None:
    alone = PendingDetails(PENDING.evolve(state=PendingState.WAITING))
    daemon.answer("GET", "/api/pending/7", shapes.pending_details(alone))

    result = cli("pending", "show", "7")

    assert "a dog" in result.stdout
    assert "resolve" not in result.stdout
    assert json.loads(cli("pending", "show", "7", "--json").stdout) == shapes.pending_details(alone)


def test_an_unknown_row_exits_with_four(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/pending/9", {"error": "There is no pending row 9."}, 404)

    result = cli("pending", "show", "9")

    assert (result.exit_code, result.stdout, result.stderr) == (4, "", "modelkeep: There is no pending row 9.\n")


@pytest.mark.parametrize("row", ["0", "-3", str(2**63), "9" * 30])
@pytest.mark.parametrize("command", ["show", "retry"])
def test_a_number_that_no_row_can_have_is_an_unknown_row(cli: Cli, daemon: Any, command: str, row: str) -> None:
    result = cli("pending", command, "--", row)

    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == f"modelkeep: there is no row {row} in the queue\n"
    assert daemon.asked == []


@pytest.mark.parametrize(("arguments", "ids"), [(["7", "8"], [7, 8]), (["--all"], None)])
def test_rows_are_tried_again(cli: Cli, daemon: Any, arguments: list[str], ids: object) -> None:
    daemon.answer("POST", "/api/pending/retry", {"retried": 2})

    result = cli("pending", "retry", *arguments)

    assert result.stdout == "2 rows will be tried again.\n"
    assert daemon.asked == [("POST", "/api/pending/retry", {"ids": ids})]


@pytest.mark.parametrize("arguments", [[], ["7", "--all"]])
def test_retry_needs_rows_or_all_but_not_both(cli: Cli, daemon: Any, arguments: list[str]) -> None:
    assert cli("pending", "retry", *arguments).exit_code == 2
    assert daemon.asked == []


def test_a_conflict_is_resolved_by_the_daemon(cli: Cli, daemon: Any) -> None:
    answer = {"status": "success", "sha256": SHA, "action_taken": "merged"}
    daemon.answer("POST", "/api/migration/import_a_model", answer)

    result = cli("pending", "resolve", "7", "--strategy", "merge")

    assert result.stdout == f"Row 7: merged, model {SHA[:12]}\n"
    assert daemon.asked == [("POST", "/api/migration/import_a_model", {"id": 7, "conf_strategy": "merge"})]


def test_a_file_that_lies_elsewhere_now_is_told_to_the_daemon(cli: Cli, daemon: Any) -> None:
    answer = {"status": "success", "sha256": SHA, "action_taken": "merged"}
    daemon.answer("POST", "/api/migration/import_a_model", answer)

    result = cli("pending", "resolve", "7", "--at", "/models/loras/new name.ckpt")

    assert result.stdout == f"Row 7: merged, model {SHA[:12]}\n"
    body = {"id": 7, "conf_strategy": None, "path": "/models/loras/new name.ckpt"}
    assert daemon.asked == [("POST", "/api/migration/import_a_model", body)]


def test_resolve_wants_to_know_how(cli: Cli) -> None:
    result = cli("pending", "resolve", "7")

    assert result.exit_code == 2
    assert "--at PATH" in result.stderr


def batch(**lists: list[Any]) -> dict[str, Any]:
    return {name: [] for name in ("success", "conflict", "ignored", "deleted", "failed")} | {"total": 3} | lists


def test_many_rows_are_decided_at_once(cli: Cli, daemon: Any) -> None:
    daemon.answer("POST", "/api/migration/import_models", batch(success=[9, 8]), 207)

    result = cli("pending", "resolve", "8", "9", "--strategy", "merge")

    assert (result.exit_code, result.stdout) == (0, "2 rows merged: 8, 9\n")
    assert daemon.asked[-1] == (
        "POST",
        "/api/migration/import_models",
        {"id": [8, 9], "conflict_strategy": "merge"},
    )


def test_all_are_the_rows_in_conflict(cli: Cli, daemon: Any) -> None:
    daemon.answer("GET", "/api/pending", {"pending": [shapes.queue_row(PENDING)]})
    daemon.answer("POST", "/api/migration/import_models", batch(deleted=[7]), 207)

    assert cli("pending", "resolve", "--all", "--strategy", "delete").stdout == "1 row dropped: 7\n"
    assert daemon.asked[0][2]["state"] == "conflict"


def test_rows_of_many_that_fail_are_told_and_the_status_is_one(cli: Cli, daemon: Any) -> None:
    report = batch(
        success=[8],
        failed=[{"id": 9, "error": "there is no row 9"}],
        conflict=[{"pending": {"id": 7, "path": "/m/a"}, "existing": {}}],
    )
    daemon.answer("POST", "/api/migration/import_models", report, 207)

    result = cli("pending", "resolve", "7", "8", "9", "--strategy", "merge")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["1 row merged: 8", "Row 7 stays in conflict: /m/a"]
    assert "row 9: there is no row 9" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--strategy", "merge"],
        ["7", "--all", "--strategy", "merge"],
        ["7", "8", "--at", "/m/a"],
        ["--all", "--at", "/m/a"],
    ],
)
def test_resolve_wants_either_rows_or_all_and_a_place_for_one(cli: Cli, daemon: Any, arguments: list[str]) -> None:
    assert cli("pending", "resolve", *arguments).exit_code == 2
    assert daemon.asked == []


def test_what_stays_a_conflict_exits_with_five_and_tells_where_to_look(cli: Cli, daemon: Any) -> None:
    daemon.answer("POST", "/api/migration/import_a_model", {"error": "the sides differ"}, 409)

    result = cli("pending", "resolve", "7", "--strategy", "ignore")

    assert (result.exit_code, result.stdout) == (5, "")
    assert "the sides differ" in result.stderr
    assert "pending show 7" in result.stderr


def test_a_row_in_hand_exits_with_five(cli: Cli, daemon: Any) -> None:
    daemon.answer("DELETE", "/api/pending/7", {"error": "row 7 is being migrated"}, 423)

    assert cli("pending", "drop", "7", "--yes").exit_code == 5


def test_resolving_without_a_daemon_exits_with_three(cli: Cli) -> None:
    result = cli("pending", "resolve", "7", "--strategy", "merge")

    assert result.exit_code == 3
    assert "start it with" in result.stderr


def test_a_row_is_dropped_without_a_question_when_yes_was_said(cli: Cli, daemon: Any) -> None:
    daemon.answer("DELETE", "/api/pending/7", {"status": "success"})

    result = cli("pending", "drop", "7", "--yes")

    assert result.exit_code == 0
    assert daemon.asked == [("DELETE", "/api/pending/7", {})]


def test_nothing_is_dropped_where_nobody_can_be_asked(cli: Cli, daemon: Any) -> None:
    result = cli("pending", "drop", "7")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert daemon.asked == []
