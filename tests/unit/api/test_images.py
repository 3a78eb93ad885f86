"""Images over HTTP: names are parsed, forms are bounded, and a browser may keep what it has."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from modelkeep.api.access import AccessRules
from modelkeep.api.app import create_app
from modelkeep.domain.images import SOURCE_BYTES
from modelkeep.errors import Busy, Conflict, ImageError, ImageTooLarge, NotFound, StorageError

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

A = "a" * 64
B = "b" * 64


@pytest.fixture
def folder(backend: "FakeBackend", tmp_path: Path) -> Path:
    backend.images = tmp_path
    return tmp_path


async def test_the_number_of_images_is_told_and_none_for_a_model_that_is_not_known(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/api/images/get_img_count", params={"sha256": A})).json() == {"count": 1}
    assert (await client.get("/api/images/get_img_count", params={"sha256": B})).json() == {"count": 0}
    answer = await client.get("/api/images/get_img_count")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("sha256 in the query")


async def test_the_names_of_a_models_images_are_told(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/images/get_sample_imgs", json={"hash": A.upper()})).json() == [f"{A}_0.webp"]
    assert (await client.post("/api/images/get_sample_imgs", json={"hash": B})).json() == []
    for body in ({}, {"hash": "x"}, {"hash": 7}):
        answer = await client.post("/api/images/get_sample_imgs", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("hash in the body")


@pytest.mark.parametrize(
    ("asked", "seq", "quality"),
    [
        (f"{A}_2.webp", 2, "high"),
        (f"{A}_2.webp?quality=low&rev=17", 2, "low"),
        (f"{A}.webp?quality=medium", 0, "medium"),
        (f"{A}", 0, "high"),
        (f"{A.upper()}_0.webp", 0, "high"),
    ],
)
async def test_a_image_is_answered_by_each_of_its_names(
    client: httpx.AsyncClient, folder: Path, asked: str, seq: int, quality: str
) -> None:
    (folder / f"aaaa-{seq}-{quality}.webp").write_bytes(b"image")
    answer = await client.get(f"/api/images/{asked}")
    assert (answer.status_code, answer.content) == (200, b"image")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x",
            f"{A}_01.webp",
            f"{A}_-1.webp",
            f"{A}_1234567890.webp",
            f"{A}_0_high.webp",
            f"{A}_0.png",
            f"{A}a.webp",
        ),
        *("..%2f..%2fetc%2fpasswd", "%2e%2e", f"..%2f{A}_0.webp", f"{A}_0.webp%00", f"{A}_0.webp%0a", "%ff%fe"),
        *("pending/..%2f7.png", "pending/7.png%00", "pending/0", "pending/99999999999999999999", "pending/8"),
        *("pending/7.jpg", "pending/%D9%A7", f"{A}_%D9%A7.webp", "pending/9999999999999999999", "pending/7-x.png"),
    ],
)
async def test_a_name_that_is_none_opens_nothing(client: httpx.AsyncClient, folder: Path, name: str) -> None:
    for file in ("7.png", "aaaa-0-high.webp"):
        (folder / file).write_bytes(b"secret")
    answer = await client.get(f"/api/images/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]


async def test_a_quality_that_there_is_not_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/api/images/{A}_0.webp?quality=best")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("quality in the query")


async def test_what_the_caller_has_is_not_sent_again_until_it_is_another_image(
    client: httpx.AsyncClient, folder: Path
) -> None:
    file = folder / "aaaa-0-high.webp"
    file.write_bytes(b"first")
    tag = (await client.get(f"/api/images/{A}_0.webp")).headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        answer = await client.get(f"/api/images/{A}_0.webp", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    (folder / "next").write_bytes(b"other")
    (folder / "next").replace(file)  # as a later image that moves down
    answer = await client.get(f"/api/images/{A}_0.webp", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (200, b"other")


async def test_a_link_or_a_folder_in_the_place_of_a_image_is_not_followed(
    client: httpx.AsyncClient, folder: Path
) -> None:
    (folder / "aaaa-0-high.webp").symlink_to("/etc/passwd")
    (folder / "aaaa-1-high.webp").mkdir()
    for seq in (0, 1):
        assert (await client.get(f"/api/images/{A}_{seq}.webp")).status_code == 404


async def test_a_rows_image_is_answered_by_id_and_by_name_as_it_came(client: httpx.AsyncClient, folder: Path) -> None:
    (folder / "7.png").write_bytes(b"<html>")
    for name in ("7", "7.png"):
        answer = await client.get(f"/api/images/pending/{name}")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"<html>", "image/png")


async def test_a_image_is_uploaded(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answer = await client.post("/api/images/upload", data={"sha256": A.upper()}, files={"image": b"bytes"})
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "base_name": f"{A}_3"})
    assert backend.changes == [("add", A, b"bytes")]


@pytest.mark.parametrize(
    ("data", "files", "said"),
    [
        ({"sha256": A}, {"other": b"x"}, "image in the form"),
        ({"sha256": A, "image": "text"}, {}, "image in the form"),
        ({}, {"image": b"x"}, "sha256 in the form"),
        ({"sha256": "nonsense"}, {"image": b"x"}, "sha256 in the form"),
    ],
)
async def test_a_form_that_lacks_something_is_told_what(
    client: httpx.AsyncClient, backend: "FakeBackend", data: dict[str, str], files: dict[str, bytes], said: str
) -> None:
    # httpx sends a form without files in another way: an empty file makes it one with parts.
    answer = await client.post("/api/images/upload", data=data, files=files or {"unused": b""})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)
    assert backend.changes == []


async def test_a_form_that_is_broken_is_400(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    many = [("image", (f"{number}.png", b"x")) for number in range(20)]
    kind = {"Content-Type": "multipart/form-data"}
    for answer in (
        await client.post("/api/images/upload", data={"sha256": A}, files=many),
        await client.post("/api/images/upload", content=b"nothing", headers=kind),
        await client.post(
            "/api/images/upload",
            content=b"nothing",
            headers={**kind, "Content-Type": kind["Content-Type"] + "; boundary=x"},
        ),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("The form")
    assert backend.changes == []


async def test_a_form_whose_sender_goes_away_changes_nothing(backend: "FakeBackend") -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\nbytes'
    coming = [{"type": "http.request", "body": head, "more_body": True}, {"type": "http.disconnect"}]
    answered: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/images/upload",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
    }
    await create_app(backend, AccessRules(), version="1")(scope, receive, send)
    assert answered[0]["status"] == 400
    assert backend.changes == []


async def test_a_image_of_one_byte_too_much_is_413(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answer = await client.post("/api/images/upload", data={"sha256": A}, files={"image": bytes(SOURCE_BYTES + 1)})
    assert answer.status_code == 413
    assert "64 MB" in answer.json()["error"]
    assert backend.changes == []


async def test_a_image_is_removed(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    answer = await client.delete("/api/images/delete", params={"sha256": A, "seq": 0})
    assert answer.json() == {"status": "success", "count": 2}
    assert backend.changes == [("remove", A, 0)]


@pytest.mark.parametrize("seq", ["", "-1", "x", "1.5", "9999999999", "9" * 5000])
async def test_a_number_that_no_image_can_have_is_named(
    client: httpx.AsyncClient, backend: "FakeBackend", seq: str
) -> None:
    answer = await client.delete("/api/images/delete", params={"sha256": A, "seq": seq})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("seq in the query")
    assert backend.changes == []


async def test_a_model_is_purged(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    assert (await client.delete(f"/api/models/{A.upper()}")).json() == {"status": "success"}
    assert (await client.delete("/api/models/nonsense")).status_code == 404
    assert backend.changes == [("purge", A)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("none"), 404),
        (ImageError("no image"), 415),
        (ImageTooLarge("too many pixels"), 413),
        (Conflict("its file is there"), 409),
        (Busy("wait"), 423),
        (StorageError("the disk is full"), 507),
    ],
)
async def test_each_failure_has_its_status(
    client: httpx.AsyncClient, backend: "FakeBackend", error: Exception, status: int
) -> None:
    backend.error = error
    for answer in (
        await client.post("/api/images/upload", data={"sha256": A}, files={"image": b"bytes"}),
        await client.delete("/api/images/delete", params={"sha256": A, "seq": 0}),
        await client.delete(f"/api/models/{A}"),
    ):
        assert (answer.status_code, answer.json()) == (status, {"error": str(error)})
