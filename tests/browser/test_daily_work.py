"""What an owner does day by day, in a real browser: deciding, working through the queue, and watching."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.browser.conftest import MARKUP
from tests.browser.person import Person, needs_browser, somebody
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.libraries import LegacyLibrary, put, safetensors
from tests.waiting import wait_until

pytestmark = needs_browser

CONFLICTS = (MARKUP, "second", "elsewhere", "many one", "many two")
LARGE_BYTES = 64 << 30
"""So large that it is not read while the test runs; nothing of it is on the disk."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def work(folder: Path) -> Iterator[DaemonProcess]:
    """A daemon with conflicts to decide, and a row whose file lies elsewhere now."""
    models, old = folder / "models", LegacyLibrary()
    for number, name in enumerate(CONFLICTS):
        put(models / "loras" / f"{name}.safetensors", safetensors(name))
        type_ = "vae" if name.startswith("many") else "loras"
        copy = put(models / "copies" / f"{name}.safetensors", safetensors(name))
        about = {"description": "painted in the morning light"}
        old.add(copy, (".png", png(number, (60, 40))), name=copy.name, type=type_, extra=about, tags=("to sort",))
    moved = put(models / "vae" / "moved.safetensors", safetensors("moved"))
    for name in ("moved", "lost"):
        path = models / "loras" / f"{name}.safetensors"
        old.add(path, name=path.name, size_bytes=moved.stat().st_size, extra={"description": "known"})
    daemon = DaemonProcess(folder / "daemon", [(models, "loras")])
    try:
        daemon.start()
        for name in CONFLICTS:
            sha256 = daemon.wait_model(models / "loras" / f"{name}.safetensors")
            daemon.wait_model(models / "copies" / f"{name}.safetensors")
            known = {"meta_json": {"description": "painted in the evening light"}}
            assert daemon.request("PATCH", f"/api/models/{sha256}", json=known).is_success
        daemon.wait_model(moved)
        daemon.must("import", "hikaze", str(old.write(folder / "old")))
        wait_until(lambda: states(daemon) == (len(CONFLICTS), 2), what="the conflicts")
        yield daemon
        assert not daemon.has_failed_inside(), daemon.last_words()
    finally:
        daemon.close()


@pytest.fixture
def owner(browser: Browser, work: DaemonProcess) -> Iterator[Person]:
    with somebody(browser, work.url) as someone:
        yield someone


def states(daemon: DaemonProcess) -> tuple[int, int]:
    pending = daemon.status()["pending"]
    return pending["conflict"], pending["missing"]


def row_of(daemon: DaemonProcess, name: str) -> dict[str, Any]:
    (row,) = (row for row in daemon.get("/api/pending")["pending"] if row["name"] == f"{name}.safetensors")
    return dict(row)


def deciding(owner: Person, row: dict[str, Any]) -> Page:
    """Open a conflict; it is shown in full."""
    page = owner.open(f"/decide?row={row['id']}")
    expect(page.get_by_role("heading", level=2)).to_have_text(row["name"])
    expect(page.get_by_role("button", name="Merge")).to_have_attribute("aria-disabled", "false")
    return page


def test_a_conflict_is_decided_by_key_with_both_sides_in_sight(owner: Person, work: DaemonProcess) -> None:
    first, second = row_of(work, MARKUP), row_of(work, "second")
    page = deciding(owner, first)
    expect(page.get_by_role("img", name=f"Image of the row {first['name']}")).to_have_js_property("naturalWidth", 60)
    expect(page.locator("mark")).to_have_text(["morning", "evening"])
    expect(page.get_by_role("button", name="Override")).to_contain_text("Replaces the model's description")
    expect(page).to_have_title("Decide · modelkeep")

    page.keyboard.press("j")
    expect(page.get_by_role("heading", level=2)).to_have_text("second.safetensors")
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Merge")).to_have_attribute("aria-disabled", "false")
    page.keyboard.press("m")
    expect(page.get_by_role("heading", level=2)).to_have_text("second.safetensors")
    model = work.get(f"/api/models/{first['sha256']}")
    assert [tag["name"] for tag in model["tags"]] == ["to sort"]
    assert model["meta_json"]["description"] == "painted in the evening light"

    expect(page.get_by_role("button", name="Override")).to_have_attribute("aria-disabled", "false")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="second.safetensors")).to_have_count(0)
    assert work.get(f"/api/models/{second['sha256']}")["meta_json"]["description"] == "painted in the morning light"


