"""No view keeps anybody out: axe-core finds no serious fault in any, light or dark, and all fit into a window."""

from collections.abc import Iterator, Mapping

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.person import needs_browser, serious_faults, somebody
from tests.daemon_process import DaemonProcess
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
    "/duplicates": ".duplicate .file",
    "/journal": ".record",
}
"""Views, and what is there when all of one is shown."""


@pytest.fixture(scope="module")
def full_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon that needs a token, with something to show in every view."""
    folder = tmp_path_factory.mktemp("full")
    demo = make_demo(folder / "demo")
    for name in ("copy.safetensors", "other copy.safetensors"):
        put(demo.models / "loras" / name, safetensors("twice"))
    daemon = DaemonProcess(folder / "daemon", [demo.models], {"api": {"token": TOKEN}})
    try:
        daemon.must("import", "hikaze", str(demo.database))
        daemon.start()
        daemon.wait_idle()
        yield daemon
        assert not daemon.has_failed_inside(), daemon.last_words()
    finally:
        daemon.close()


def faults_of(page: Page, view: str) -> list[str]:
    found = []
    for scheme, rules in (("light", ()), ("dark", ("color-contrast",))):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found += [f"{view}, {scheme}: {fault['help']}: {fault['target']}" for fault in serious_faults(page, rules)]
    return found


def test_no_view_has_a_serious_fault_light_or_dark(browser: Browser, full_library: DaemonProcess) -> None:
    pictured = [model for model in full_library.get("/api/models")["models"] if model["images_count"]]
    with somebody(browser, full_library.url, reduced_motion="reduce") as person:
        page = person.open("/")
        faults = faults_of(page, "login")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        for view, shown in VIEWS.items():
            page.goto(view.replace("{sha256}", pictured[0]["sha256"]))
            expect(page.locator(shown).first).to_be_visible()
            faults += faults_of(page, view)
        page.goto(f"/model/{pictured[0]['sha256']}")
        for part in ("name", "tags", "description"):
            page.get_by_role("button", name=f"Edit {part}").click()
        page.get_by_role("button", name="Remove this image").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        faults += faults_of(page, "editing")
    assert faults == []


@pytest.mark.parametrize("width", [360, 3840])
def test_no_view_is_wider_than_the_window(browser: Browser, full_library: DaemonProcess, width: int) -> None:
    sha256 = full_library.get("/api/models")["models"][0]["sha256"]
    wider = []
    with somebody(browser, full_library.url, viewport={"width": width, "height": 800}) as person:
        page = person.open("/")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        for view, shown in VIEWS.items():
            page.goto(view.replace("{sha256}", sha256))
            expect(page.locator(shown).first).to_be_visible()
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wider.append(view)
    assert wider == []
