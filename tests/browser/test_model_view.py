"""A model in a real browser: images come by drop and go, two tabs overwrite nothing, and a lost daemon is told."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.conftest import HEROES
from tests.browser.person import Person, drop, needs_browser, somebody
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors

pytestmark = needs_browser


@pytest.fixture
def hero(library: DaemonProcess, request: pytest.FixtureRequest) -> str:
    """A model that no other test of the module touches."""
    number = sum(map(ord, request.node.name)) % HEROES
    return str(library.get("/api/models", q=f"hero_{number:03}")["models"][0]["sha256"])


def test_images_come_by_drop_are_gone_through_and_removed(person: Person, library: DaemonProcess, hero: str) -> None:
    page = person.open(f"/model/{hero}")
    expect(page.get_by_text("No image yet.")).to_be_visible()
    for number in (1, 2):
        drop(page.locator("body"), f"{number}.png", b64encode(png(number, (60 * number, 90))).decode())
        expect(page.get_by_role("status").filter(has_text=f"Image {number} of {number}")).to_be_visible()
    large = page.get_by_role("img", name="Image 2 of 2")
    expect(large).to_have_js_property("naturalWidth", 120)
    page.get_by_role("button", name="next image").click()
    expect(page.get_by_role("img", name="Image 1 of 2")).to_have_js_property("naturalWidth", 60)
    page.keyboard.press("ArrowLeft")
    expect(large).to_be_visible()

    drop(page.locator("body"), "notes.png", b64encode(b"no image").decode())
    expect(page.get_by_text("notes.png: ")).to_be_visible()

    page.get_by_role("button", name="Image 1", exact=True).click()
    page.get_by_role("button", name="Remove this image").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Remove this image").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the image").click()
    expect(page.get_by_role("img", name="Image 1 of 1")).to_have_js_property("naturalWidth", 120)
    assert library.get("/api/images/get_img_count", sha256=hero) == {"count": 1}


def test_two_tabs_overwrite_nothing_and_lose_nothing(person: Person, library: DaemonProcess, hero: str) -> None:
    tabs = [person.open(f"/model/{hero}") for _ in range(2)]
    for tab, text in zip(tabs, ("by the first", "by the second"), strict=True):
        tab.get_by_role("button", name="Edit description").click()
        tab.get_by_role("textbox", name="Description").fill(text)

    def described() -> object:
        return library.get(f"/api/models/{hero}")["meta_json"]["description"]

    first, second = tabs
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_text("Saved description.")).to_be_visible()
    second.get_by_role("button", name="Save").click()
    told = second.get_by_role("alert").filter(has_text="Somebody changed this meanwhile")
    expect(told).to_contain_text("by the first")
    expect(second.get_by_role("textbox", name="Description")).to_have_value("by the second")
    assert described() == "by the first"
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_text("Saved description.")).to_be_visible()
    assert described() == "by the second"
    expect(first.get_by_text("by the second")).to_be_visible()

    second.get_by_role("button", name="Edit tags").click()
    tags = second.get_by_role("combobox", name="Add a tag")
    for name in ("<b>bold</b>", "ink"):
        tags.fill(name)
        tags.press("Enter")
    tags.press("Control+Enter")
    expect(first.get_by_role("link", name="<b>bold</b>")).to_be_visible()
    assert [tag["name"] for tag in library.get(f"/api/models/{hero}")["tags"]] == ["<b>bold</b>", "ink"]


@pytest.fixture
def port() -> Iterator[int]:
    """A port that stays this test's own: bound by a socket that does not listen, beside which a daemon may."""
    with closing(socket.socket()) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_daemon_that_is_gone_is_told_and_nothing_written_is_lost(
    browser: Browser, models: Path, make_daemon: DaemonMaker, port: int
) -> None:
    daemon = make_daemon(tables={"api": {"port": port}}).start()
    sha256 = daemon.wait_model(put(models / "loras" / "hero.safetensors", safetensors("hero")))
    with somebody(browser, daemon.url) as person:
        page = person.open(f"/model/{sha256}")
        page.get_by_role("button", name="Edit description").click()
        page.get_by_role("textbox", name="Description").fill("written while it was gone")
        daemon.kill()
        expect(page.get_by_role("alert").filter(has_text="The daemon is gone")).to_be_visible()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("The daemon does not answer.")).to_be_visible()
        daemon.start()
        expect(page.get_by_role("alert").filter(has_text="The daemon is gone")).to_be_hidden()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved description.")).to_be_visible()
    assert daemon.get(f"/api/models/{sha256}")["meta_json"]["description"] == "written while it was gone"
