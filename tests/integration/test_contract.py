"""Every call of the interface, asked over TCP as the front end asks: its status, its keys and their types."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.integration.test_interface import shape_of
from tests.libraries import LegacyLibrary, put, safetensors, sha256_of
from tests.waiting import wait_until

TINY = (24, 16)
TAG = {"id": int, "name": str}
LISTED: dict[str, Any] = {
    "sha256": str,
    "name": str,
    "images_count": int,
    "type": str,
    "path": str,
    "size_bytes": int,
    "created_at": int,
    "tags": list,
}
PROMPTS = {"positive": str, "negative": str}
FULL: dict[str, Any] = {
    **{key: LISTED[key] for key in LISTED if key != "images_count"},
    "meta_json": {"description": str, "community_links": str, "images_count": int, "prompts": PROMPTS},
}
PENDING: dict[str, Any] = {"id": int, "name": str, "image": str, "type": str, "tags": list}
PENDING_FULL: dict[str, Any] = {
    "id": int,
    **FULL,
    "meta_json": {"description": str, "community_links": str, "images": list, "prompts": PROMPTS},
}
REPORT = {"total": int, "success": list, "conflict": list, "ignored": list, "deleted": list, "failed": list}
CONTROLLER = {"status": str, "state": str, "paused": bool, "pending": dict, "hashing": dict}
SCANNED = {"status": str, "scanned": int, "added": int, "pending_ids": list, "skipped": int}


class FrontEnd:
    """Asks over TCP, and remembers which calls it made."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.url = str(client.base_url).rstrip("/")
        self.made: set[tuple[str, str]] = set()

    def ask(self, method: str, template: str, status: int = 200, like: Any = None, **options: Any) -> Any:
        """Make a call that is answered with a status and in a shape; `names` are put into its address."""
        names = options.pop("names", {})
        self.made.add((method, template))
        answer = self._client.request(method, template.format_map(names), **options)
        assert answer.status_code == status, (method, template, answer.text)
        if not answer.headers["content-type"].startswith("application/json"):
            return answer
        content = answer.json()
        if status >= 400:
            assert isinstance(content["error"], str)
        if like is not None:
            assert shape_of(content, like) == like, (method, template)
        return content


@pytest.fixture
def front_end(make_daemon: DaemonMaker) -> Iterator[tuple[DaemonProcess, FrontEnd]]:
    daemon = make_daemon(tables={"api": {"token": "s3cret"}}).start()
    with httpx.Client(
        base_url=daemon.url, headers={"Authorization": "Bearer s3cret"}, timeout=60, verify=False
    ) as client:
        yield daemon, FrontEnd(client)


def test_every_call_does_what_the_front_end_relies_on(
    tmp_path: Path, models: Path, front_end: tuple[DaemonProcess, FrontEnd]
) -> None:
    daemon, page = front_end
    files = {name: put(models / "loras" / f"{name}.pt", safetensors(text)) for name, text in LIBRARY.items()}
    sha256 = daemon.wait_model(files["hero"])
    daemon.wait_idle()
    _control(page)
    _look_at_the_library(page, sha256)
    _edit(page, sha256)
    _images(page, sha256)
    _other_tools(page, sha256)
    _pending(page, tmp_path, files, sha256)
    _forget(page, daemon, files["alone"])
    described = page.ask("GET", "/openapi.json")["paths"]
    known = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert page.made - {("GET", "/openapi.json"), ("GET", "/docs")} == known - {("GET", "/api/events")}


LIBRARY = {"hero": "hero", "alone": "alone"}


def _control(page: FrontEnd) -> None:
    assert page.ask("GET", "/healthz") == {"status": "ready"}
    page.ask("GET", "/docs")
    for action, state in (("pause", "paused"), ("resume", "running"), ("pause", "paused"), ("start", "running")):
        assert page.ask("POST", f"/api/migration/{action}", like=CONTROLLER)["state"] == state
    page.ask("GET", "/api/migration/status", like=CONTROLLER)
    assert page.ask("GET", "/api/status")["state"] == "running"
    assert page.ask("GET", "/api/address") == {"url": page.url}
    for method in ("GET", "POST"):
        assert page.ask(method, "/api/scan", like=SCANNED)["scanned"] == len(LIBRARY)
    assert page.ask("GET", "/api/journal", params={"event": "daemon.*"})["records"][0]["event"] == "daemon.started"
    for params, seqs in (({"after": 1, "limit": 2}, [2, 3]), ({"after": 0, "limit": 1}, [1])):
        paged = page.ask("GET", "/api/journal", params=params, like={"records": list})["records"]
        assert [record["seq"] for record in paged] == seqs
    copies = {"duplicates": list, "siblings": list, "freeable_bytes": int}
    assert page.ask("GET", "/api/duplicates", like=copies)["duplicates"] == []


