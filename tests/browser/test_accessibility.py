"""No view keeps anybody out: axe-core finds no serious fault in any, light or dark, and all fit into a window."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from tests.browser.person import needs_browser, serious_faults, somebody
from tests.daemon_process import WITH_TENSORS, DaemonProcess
from tests.libraries import put, safetensors

from modelkeep.dev.demo import make_demo

pytestmark = needs_browser

TOKEN = "shown-once"
VIEWS: Mapping[str, str] = {
    "/": "main .card",
    "/decide": "main img",
    "/queue": "main li",
    "/library": "#grid .tile img",
    "/model/{sha256}": "#story .record",
    "/duplicates": "#families .file",
    "/journal?model=hero_v12": ".record",
}
"""Views, and what is there when all of one is shown."""

SCHEMES: Mapping[Literal["light", "dark"], Sequence[str]] = {"light": (), "dark": ("color-contrast",)}
"""The colours, and the rules to look by, none for all: others than that of contrast know no colours."""

WIDE: ViewportSize = {"width": 900, "height": 600}
NARROW: ViewportSize = {"width": 360, "height": 600}


@pytest.fixture(scope="module")
def full_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon that needs a token, with something to show in every view."""
    folder = tmp_path_factory.mktemp("full")
    demo = make_demo(folder / "demo")
    for name in ("copy.safetensors", "other copy.safetensors"):
        put(demo.models / "loras" / name, safetensors("twice"))
    # The same weights under another header.
    put(demo.models / "loras" / "twin.safetensors", safetensors("twice").replace(b"twice", b"again", 1))
    daemon = DaemonProcess(folder / "daemon", [demo.models], {"api": {"token": TOKEN}, **WITH_TENSORS})
    try:
        daemon.must("import", "hikaze", str(demo.database))
        daemon.start()
        daemon.wait_idle(90)
        yield daemon
        assert not daemon.has_failed_inside(), daemon.last_words()
    finally:
        daemon.close()


def faults_of(page: Page, view: str) -> list[str]:
    """Return the faults of what a tab shows, light and dark, and whether a telephone has to be scrolled sideways."""
    found = []
    for scheme, rules in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        found += [f"{view}, {scheme}: {fault['help']}: {fault['target']}" for fault in serious_faults(page, rules)]
    page.set_viewport_size(NARROW)
    if page.evaluate("document.documentElement.scrollWidth") > NARROW["width"]:
        found.append(f"{view} is wider than {NARROW['width']} pixels")
    page.set_viewport_size(WIDE)
    return found


def test_no_view_has_a_serious_fault_light_or_dark_wide_or_narrow(
    browser: Browser, full_library: DaemonProcess
) -> None:
    pictured = next(model for model in full_library.get("/api/models")["models"] if model["images_count"])
    with somebody(browser, full_library.url, reduced_motion="reduce", viewport=WIDE) as person:
        page = person.open("/")
        faults = faults_of(page, "login")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        for view, shown in VIEWS.items():
            page.goto(view.replace("{sha256}", pictured["sha256"]))
            expect(page.locator(shown).first).to_be_visible()
            faults += faults_of(page, view)
        page.goto(f"/model/{pictured['sha256']}")
        for part in ("name", "tags", "description"):
            page.get_by_role("button", name=f"Edit {part}").click()
        page.get_by_role("button", name="Remove this image").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        faults += faults_of(page, "editing")
    assert faults == []
