"""Which calls name paths of the machine, and who may make them, call by call."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelkeep.api.access import AccessRules, Transport, may_name
from modelkeep.api.app import create_app

if TYPE_CHECKING:
    from tests.unit.api.conftest import ClientMaker, FakeBackend

BELOW_THE_ROOTS = {
    ("/api/models/sha256", "path"),
    ("/api/migration/import_a_model", "path"),
    ("/api/models/{sha256}", "path"),
}
"""Paths that the daemon compares with its roots, whoever asks (see `tests/integration/test_who_may_read.py`)."""

FOR_THE_OWNER = {
    ("/api/migration/migrate_legacy_db", "legacy_db_path"),
    ("/api/migration/migrate_legacy_db", "legacy_images_dir"),
    ("/api/import", "source"),
    ("/api/import", "images"),
}
ONLY_WORDS = {"kind", "pending_status", "conf_strategy", "conflict_strategy", "hash", "sha256", "image"}
ONLY_WORDS |= {"name", "type", "meta_json", "tags", "newtags", "color", "origin"}
MAPPED = {("/api/import", "map")}
"""Rewrites paths that the source holds; nothing is read because of it but what the source names."""

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/api/migration/migrate_legacy_db", {"legacy_db_path": "{}/db"}),
    ("/api/migration/migrate_legacy_db", {"legacy_db_path": "/old/db", "legacy_images_dir": "{}"}),
    ("/api/import", {"kind": "hikaze", "source": "{}/db"}),
    ("/api/import", {"kind": "hikaze", "source": "/old/db", "images": "{}"}),
    ("/api/import", {"kind": "hikaze", "source": "{}", "dry_run": True, "again": True}),
]
TOKEN = AccessRules(token="s3cret")


def filled(body: dict[str, Any], folder: str) -> dict[str, Any]:
    return {key: value.format(folder) if isinstance(value, str) else value for key, value in body.items()}


def test_every_text_in_a_body_is_a_path_that_somebody_judges_or_is_no_path(backend: "FakeBackend") -> None:
    document = create_app(backend, AccessRules(), version="1").openapi()
    texts = set()
    for path, methods in document["paths"].items():
        for method in methods.values():
            for media in method.get("requestBody", {}).get("content", {}).values():
                texts |= {(path, name) for name in _texts(media["schema"], document)}
    unjudged = {(path, name) for path, name in texts if name not in ONLY_WORDS}
    assert unjudged == BELOW_THE_ROOTS | FOR_THE_OWNER | MAPPED


def _texts(schema: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """Return the names of the fields that can hold a text."""
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            return _texts(document["components"]["schemas"][choice["$ref"].rsplit("/", 1)[-1]], document)
    fields = schema.get("properties", {})
    return {name for name, field in fields.items() if "string" in str(field) or "$ref" in str(field)}


@pytest.mark.parametrize(("path", "body"), CALLS)
@pytest.mark.parametrize("folder", ["/etc", "/nowhere", "relative", "~root", "/old/../etc", "/older"])
async def test_others_may_name_only_what_the_configuration_allows(
    make_client: "ClientMaker", backend: "FakeBackend", path: str, body: dict[str, Any], folder: str
) -> None:
    async with make_client() as client:
        answer = await client.post(path, json=filled(body, folder))
        assert (answer.status_code, folder in answer.text, backend.changes) == (403, False, [])
        assert (await client.post(path, json=filled(body, "/old/deep"))).is_success


@pytest.mark.parametrize(("path", "body"), CALLS)
async def test_the_owner_may_name_any_path(
    make_client: "ClientMaker", backend: "FakeBackend", path: str, body: dict[str, Any]
) -> None:
    async with make_client(AccessRules(), Transport.UNIX) as client:
        assert (await client.post(path, json=filled(body, "/etc"))).is_success
    async with make_client(TOKEN) as client:
        shown = {"Authorization": "Bearer s3cret"}
        assert (await client.post(path, json=filled(body, "/etc"))).status_code == 401
        assert (await client.post(path, json=filled(body, "/etc"), headers=shown)).is_success
    assert len(backend.changes) == 2


def test_a_path_is_judged_by_where_its_links_lead(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "out").symlink_to(outside)
    (outside / "in").symlink_to(inside)
    rules = AccessRules(import_folders=(inside,))
    assert may_name(rules, str(inside), str(outside / "in" / "db"), "")
    assert not may_name(rules, str(inside / "db"), str(inside / "out" / "db"))
    assert not may_name(AccessRules(), str(inside))