def _look_at_the_library(page: FrontEnd, sha256: str) -> None:
    assert page.ask("GET", "/api/models/get_types", like={"types": list})["types"] == ["loras"]
    for params, count in (({}, 2), ({"type": "loras"}, 2), ({"type": "others"}, 0), ({"q": "hero", "limit": 1}, 1)):
        listed = page.ask("GET", "/api/models", params=params, like={"models": list})["models"]
        assert [shape_of(model, LISTED) for model in listed] == [LISTED] * count
    for params, count in (({}, 2), ({"text": "HERO loras", "order": "newest", "limit": 1}, 1), ({"tag": "anime"}, 0)):
        looked_through = page.ask("GET", "/api/models/browse", params=params, like={"models": list})["models"]
        assert [shape_of(model, LISTED) for model in looked_through] == [LISTED] * count
    counts = page.ask("GET", "/api/models/count", params={"text": "hero"}, like={"total": int, "types": list})
    assert counts == {"total": 1, "types": [{"type": "loras", "models": 1}]}
    assert page.ask("GET", "/api/models/find", params={"q": sha256[:8]})["models"][0]["sha256"] == sha256
    page.ask("GET", "/api/models/{sha256}", like=FULL, names={"sha256": sha256})
    page.ask("GET", "/api/models/{sha256}", 404, names={"sha256": "0" * 64})
    details = page.ask("GET", "/api/models/{sha256}/details", names={"sha256": sha256})
    assert [place["state"] for place in details["locations"]] == ["present"]


def _edit(page: FrontEnd, sha256: str) -> None:
    tags = page.ask("POST", "/api/tags_add", json={"newtags": ["anime", "best", "anime"]})["tags"]
    assert [shape_of(tag, TAG) for tag in tags] == [TAG, TAG]
    assert page.ask("GET", "/api/tags") == {"tags": tags}
    whole = page.ask("GET", "/api/models/{sha256}", names={"sha256": sha256})
    whole["meta_json"]["prompts"]["positive"] = "a hero"
    changed = {**whole, "tags": [tags[0]["id"]]}
    after = page.ask("PATCH", "/api/models/{sha256}", names={"sha256": sha256}, like=FULL, json=changed)
    assert after == {**whole, "tags": [tags[0]]}
    assert page.ask("GET", "/api/models", params={"tag": "anime"})["models"][0]["sha256"] == sha256
    page.ask("PATCH", "/api/tags/{id}", names=tags[0], json={"name": "Anime", "color": "#fc0"})
    page.ask("PATCH", "/api/tags/{id}", 409, names=tags[0], json={"name": "best"})
    page.ask("DELETE", "/api/tags/{id}", names=tags[1])
    page.ask("DELETE", "/api/tags/{id}", 404, names=tags[1])
    assert [(tag["name"], tag["models"]) for tag in page.ask("GET", "/api/tags/details")["tags"]] == [("Anime", 1)]


def _images(page: FrontEnd, sha256: str) -> None:
    for seed in (1, 2):
        form: dict[str, Any] = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(seed, TINY))}}
        added = page.ask("POST", "/api/images/upload", **form)
        assert added == {"status": "success", "base_name": f"{sha256}_{seed - 1}"}
    page.ask("POST", "/api/images/upload", 404, data={"sha256": "0" * 64}, files={"image": ("x.png", png(1, TINY))})
    page.ask("POST", "/api/images/upload", 415, data={"sha256": sha256}, files={"image": ("x.png", b"text")})
    names = [f"{sha256}_0.webp", f"{sha256}_1.webp"]
    assert page.ask("POST", "/api/images/get_sample_imgs", json={"hash": sha256}) == names
    assert page.ask("GET", "/api/images/get_img_count", params={"sha256": sha256}) == {"count": 2}
    for name in (*names, f"{sha256}.webp", sha256):
        params = {"quality": "low", "rev": "17", "t": "x"}  # whatever a page adds to get past its own cache
        shown = page.ask("GET", "/api/images/{name}", names={"name": name}, params=params)
        assert shown.headers["content-type"] == "image/webp"
    same = {"If-None-Match": shown.headers["etag"]}
    answer = page._client.get(f"/api/images/{sha256}", params={"quality": "low"}, headers=same)
    assert answer.status_code == 304
    page.ask("DELETE", "/api/images/delete", params={"sha256": sha256, "seq": 0})
    page.ask("GET", "/api/images/{name}", 404, names={"name": names[1]})


def _other_tools(page: FrontEnd, sha256: str) -> None:
    assert page.ask("GET", "/api/orphans") == {"orphans": []}
    page.ask("GET", "/api/orphans/{record_id}", 404, names={"record_id": 9999})
    page.ask("POST", "/api/orphans/{record_id}/resolve", 404, names={"record_id": 9999}, json={"sha256": sha256})
    page.ask("POST", "/api/orphans/resolve", 404, json={"ids": [9999], "sha256": sha256})
    page.ask("POST", "/api/models/{sha256}/inherit", 404, names={"sha256": sha256}, json={"origin": "0" * 64})
    assert page.ask("POST", "/api/models/{sha256}/confirm", names={"sha256": sha256})["model"]["sha256"] == sha256


