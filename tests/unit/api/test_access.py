"""The access rules as one table: what is known of a request, and the status that refuses it (0: it may go on)."""

import pytest

from modelkeep.api.access import (
    JSON_BYTES_MAX,
    UPLOAD_BYTES_MAX,
    AccessRules,
    Asked,
    Transport,
    deny_stranger,
    deny_unfit,
)

PAGE = "http://127.0.0.1:8188"
OPEN = AccessRules(allowed_origins=(PAGE,), own_names=("workstation", "workstation.local"))
TOKEN = AccessRules(host="0.0.0.0", token="s3cret", allowed_origins=(PAGE,), own_names=("workstation",))
SHOWN = {"authorization": "Bearer s3cret"}
JSON = {"content-type": "application/json", "content-length": "2"}


def asked(
    method: str = "GET",
    headers: dict[str, str] | None = None,
    *,
    path: str = "/api/status",
    client: str | None = "127.0.0.1",
    server: tuple[str, int] = ("127.0.0.1", 8189),
    unix: bool = False,
) -> Asked:
    given = {"host": f"{server[0]}:{server[1]}", **(headers or {})}
    return Asked(
        method,
        path,
        Transport.UNIX if unix else Transport.TCP,
        None if unix else client,
        None if unix else server,
        {name: [value] for name, value in given.items() if value is not None},
    )


def status(rules: AccessRules, request: Asked) -> int:
    denial = deny_stranger(rules, request) or deny_unfit(rules, request)
    return denial.status if denial else 0


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("127.0.0.1", 0),
        ("127.9.9.9", 0),
        ("::1", 0),
        ("::ffff:127.0.0.1", 0),
        ("192.168.1.7", 403),
        ("::ffff:192.168.1.7", 403),
        ("fe80::1%eth0", 403),
        ("localhost", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_without_a_token_only_this_machine_may_call(client: str | None, expected: int) -> None:
    assert status(OPEN, asked(client=client)) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer s3cret", 0),
        ("bearer s3cret", 0),
        ("Bearer  s3cret ", 0),
        ("Bearer s3cre", 401),
        ("Bearer s3cret2", 401),
        ("Bearer S3CRET", 401),
        ("Bearer", 401),
        ("Bearer \xff\xfe", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("", 401),
    ],
)
@pytest.mark.parametrize("client", ["127.0.0.1", "192.168.1.7"])
def test_with_a_token_everybody_on_tcp_has_to_show_it(client: str, header: str, expected: int) -> None:
    server = ("192.168.1.5", 8189)
    assert status(TOKEN, asked(headers={"authorization": header}, client=client, server=server)) == expected


@pytest.mark.parametrize(("rules", "expected"), [(OPEN, 403), (TOKEN, 0)])
def test_names_that_others_in_the_network_can_give_count_only_where_a_token_is_asked_for(
    rules: AccessRules, expected: int
) -> None:
    headers = {"authorization": "Bearer s3cret", "host": "workstation:8189"}
    assert status(rules, asked(headers=headers)) == expected
    assert status(rules, asked("POST", {**headers, **JSON, "origin": "http://workstation:8189"})) == expected


def test_a_refused_token_tells_how_to_send_one() -> None:
    denial = deny_unfit(TOKEN, asked())
    assert denial is not None
    assert denial.headers == {"WWW-Authenticate": "Bearer"}
    assert "s3cret" not in denial.sentence


