"""The library in a real browser: found while typing, gone through to its end, and text whatever a model is called."""

import re

from playwright.sync_api import expect
from tests.browser.conftest import HEROES, MARKUP
from tests.browser.person import Person, needs_browser
from tests.daemon_process import DaemonProcess

pytestmark = needs_browser


def test_typing_finds_models_and_the_address_keeps_what_was_typed(person: Person, library: DaemonProcess) -> None:
    sha256 = library.get("/api/models", q="hero_071")["models"][0]["sha256"]
    (made,) = library.post("/api/tags_add", {"newtags": ["Blaue Stunde"]}).json()["tags"]
    changes = {"meta_json": {"description": "watercolour of a lighthouse"}, "tags": [made["id"]]}
    assert library.request("PATCH", f"/api/models/{sha256}", json=changes).is_success
    page = person.open("/library")
    expect(page.get_by_text(f"{HEROES + 1} models")).to_be_visible()
    search = page.get_by_role("searchbox", name="Search name")

    for typed, found in (("hero_07", 10), ("LIGHTHOUSE water", 1), ("blaue stun", 1), ("no such thing", 0)):
        search.fill("")
        search.press_sequentially(typed)
        expect(page.locator("#grid > li")).to_have_count(found)
    expect(page.get_by_text("No model fits.")).to_be_visible()

    search.fill("hero_0")
    expect(page.get_by_text("100 models", exact=True)).to_be_visible()
    page.get_by_role("button", name="Blaue Stunde").hover()
    search.fill("hero")
    page.mouse.down()
    expect(page.get_by_text(f"{HEROES} models", exact=True)).to_be_visible()  # all is shown anew while it is pressed
    page.mouse.up()
    expect(page.get_by_text("1 model", exact=True)).to_be_visible()
    search.fill("hero_07")
    page.get_by_label("Order").select_option("Newest first")
    assert "?q=hero_07&tag=Blaue+Stunde&order=newest" in page.url
    page.reload()
    expect(page.get_by_text("1 model", exact=True)).to_be_visible()
    expect(search).to_have_value("hero_07")
    expect(page.get_by_role("button", name="Blaue Stunde")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    page.go_back()
    expect(page.get_by_text(f"{HEROES} models")).to_be_visible()


def test_a_long_library_is_gone_through_by_keys_and_only_what_is_seen_is_there(person: Person) -> None:
    page = person.open("/library?type=loras")
    first, last = (page.get_by_role("link", name=f"hero_{number:03}.safetensors") for number in (0, HEROES - 1))
    expect(first).to_be_visible()
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("link", name="hero_001.safetensors")).to_be_focused()
    page.mouse.wheel(0, 1_000_000)
    expect(last).to_be_in_viewport()
    expect(page.locator("#grid > li", has=last)).to_have_attribute("aria-posinset", str(HEROES))
    assert page.locator("#grid > li").count() < HEROES / 2
    page.mouse.wheel(0, -1_000_000)
    expect(first).to_be_in_viewport()
    page.keyboard.press("ArrowLeft")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="hero_000.safetensors", level=1)).to_be_visible()


def test_a_name_of_markup_is_text_in_every_view(person: Person, library: DaemonProcess) -> None:
    page = person.open("/library?q=onerror")
    page.get_by_role("link", name=re.compile(re.escape(MARKUP))).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{MARKUP}.safetensors")
    expect(page).to_have_title(re.compile(re.escape(MARKUP)))
    expect(page.locator("#story")).to_contain_text("hash")
    expect(page.get_by_text(re.compile(r"\d\d\.\d\d\.\d{4}, \d\d:\d\d:\d\d")).first).to_be_visible()
    page.get_by_role("link", name="In the journal").click()
    expect(page.locator(".record").first).to_contain_text(MARKUP)
    assert page.locator("img[src=x]").count() == 0


def test_a_model_whose_name_is_blank_goes_by_its_file(person: Person, library: DaemonProcess) -> None:
    (hero,) = library.get("/api/models", q="hero_064")["models"]
    path = f"/api/models/{hero['sha256']}"
    assert library.request("PATCH", path, json={"name": "  "}).is_success
    try:
        page = person.open("/library?q=hero_064")
        page.get_by_role("link", name="hero_064.safetensors").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Without a name")
    finally:
        assert library.request("PATCH", path, json={"name": hero["name"]}).is_success
