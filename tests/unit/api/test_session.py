"""The session of a browser that was shown the token: what its cookie opens, and for which pages."""

import pytest

from modelkeep.api.access import AccessRules, Asked, deny_stranger, deny_unfit
from modelkeep.api.session import cookie_name, session_of

ALLOWED = "http://192.168.1.5:8188"
OWN = "http://192.168.1.5:8189"
RULES = AccessRules(host="0.0.0.0", token="s3cret", allowed_origins=(ALLOWED,), own_names=("workstation",))
COOKIE = f"theme=dark; {cookie_name(8189)}={session_of('s3cret')}; other=1"


def status(
    method: str, path: str, headers: dict[str, str | None], cookie: str | None = COOKIE, rules: AccessRules = RULES
) -> int:
    """Return the status that refuses what a browser of another machine asks, 0 when it may go on."""
    given = {"host": "192.168.1.5:8189", "cookie": cookie, **headers}
    asked = Asked(
        method,
        path,
        client="192.168.1.7",
        server=("192.168.1.5", 8189),
        headers={name: [value] for name, value in given.items() if value is not None},
    )
    denial = deny_stranger(rules, asked) or deny_unfit(rules, asked)
    return denial.status if denial else 0


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (COOKIE, 0),
        (f"{cookie_name(8189)}=s3cret", 401),
        (f"{cookie_name(8189)}=", 401),
        (f"{cookie_name(8190)}={session_of('s3cret')}", 401),
        (f"{cookie_name(8189)}={session_of('another')}", 401),
        (f"{cookie_name(8189)}={session_of('')}", 401),
        (f"{cookie_name(8189)}=\xff\xfe", 401),
        (";;=;", 401),
        (None, 401),
    ],
)
def test_only_the_session_of_the_token_that_is_set_opens(cookie: str | None, expected: int) -> None:
    assert status("GET", "/api/status", {}, cookie) == expected


@pytest.mark.parametrize(
    ("headers", "look", "change"),
    [
        ({}, 0, 401),
        ({"x-modelkeep-page": "1"}, 0, 0),
        ({"origin": OWN}, 0, 0),
        ({"sec-fetch-site": "same-origin"}, 0, 0),
        ({"referer": f"{OWN}/queue"}, 0, 0),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, 0, 401),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}, 0, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 401, 403),
        ({"sec-fetch-site": "cross-site"}, 401, 403),
        ({"referer": f"{ALLOWED}/"}, 0, 401),
        ({"referer": "http://[::1"}, 0, 401),
        ({"referer": f"{OWN}.evil.example/"}, 0, 401),
        ({"origin": ALLOWED}, 401, 401),
        ({"origin": ALLOWED, "x-modelkeep-page": "1"}, 401, 401),
        ({"origin": "http://192.168.1.5:8190"}, 403, 403),
        ({"origin": "null"}, 403, 403),
    ],
)
def test_the_cookie_counts_for_this_servers_own_page_alone(
    headers: dict[str, str | None], look: int, change: int
) -> None:
    assert status("GET", "/api/models", headers) == look
    for method, path in (("POST", "/api/scan"), ("GET", "/api/scan"), ("DELETE", "/api/pending/1")):
        assert status(method, path, headers) == change, (method, path)
    assert status("GET", "/api/events", headers) == change


@pytest.mark.parametrize(
    ("method", "path", "accept", "expected"),
    [
        ("GET", "/", "text/html,*/*", 303),
        ("GET", "/docs", "text/html,*/*", 303),
        ("GET", "/", "*/*", 401),
        ("GET", "/api/models", "text/html,*/*", 401),
        ("POST", "/", "text/html,*/*", 401),
        ("GET", "/login", None, 0),
        ("POST", "/login", None, 0),
        ("GET", "/static/style.css", None, 0),
        ("GET", "/staticky", None, 401),
        ("GET", "/login/", None, 401),
    ],
)
def test_a_person_without_a_session_is_asked_for_the_token(
    method: str, path: str, accept: str | None, expected: int
) -> None:
    assert status(method, path, {"accept": accept}, cookie=None) == expected


def test_a_form_is_taken_where_the_token_is_asked_for_alone_and_only_from_there() -> None:
    form: dict[str, str | None] = {"content-type": "application/x-www-form-urlencoded", "content-length": "9"}
    assert status("POST", "/login", {**form, "origin": OWN}) == 0
    assert status("POST", "/login", {**form, "origin": "http://evil.example"}) == 403
    assert status("POST", "/login", {**form, "sec-fetch-site": "same-site"}) == 403
    assert status("POST", "/api/scan", {**form, "origin": OWN}) == 415
    assert status("POST", "/login", {**form, "content-type": "application/json"}) == 415


def test_without_a_token_no_cookie_opens_anything() -> None:
    cookie = f"{cookie_name(8189)}={session_of('')}"
    assert status("GET", "/api/status", {}, cookie, AccessRules()) == 403
