"""What the page's server side answers: shells, the pieces they are made of, and what a browser may do with them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from hatchling.builders.wheel import WheelBuilder

from modelkeep.api.access import AccessRules, Transport
from modelkeep.api.app import guarded
from modelkeep.web.routes import VIEWS, add_page

WEB = Path(__file__).parents[3] / "daemon" / "modelkeep" / "web"
OWN = "http://127.0.0.1:8189"
PATHS = [path.replace("{sha256}", "a" * 64) for path in VIEWS]


def browser(rules: AccessRules) -> httpx.AsyncClient:
    """Return a client of a guarded application that has the page and nothing else."""
    app = FastAPI()
    app.state.access = rules
    add_page(app)
    way = httpx.ASGITransport(guarded(app, rules, Transport.TCP), client=("127.0.0.1", 50000))
    return httpx.AsyncClient(transport=way, base_url=OWN, headers={"Accept": "text/html"})


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with browser(AccessRules()) as made:
        yield made


@pytest.fixture
async def stranger() -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has not been shown the token."""
    async with browser(AccessRules(token="s3cret")) as made:
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


async def test_with_a_token_the_page_asks_for_it_once(stranger: httpx.AsyncClient) -> None:
    asked = await stranger.get("/queue")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/queue")
    form = await stranger.get("/login?next=/queue%3Fstate%3Dmissing")
    assert form.status_code == 200
    assert 'name="next" value="/queue?state=missing"' in form.text
    given = {"token": " s3cret ", "next": "/queue?state=missing"}
    shown = await stranger.post("/login", data=given, headers={"Origin": OWN})
    assert (shown.status_code, shown.headers["location"]) == (303, "/queue?state=missing")
    cookie = shown.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "s3cret" not in cookie
    page = await stranger.get("/queue")
    assert page.status_code == 200
    assert "Sign out" in page.text
    left = await stranger.post("/logout", headers={"Origin": OWN})
    assert left.headers["location"] == "/login"
    assert (await stranger.get("/queue")).status_code == 303


@pytest.mark.parametrize("token", ["", "s3cre", "S3CRET", "'\"><script>alert(1)</script>", "\udcff", "x" * 5000])
async def test_a_wrong_token_is_asked_for_again_and_not_shown(stranger: httpx.AsyncClient, token: str) -> None:
    body = urlencode({"token": token, "next": "/"}, errors="surrogatepass")
    headers = {"Origin": OWN, "Content-Type": "application/x-www-form-urlencoded"}
    answer = await stranger.post("/login", content=body, headers=headers)
    assert answer.status_code in (400, 401)
    assert "set-cookie" not in answer.headers
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "following", ["//evil.example", "https://evil.example", "/\\evil.example", "/%2fevil.example", '/"><b>', "", "x"]
)
async def test_a_login_leads_nowhere_else(stranger: httpx.AsyncClient, following: str) -> None:
    form = await stranger.get("/login", params={"next": following})
    assert 'name="next" value="/"' in form.text
    answer = await stranger.post("/login", data={"token": "s3cret", "next": following}, headers={"Origin": OWN})
    assert answer.headers["location"] == "/"


async def test_without_a_token_nobody_is_asked_for_one(client: httpx.AsyncClient) -> None:
    assert (await client.get("/login")).headers["location"] == "/"
    assert "Sign out" not in (await client.get("/")).text


def test_the_wheel_holds_every_piece_of_the_page() -> None:
    top = WEB.parents[2]
    held = {Path(file.path) for file in WheelBuilder(str(top)).recurse_included_files()}
    pieces = {path for path in WEB.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")}
    assert len(pieces) > len(VIEWS)
    assert pieces <= held
