"""Puts the HTTP interface together."""

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
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
from modelkeep.api.answers_base import Failure
from modelkeep.api.backend import Backend
from modelkeep.api.docs import add_docs
from modelkeep.api.failures import answer_failures
from modelkeep.api.guard import Guard
from modelkeep.api.responses import Json

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


def create_app(backend: Backend, access: AccessRules, *, version: str) -> FastAPI:
    """Return the application, still unguarded.

    Args:
        backend: answers what is asked.
        access: who may call, for the documentation.
        version: of modelkeep.
    """
    # The guard checks the token; here it is only what /docs asks for.
    bearer = [Depends(HTTPBearer(auto_error=False))] if access.token else []
    app = FastAPI(
        title="modelkeep",
        version=version,
        summary="Keeps what is known about a model with the model, wherever the file goes.",
        default_response_class=Json,
        dependencies=bearer,
        responses={"4XX": {"model": Failure, "description": "what was wrong, in one sentence"}},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.backend = backend
    app.state.access = access
    answer_failures(app)
    for router in _ROUTERS:
        app.include_router(router)
    add_docs(app)
    return app


def guarded(app: ASGIApp, rules: AccessRules, transport: Transport) -> Guard:
    """Return the application behind its access rules; each way in gets a guard of its own."""
    return Guard(app, rules, transport)
