"""What the page's server side answers: shells, the pieces they are made of, and what a browser may do with them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from modelkeep.api.access import AccessRules, Transport
from modelkeep.api.app import guarded
from modelkeep.web.routes import VIEWS, add_page

WEB = Path(__file__).parents[3] / "daemon" / "modelkeep" / "web"
PATHS = [path.replace("{sha256}", "a" * 64) for path in VIEWS]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app, rules = FastAPI(), AccessRules()
    app.state.access = rules
    add_page(app)
    way = httpx.ASGITransport(guarded(app, rules, Transport.TCP), client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=way, base_url="http://127.0.0.1:8189") as made:
        yield made


@pytest.mark.parametrize("path", PATHS)
async def test_a_view_is_made_of_what_this_server_has(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "unsafe" not in policy
    addresses = re.findall(r'(?:src|href)="([^"#]*)"', answer.text)
    for address in addresses:
        assert (await client.get(address)).status_code == 200, address
    assert re.findall(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", answer.text) == []


async def test_a_piece_of_the_page_is_asked_for_again_after_an_upgrade(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/frame.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    again = await client.get("/static/frame.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("module", sorted(WEB.glob("static/*.js")), ids=lambda path: path.name)
def test_no_module_makes_markup_of_text_or_loads_from_elsewhere(module: Path) -> None:
    text = module.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert all(name.startswith("./") for name in re.findall(r"(?:from|import) \"([^\"]*)\"", text))