def test_a_row_that_somebody_else_decides_meanwhile_says_so(owner: Person, work: DaemonProcess) -> None:
    row = row_of(work, "elsewhere")
    page = deciding(owner, row)
    refusals = iter((423, 409))

    def refuse(route: Route) -> None:
        route.fulfill(status=next(refusals), json={"error": "in the daemon's words"})

    # One route for both: a request may slip by while one is taken back and another is set.
    page.route("**/api/migration/import_a_model", refuse)
    for told in ("being migrated at this moment", "Something changed meanwhile"):
        page.keyboard.press("m")
        expect(page.get_by_role("status").filter(has_text=told)).to_contain_text("in the daemon's words")
        expect(page.get_by_role("button", name="Merge")).to_have_attribute("aria-disabled", "false")
    answer = work.post("/api/migration/import_a_model", {"id": row["id"], "conf_strategy": "delete"})
    assert answer.is_success, answer.text
    expect(page.get_by_text("Somebody else decided this row meanwhile")).to_be_visible()
    page.goto(f"/decide?row={row['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Decide")
    expect(page.get_by_role("heading", name="elsewhere.safetensors")).to_have_count(0)


def test_the_same_decision_for_many_rows_says_first_how_many_it_concerns(owner: Person, work: DaemonProcess) -> None:
    rows = [row_of(work, name) for name in ("many one", "many two")]
    page = deciding(owner, rows[0])
    page.get_by_role("button", name="The same for many").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Which conflicts").select_option("Of the type vae (2)")
    dialog.get_by_label("How").select_option(label="Drop the row: the model stays as it is")
    expect(dialog.get_by_text("This concerns 2 conflicts")).to_be_visible()
    dialog.get_by_role("button", name="Decide 2 conflicts").click()
    expect(dialog.get_by_text("2 conflicts decided.")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    left = {row["name"] for row in work.get("/api/pending")["pending"]}
    assert not left & {row["name"] for row in rows}


def test_a_missing_file_is_offered_and_what_is_dropped_is_named_first(
    owner: Person, work: DaemonProcess, folder: Path
) -> None:
    page = owner.open("/queue?state=missing")
    lost = page.get_by_role("listitem").filter(has_text="lost.safetensors")
    expect(lost).to_contain_text("there is no file at")
    page.get_by_role("button", name="Its file is here now…: moved.safetensors").click()
    page.get_by_role("button", name=f"It is this file: {folder}/models/vae/moved.safetensors").click()
    expect(page.get_by_role("button", name="Drop…: moved.safetensors")).to_have_count(0)

    page.get_by_role("button", name="Drop…: lost.safetensors").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What is known of it: name, type, description.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(lost).to_be_visible()
    page.get_by_role("button", name="Drop…: lost.safetensors").click()
    page.get_by_role("dialog").get_by_role("button", name="Drop the row").click()
    expect(lost).to_have_count(0)
    assert work.get("/api/pending", state="missing") == {"pending": []}
    (moved,) = work.get("/api/models", q="moved")["models"]
    details = work.get(f"/api/models/{moved['sha256']}")
    assert details["meta_json"]["description"] == "known"


def test_a_bar_moves_while_a_file_is_hashed_and_the_journal_tells_it(
    owner: Person, work: DaemonProcess, folder: Path
) -> None:
    page, journal = owner.open("/"), owner.open("/journal?event=file.*")
    large = folder / "models" / "large.ckpt"
    with large.open("wb") as file:
        file.truncate(LARGE_BYTES)
    bar = page.get_by_role("progressbar", name="large.ckpt")
    bar.wait_for()
    seen = bar.evaluate("bar => bar.value")
    page.wait_for_function(
        '([name, seen]) => document.querySelector(`[aria-label="${name}"]`)?.value > seen', arg=["large.ckpt", seen]
    )
    expect(journal.get_by_text("large.ckpt: found as it appeared")).to_be_visible()
    os.truncate(large, 0)
    large.unlink()
    expect(bar).to_have_count(0)
    expect(page.get_by_text("Nothing at this moment.")).to_be_visible()