@pytest.mark.parametrize("rules", [OPEN, TOKEN])
def test_the_unix_socket_needs_no_token_and_any_host_will_do(rules: AccessRules) -> None:
    assert status(rules, asked(headers={"host": "modelkeep"}, unix=True)) == 0
    assert status(rules, asked("POST", {"host": "anything", **JSON}, unix=True)) == 0


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8189", 0),
        ("127.0.0.1", 0),
        ("localhost:8189", 0),
        ("LOCALHOST", 0),
        ("[::1]:8189", 0),
        ("[::1]", 0),
        ("[0:0:0:0:0:0:0:1]:8189", 0),
        ("workstation:8189", 403),
        ("workstation.local:8189", 403),
        ("127.0.0.1:8190", 403),
        ("localhost:80", 403),
        ("evil.example", 403),
        ("evil.example:8189", 403),
        ("localhost.evil.example:8189", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:8189@evil.example", 403),
        ("evil.example/localhost", 403),
        ("::1", 403),
        ("0.0.0.0:8189", 403),
        ("localhost:", 403),
        ("localhost:8189 ", 403),
        ("localhost:99999999999", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_a_host_that_is_not_this_server_is_refused(host: str | None, expected: int) -> None:
    assert status(OPEN, asked(headers={"host": host})) == expected  # type: ignore[dict-item]  # None: no such header


def test_the_address_that_a_connection_arrived_at_is_our_own() -> None:
    own = asked(headers={**SHOWN, "host": "192.168.1.5:8189"}, server=("192.168.1.5", 8189))
    assert status(TOKEN, own) == 0
    for host in ("192.168.1.6:8189", "0.0.0.0:8189", "[::]:8189"):
        other = asked(headers={**SHOWN, "host": host}, server=("192.168.1.5", 8189))
        assert status(TOKEN, other) == 403


ORIGINS = [
    (PAGE, 0),
    ("http://127.0.0.1:8189", 0),
    ("http://localhost:8189", 0),
    ("http://[::1]:8189", 0),
    ("http://workstation:8189", 403),
    ("null", 403),
    ("", 403),
    ("http://evil.example", 403),
    ("http://127.0.0.1", 403),
    ("http://127.0.0.1:8190", 403),
    ("https://127.0.0.1:8189", 403),
    ("http://127.0.0.1:8188.evil.example", 403),
    ("http://127.0.0.1:8188/", 403),
    ("HTTP://127.0.0.1:8188", 403),
    ("http://localhost:8188", 403),
    ("http://x@127.0.0.1:8189", 403),
    ("file://", 403),
    ("chrome-extension://abcdef", 403),
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize(("origin", "expected"), ORIGINS)
def test_a_foreign_origin_is_refused_whatever_the_method(method: str, origin: str, expected: int) -> None:
    assert status(OPEN, asked(method, {"origin": origin})) == expected


def test_on_the_unix_socket_only_allowed_origins_pass() -> None:
    assert status(OPEN, asked(headers={"origin": PAGE}, unix=True)) == 0
    assert status(OPEN, asked(headers={"origin": "http://localhost:8189"}, unix=True)) == 403


def test_our_own_origin_leaves_out_the_port_only_where_it_is_80() -> None:
    assert status(OPEN, asked(headers={"origin": "http://localhost"}, server=("127.0.0.1", 80))) == 0


@pytest.mark.parametrize(
    ("method", "path", "site", "origin", "expected"),
    [
        ("POST", "/api/scan", "cross-site", None, 403),
        ("POST", "/api/scan", "same-site", None, 403),
        ("DELETE", "/api/pending/1", "cross-site", None, 403),
        ("POST", "/api/scan", "surprise", None, 403),
        ("POST", "/api/scan", "same-origin", None, 0),
        ("POST", "/api/scan", "none", None, 0),
        ("POST", "/api/scan", None, None, 0),
        ("POST", "/api/scan", "same-site", PAGE, 0),
        ("POST", "/api/scan", "cross-site", PAGE, 0),
        ("GET", "/api/scan", "cross-site", None, 403),
        ("GET", "/api/scan", "same-site", None, 403),
        ("GET", "/api/scan", "same-site", PAGE, 0),
        ("GET", "/api/scan", "none", None, 0),
        ("GET", "/api/scan", None, None, 0),
        ("GET", "/api/models", "cross-site", None, 0),
    ],
)
def test_a_page_of_another_site_changes_nothing(
    method: str, path: str, site: str | None, origin: str | None, expected: int
) -> None:
    headers = {name: value for name, value in (("sec-fetch-site", site), ("origin", origin)) if value is not None}
    assert status(OPEN, asked(method, headers, path=path)) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", 0),
        ("Application/JSON; charset=utf-8", 0),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
        (None, 415),
    ],
)
@pytest.mark.parametrize("length", [{"content-length": "9"}, {"transfer-encoding": "chunked"}])
def test_a_body_that_changes_something_has_to_be_json(
    kind: str | None, length: dict[str, str], expected: int
) -> None:
    headers = {**length, **({"content-type": kind} if kind is not None else {})}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert status(OPEN, asked(method, headers)) == expected


def test_a_request_without_a_body_needs_no_type() -> None:
    assert status(OPEN, asked("POST")) == 0
    assert status(OPEN, asked("POST", {"content-length": "0"})) == 0


def test_a_form_is_taken_where_images_are_uploaded_and_nowhere_else() -> None:
    form = {"content-type": "multipart/form-data; boundary=x", "content-length": "9"}
    assert status(OPEN, asked("POST", form, path="/api/images/upload")) == 0
    assert status(OPEN, asked("POST", form, path="/api/images/upload/")) == 415


@pytest.mark.parametrize(
    ("path", "length", "expected"),
    [
        ("/api/scan", str(JSON_BYTES_MAX), 0),
        ("/api/scan", str(JSON_BYTES_MAX + 1), 413),
        ("/api/scan", "9" * 30, 413),
        ("/api/scan", "9" * 5000, 413),
        ("/api/scan", "-1", 400),
        ("/api/scan", "1e3", 400),
        ("/api/scan", "²", 400),
        ("/api/images/upload", str(UPLOAD_BYTES_MAX), 0),
        ("/api/images/upload", str(UPLOAD_BYTES_MAX + 1), 413),
    ],
)
def test_a_body_that_says_it_is_too_large_is_refused(path: str, length: str, expected: int) -> None:
    headers = {"content-type": "application/json", "content-length": length}
    assert status(OPEN, asked("POST", headers, path=path)) == expected


@pytest.mark.parametrize(
    "name",
    ["host", "origin", "authorization", "content-type", "content-length", "cookie", "referer", "x-modelkeep-page"],
)
def test_a_header_that_comes_twice_is_refused(name: str) -> None:
    request = asked()
    headers = {**request.headers, name: ["127.0.0.1:8189", "127.0.0.1:8189"]}
    assert status(OPEN, Asked("GET", client="127.0.0.1", server=("127.0.0.1", 8189), headers=headers)) == 400


def test_the_origin_is_looked_at_before_the_token() -> None:
    assert status(TOKEN, asked(headers={"origin": "http://evil.example"})) == 403
