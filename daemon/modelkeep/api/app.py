"""Puts the HTTP interface together."""

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from modelkeep.api import (
    control,
    duplicates,
    events,
    health,
    images,
    imports,
    journal,
    migration,
    models,
    orphans,
    pending,
    tags,
)
from modelkeep.api.access import AccessRules, Transport
from modelkeep.api.backend import Backend
from modelkeep.api.docs import add_docs
from modelkeep.api.failures import answer_failures
from modelkeep.api.guard import Guard

_ROUTERS = (
    health.router,
    models.router,
    tags.router,
    images.router,
    duplicates.router,
    pending.router,
    orphans.router,
    migration.router,
    control.router,
    imports.router,
    journal.router,
    events.router,
)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return what it says of itself; the guard checks the token, here it is only what /docs asks for."""
        document = super().openapi()
        if self.state.access.token:
            document["components"]["securitySchemes"] = {"HTTPBearer": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"HTTPBearer": []}]
        return document


def create_app(backend: Backend, access: AccessRules, *, version: str) -> FastAPI:
    """Return the application, still unguarded.

    Args:
        backend: answers what is asked.
        access: who may call, for the documentation.
        version: of modelkeep.
    """
    app = _Application(
        title="modelkeep",
        version=version,
        summary="Keeps what is known about a model with the model, wherever the file goes.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.backend = backend
    app.state.access = access
    answer_failures(app)
    for router in _ROUTERS:
        app.routes.extend(router.routes)  # FastAPI's `include_router` would have each made once more: 1 MB, 40 ms
    add_docs(app)
    return app


def guarded(app: ASGIApp, rules: AccessRules, transport: Transport) -> Guard:
    """Return the application behind its access rules; each way in gets a guard of its own."""
    return Guard(app, rules, transport)