def _pending(page: FrontEnd, folder: Path, files: dict[str, Path], sha256: str) -> None:
    page.ask("POST", "/api/migration/pause")
    copies = {name: put(files["hero"].with_name(f"{name}.pt"), files["hero"].read_bytes()) for name in COPIES}
    new = put(files["hero"].with_name("new.pt"), safetensors("new"))
    library = LegacyLibrary()
    for seed, path in enumerate((*copies.values(), new, files["hero"].with_name("gone.pt")), start=10):
        library.add(path, (".png", png(seed, TINY)), name=f"Called {path.stem}", tags=("old",))
    source = {"legacy_db_path": str(library.write(folder / "old"))}
    report = page.ask("POST", "/api/migration/migrate_legacy_db", json=source)
    assert report["status"] == "success"
    counts = ("migrated", "pending", "errors", "images_processed", "image_errors")
    assert (set(report["db_migration"]), report["db_migration"]["errors"]) == (set(counts), 0)
    again = {"kind": "hikaze", "source": source["legacy_db_path"]}
    assert "report" in json.loads(page.ask("POST", "/api/import", json=again).text.splitlines()[-1])

    rows = page.ask("GET", "/api/migration/pending_models")["models"]
    assert [shape_of(row, PENDING) for row in rows] == [PENDING] * len(rows)
    ids = {row["name"].removeprefix("Called "): row["id"] for row in rows}
    for name in (rows[0]["image"], str(rows[0]["id"])):
        original = page.ask("GET", "/api/images/pending/{name}", names={"name": name})
        assert original.headers["content-type"] == "image/png"
    row = page.ask("GET", "/api/migration/pending_model", params={"id": ids["new"]}, like=PENDING_FULL)
    assert row["tags"][0]["name"] == "old"
    page.ask("GET", "/api/migration/pending_model", 400, params={"id": "x"})
    page.ask("GET", "/api/migration/pending_model", 404, params={"id": 9999})

    asked = {"id": [ids["first"], ids["new"], 9999], "conflict_strategy": None}
    batch = page.ask("POST", "/api/migration/import_models", 207, json=asked, like=REPORT)
    assert (batch["success"], batch["failed"][0]["id"]) == ([ids["new"]], 9999)
    pending = {"id": ids["first"], "path": str(copies["first"])}
    assert batch["conflict"] == [{"pending": pending, "existing": {"id": sha256, "path": _path(page, sha256)}}]
    _resolve(page, ids, sha256)
    page.ask("POST", "/api/models/sha256", 403, json={"path": "/etc/passwd", "pending_status": "ignore"})
    page.ask("POST", "/api/models/sha256", 404, json={"path": f"{new}x.pt", "pending_status": "ignore"})
    told = page.ask("POST", "/api/models/sha256", json={"path": str(copies["third"]), "pending_status": "pending"})
    assert told == {"sha256": sha256, "action_taken": "merged"}  # as the configured strategy says
    known = page.ask("POST", "/api/models/sha256", json={"path": str(new), "pending_status": "ignore"})
    assert known == {"sha256": sha256_of(new)}


COPIES = ("first", "second", "third")


def _resolve(page: FrontEnd, ids: dict[str, int], sha256: str) -> None:
    one = {"id": ids["second"], "conf_strategy": None}
    sides = page.ask("POST", "/api/migration/import_a_model", 409, json=one)
    assert (sides["existing"]["sha256"], sides["pending"]["id"]) == (sha256, ids["second"])
    assert (shape_of(sides["existing"], FULL), shape_of(sides["pending"], PENDING_FULL)) == (FULL, PENDING_FULL)
    done = page.ask("POST", "/api/migration/import_a_model", json={**one, "conf_strategy": "merge"})
    assert done == {"status": "success", "sha256": sha256, "action_taken": "merged"}
    page.ask("POST", "/api/migration/import_a_model", 404, json=one)
    queue = page.ask("GET", "/api/pending", params={"state": "conflict"})["pending"]
    assert [row["id"] for row in queue] == [ids["first"]]
    both = page.ask("GET", "/api/pending/{pending_id}", names={"pending_id": ids["first"]})
    assert both["existing"]["model"]["sha256"] == sha256
    page.ask("DELETE", "/api/pending/{pending_id}", names={"pending_id": ids["first"]})
    assert page.ask("POST", "/api/pending/retry", json={"ids": [ids["gone"]]}) == {"retried": 1}


def _path(page: FrontEnd, sha256: str) -> str:
    return str(page.ask("GET", "/api/models/{sha256}", names={"sha256": sha256})["path"])


def _forget(page: FrontEnd, daemon: DaemonProcess, file: Path) -> None:
    sha256 = sha256_of(file)
    page.ask("DELETE", "/api/models/{sha256}", 409, names={"sha256": sha256})
    file.unlink()
    wait_until(lambda: daemon.rows("SELECT * FROM locations WHERE state = 'missing' AND sha256 = ?", sha256))
    page.ask("DELETE", "/api/models/{sha256}", names={"sha256": sha256})
    page.ask("DELETE", "/api/models/{sha256}", 404, names={"sha256": sha256})
