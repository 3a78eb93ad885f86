"""A page in a real browser: one that is allowed does all that a front end does, one of elsewhere nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect
from tests.browser.person import needs_browser
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import put, safetensors

PAGE = Path(__file__).with_name("page.html")

DONE = {
    "list": "1",
    "model": "hero.safetensors",
    "edit": "200 from a page",
    "stale edit": "412",
    "tags": "200",
    "image": "8",
    "scan": "opaque",
    "upload": "200",
    "events": "1",
}
REFUSED = dict.fromkeys(DONE, "TypeError") | {"image": "8", "scan": "opaque", "events": "refused"}
"""A page may show an image whose name it knows, and ask without learning anything of the answer."""


@contextmanager
def served(pages: dict[str, str]) -> Iterator[str]:
    """Serve pages at an address of their own; a later entry counts, too."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages.get(self.path, "").encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@needs_browser
def test_a_page_that_is_allowed_does_everything_and_one_of_elsewhere_nothing(
    browser: Browser, models: Path, make_daemon: DaemonMaker
) -> None:
    pages: dict[str, str] = {}
    with served(pages) as front_end, served(pages) as elsewhere:
        daemon = make_daemon(tables={"api": {"allowed_origins": [front_end]}}).start()
        sha256 = daemon.wait_model(put(models / "loras" / "hero.safetensors", safetensors("hero")))
        form: dict[str, Any] = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(1, (24, 16)))}}
        assert daemon.request("POST", "/api/images/upload", **form).is_success
        pages["/"] = PAGE.read_text().replace("API_URL", daemon.url).replace("MODEL_HASH", sha256)
        with browser.new_context() as somebody:
            page = somebody.new_page()
            # First the one that has to leave everything as it is.
            for url, expected in ((elsewhere, REFUSED), (front_end, DONE)):
                page.goto(url)
                expect(page.get_by_text("events: ")).to_be_visible()
                lines = page.locator("#out").inner_text().splitlines()
                assert dict(line.split(": ", 1) for line in lines if line) == expected
            page.goto(f"{daemon.url}/docs")
            expect(page.locator(".opblock")).to_have_count(len(_calls(daemon.get("/openapi.json"))))


def _calls(document: dict[str, Any]) -> list[str]:
    return [method for methods in document["paths"].values() for method in methods]
