"""Daemons as the integration tests have them, one browser, and for each module a small library to look through."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ViewportSize
from tests.browser.person import Person, somebody, started_browser
from tests.daemon_process import DaemonProcess
from tests.integration import conftest as integration
from tests.libraries import put, safetensors
from tests.waiting import wait_until

models = integration.models
make_daemon = integration.make_daemon

MARKUP = "<img src=x onerror=document.title=666>"
"""The name of a model that must never be more than that."""

HEROES = 130
"""More than a window shows, and more than the page asks for at once."""

VIEWPORT: ViewportSize = {"width": 1100, "height": 600}
READER = {"locale": "de-DE", "timezone_id": "Asia/Tokyo"}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser that all tests here share; it is gone before others run, for its event loop runs all the while."""
    with started_browser() as started:
        yield started


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A running daemon that knows some heroes, and a model that is called like markup."""
    folder = tmp_path_factory.mktemp("page")
    for number in range(HEROES):
        put(folder / "models" / "loras" / f"hero_{number:03}.safetensors", safetensors(number, 256))
    put(folder / "models" / "vae" / f"{MARKUP}.safetensors", safetensors("markup", 256))
    daemon = DaemonProcess(folder / "daemon", [folder / "models"])
    try:
        daemon.start()
        wait_until(lambda: daemon.status()["models"] == HEROES + 1, 90, "all models to be known")
        yield daemon
        assert not daemon.has_failed_inside(), daemon.last_words()
    finally:
        daemon.close()


@pytest.fixture
def person(browser: Browser, library: DaemonProcess) -> Iterator[Person]:
    """Somebody who reads the page of that daemon, in German and from Tokyo."""
    with somebody(browser, library.url, viewport=VIEWPORT, **READER) as someone:
        yield someone
