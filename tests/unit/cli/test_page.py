import webbrowser
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Cli = Callable[..., Result]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the browser is asked to open."""
    asked: list[str] = []

    def open_in_browser(address: str) -> bool:
        asked.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_in_browser)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return asked


def test_without_a_browser_the_address_is_printed(cli: Cli, daemon: Any, opened: list[str]) -> None:
    result = cli("page")
    assert (result.exit_code, result.stdout) == (0, "http://127.0.0.1:8189/\n")
    assert opened == []


def test_the_page_opens_in_the_browser_unless_only_its_address_is_wanted(
    cli: Cli, daemon: Any, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert cli("page", "--print").stdout == "http://127.0.0.1:8189/\n"
    assert opened == []
    assert "http://127.0.0.1:8189/" in cli("page").stdout
    assert opened == ["http://127.0.0.1:8189/"]


def test_a_browser_that_does_not_open_leaves_the_address(
    cli: Cli, daemon: Any, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    daemon.answer("GET", "/api/address", {"url": "http://[::]:9"})
    assert cli("page").stdout == "http://[::1]:9/\n"


def test_without_a_daemon_there_is_no_page(cli: Cli) -> None:
    assert cli("page").exit_code == 3
