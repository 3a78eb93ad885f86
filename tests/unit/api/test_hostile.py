"""Hostile requests: each is answered with a 4xx and one sentence, and changes nothing."""

from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

JSON = {"Content-Type": "application/json"}
HASH = b'{"path": "/srv/models/x.ckpt", "pending_status": "pending"}'
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
UPLOAD = (
    b'--x\r\nContent-Disposition: form-data; name="sha256"\r\n\r\n' + b"a" * 64 + b"\r\n"
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="../../x.png"\r\n\r\nbytes\r\n--x--\r\n'
)
DEEP = b'{"path":' + b"[" * 200_000 + b"]" * 200_000 + b"}"

HOSTILE: list[tuple[str, str, dict[str, str], bytes]] = [
    ("POST", "/api/scan", {"Host": "evil.example"}, b""),
    ("GET", "/api/scan", {"Host": "evil.example:8189"}, b""),
    ("POST", "/api/models/sha256", {**JSON, "Origin": "null"}, HASH),
    ("POST", "/api/models/sha256", {**JSON, "Origin": "http://evil.example"}, HASH),
    ("POST", "/api/models/sha256", {"Content-Type": "text/plain", "Origin": "http://evil.example"}, HASH),
    ("POST", "/api/models/sha256", {"Content-Type": "text/plain"}, HASH),
    ("POST", "/api/models/sha256", {"Content-Type": "application/x-www-form-urlencoded"}, b"path=%2Fx"),
    ("POST", "/api/models/sha256", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
    ("POST", "/api/models/sha256", {}, HASH),
    ("POST", "/api/scan", {"Sec-Fetch-Site": "cross-site"}, b""),
    ("GET", "/api/scan", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, b""),
    ("GET", "/api/migration/pause", {}, b""),
    ("DELETE", "/api/pending/7", {"Origin": "http://127.0.0.1:9999"}, b""),
    ("POST", "/api/models/sha256", JSON, b"x" * (2 * 1024 * 1024)),
    ("POST", "/api/models/sha256", JSON, DEEP),
    ("POST", "/api/models/sha256", JSON, b"{"),
    ("POST", "/api/models/sha256", JSON, b"\xff\xfe"),
    ("POST", "/api/models/sha256", JSON, b'{"path": NaN}'),
    ("POST", "/api/models/sha256", JSON, b'{"path": {"__proto__": 1}}'),
    ("POST", "/api/models/sha256", JSON, b'{"path": "\\ud800"}'),
    ("POST", "/api/models/sha256", JSON, b'{"path": "/x\\u0000"}'),
    ("POST", "/api/models/sha256", JSON, b"null"),
    ("POST", "/api/migration/import_a_model", JSON, b'{"id": 1e400}'),
    ("POST", "/api/migration/import_a_model", JSON, b'{"id": -1}'),
    ("POST", "/api/migration/import_a_model", JSON, b'{"id": ' + b"9" * 10_000 + b"}"),
    ("POST", "/api/migration/import_a_model", JSON, b'{"id": "1; DROP TABLE models"}'),
    ("POST", "/api/images/upload", {**FORM, "Origin": "http://evil.example"}, UPLOAD),
    ("POST", "/api/images/upload", {**FORM, "Sec-Fetch-Site": "cross-site"}, UPLOAD),
    ("POST", "/api/images/upload", {**FORM, "Host": "evil.example"}, UPLOAD),
    ("POST", "/api/images/upload", {"Content-Type": "text/plain"}, UPLOAD),
    ("POST", "/api/images/upload", JSON, b'{"sha256": "x", "image": "/etc/passwd"}'),
    ("POST", "/api/images/upload", FORM, UPLOAD.replace(b"; filename", b"; name")),
    ("POST", "/api/images/upload", FORM, UPLOAD.replace(b"a" * 64, b"../" * 20)),
    ("POST", "/api/images/upload", FORM, UPLOAD[:60]),
    ("POST", "/api/images/upload", FORM, b"--x\r\n" * 10_000),
    ("POST", "/api/images/upload", FORM, b"\0" * (2 * 1024 * 1024)),
    ("DELETE", "/api/images/delete?sha256=" + "a" * 64 + "&seq=0", {"Origin": "http://evil.example"}, b""),
    ("DELETE", "/api/images/delete?sha256=..%2f..%2fx&seq=0", {}, b""),
    ("DELETE", "/api/images/delete?sha256=" + "a" * 64 + "&seq=0%00", {}, b""),
    ("GET", "/api/images/delete?sha256=" + "a" * 64 + "&seq=0", {}, b""),
    ("DELETE", "/api/models/" + "a" * 64, {"Origin": "null"}, b""),
    ("DELETE", "/api/models/" + "a" * 64, {"Sec-Fetch-Site": "same-site"}, b""),
    ("DELETE", "/api/models/..%2f" + "a" * 64, {}, b""),
    ("GET", "/api/images/..%2f..%2f..%2fetc%2fpasswd", {}, b""),
    ("GET", "/api/images/pending/..%2f..%2fmodelkeep.db", {}, b""),
    ("GET", "/api/images/pending/../../modelkeep.db", {}, b""),
    ("GET", "/api/images/.staging%2fx", {}, b""),
    ("POST", "/api/images/get_sample_imgs", JSON, b'{"hash": "*"}'),
    ("POST", "/api/migration/import_models", JSON, b'{"id": [1e400]}'),
    ("POST", "/api/migration/import_models", JSON, b'{"id": [99999999999999999999]}'),
    ("POST", "/api/migration/import_models", {**JSON, "Origin": "http://evil.example"}, b'{"id": [7]}'),
    ("POST", "/api/migration/import_models", JSON, b'{"id": [' + b"1," * 200_000 + b"1]}"),
    ("POST", "/api/pending/retry", JSON, b'{"ids": [99999999999999999999]}'),
    ("POST", "/api/pending/retry", JSON, b'{"ids": {"1": 1}}'),
    ("DELETE", "/api/pending/x", {}, b""),
    ("DELETE", "/api/pending/-1", {}, b""),
    ("DELETE", "/api/pending/99999999999999999999999", {}, b""),
    ("DELETE", "/api/pending/" + "9" * 5000, {}, b""),
    ("DELETE", "/api/pending/7%2f..%2f..", {}, b""),
    ("GET", "/api/pending/1%00", {}, b""),
    ("GET", "/api/models/..%2f..%2fetc%2fpasswd", {}, b""),
    ("GET", "/api/models/%2e%2e/%2e%2e/etc/passwd", {}, b""),
    ("GET", "/api/models/" + "a" * 63 + "%0a", {}, b""),
    ("GET", "/api/models/" + "a" * 64 + "/../../etc", {}, b""),
    ("GET", "/api/models?limit=99999999999999999999999", {}, b""),
    ("GET", "/api/models/find?q=", {}, b""),
    ("GET", "/api/journal?since=-5", {}, b""),
    ("GET", "/api/journal?since=9999999999999999999999", {}, b""),
    ("GET", "/api/journal?limit=1000001", {}, b""),
    ("GET", "//etc/passwd", {}, b""),
    ("GET", "/api/../../etc/passwd", {}, b""),
    ("BREW", "/api/scan", {}, b""),
    ("TRACE", "/api/status", {}, b""),
    ("PUT", "/api/scan", {**JSON, "X-HTTP-Method-Override": "POST"}, b"{}"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body"), HOSTILE)
async def test_a_hostile_request_is_a_4xx_and_changes_nothing(
    client: httpx.AsyncClient, backend: "FakeBackend", method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = await client.request(method, path, headers=headers, content=body)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"]
    assert backend.changes == []


async def test_an_error_never_repeats_what_was_sent(client: httpx.AsyncClient) -> None:
    huge = "y" * 100_000
    body = {"path": "/x", "pending_status": huge}
    answer = await client.post("/api/models/sha256", json=body)
    assert answer.status_code == 422
    assert len(answer.content) < 500
