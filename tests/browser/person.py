"""Somebody with a browser: Debian's Chromium, driven by Playwright, and axe-core to find what people cannot use."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright
from tests.programs import without

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
"""The installed one: none is ever downloaded."""

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=without("chromium"))

WAIT_MS = 60_000
"""The longest that anything is waited for; all waits are for conditions."""

expect.set_options(timeout=WAIT_MS)

_NETWORK = ("Failed to load resource", "net::ERR_")
_DROP = """(target, [name, type, content]) => {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type }));
    for (const kind of ["dragenter", "dragover", "drop"]) {
        target.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }
}"""
_AXE = """async (rules) => {
    const runOnly = rules.length
        ? { type: "rule", values: rules }
        : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
    const told = await axe.run(document, { runOnly, resultTypes: ["violations"] });
    return told.violations.flatMap(({ id, impact, help, nodes }) =>
        nodes.map(({ target }) => ({ id, impact, help, target: target.join(" ") })));
}"""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Run the machine's Chromium, without a window."""
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody with tabs of their own, who reads a daemon's page. What goes wrong in a tab is kept.

    Args:
        browser: to use.
        url: of the daemon.
        options: of the browser: `locale`, `timezone_id`, `color_scheme`, `viewport`.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self._context: BrowserContext = browser.new_context(base_url=url, bypass_csp=False, **options)
        self._context.set_default_timeout(WAIT_MS)
        self._context.on("weberror", lambda error: self.wrong.append(str(error.error)))
        self._context.on("console", self._hear)
        self._context.on("request", lambda request: self.asked.append(request.url))
        self.url = url
        self.wrong: list[str] = []
        self.asked: list[str] = []

    def open(self, path: str) -> Page:
        """Open a view in a new tab."""
        page = self._context.new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        """Close all tabs. Nothing may have gone wrong in them, and nothing been asked of anybody else."""
        self._context.close()
        assert self.wrong == [], self.wrong
        assert [url for url in self.asked if not url.startswith((self.url, "data:"))] == [], self.asked

    def _hear(self, message: ConsoleMessage) -> None:
        # That an answer was an error, or none came, is what some tests are about; the page says it to its reader.
        if message.type in ("error", "warning") and not message.text.startswith(_NETWORK):
            self.wrong.append(message.text)


@contextmanager
def somebody(browser: Browser, url: str, **options: Any) -> Iterator[Person]:
    """Have somebody read the page of a daemon."""
    person = Person(browser, url, **options)
    yield person
    person.close()


def drop(target: Locator, name: str, content: str, type_: str = "image/png") -> None:
    """Drop a file on something, as a person does from a folder.

    Args:
        target: where.
        name: of the file.
        content: in base64.
        type_: which the browser says it has.
    """
    target.evaluate(_DROP, [name, type_, content])


def serious_faults(page: Page, rules: Sequence[str] = ()) -> list[Mapping[str, str]]:
    """Return what axe-core finds that keeps people from using what a tab shows; `rules`: only these of its rules."""
    # Through the debugger: the page itself lets no such script in.
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": _axe_source()})
    session.detach()
    found: list[Mapping[str, str]] = page.evaluate(_AXE, list(rules))
    return [fault for fault in found if fault["impact"] in ("serious", "critical")]


@cache
def _axe_source() -> str:
    return Path(str(files("axe_playwright_python"))).joinpath("axe.min.js").read_text("utf-8")
