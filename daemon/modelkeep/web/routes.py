"""Where the page is; what makes it is loaded when somebody first asks for it."""

from functools import partial

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from modelkeep.api.session import LOGIN_PATH, LOGOUT_PATH, STATIC_PATH

VIEWS = {
    "/": "overview",
    "/decide": "decide",
    "/queue": "queue",
    "/library": "library",
    "/model/{sha256}": "model",
    "/duplicates": "duplicates",
    "/journal": "journal",
}
"""Which view a path shows; a template and a module of that name make it."""


def add_page(app: FastAPI) -> None:
    """Have an application serve the page."""
    for path, name in VIEWS.items():
        app.add_route(path, partial(_view, name), ["GET"], include_in_schema=False)
    app.add_route(LOGIN_PATH, _login, ["GET", "POST"], include_in_schema=False)
    app.add_route(LOGOUT_PATH, _logout, ["POST"], include_in_schema=False)
    app.mount(STATIC_PATH, _Static(packages=[("modelkeep.web", "static")]), name="static")


class _Static(StaticFiles):
    """Files of which a browser has to ask each time whether they are still the same: an upgrade changes them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the answer for a path."""
        answer = await super().get_response(path, scope)
        answer.headers.update({"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
        return answer


async def _view(name: str, request: Request) -> Response:
    from modelkeep.web import pages

    return pages.view(name, has_session=bool(request.app.state.access.token))


async def _login(request: Request) -> Response:
    from modelkeep.web import pages

    return await pages.login(request)


async def _logout(request: Request) -> Response:
    from modelkeep.web import pages

    return pages.logout(request)
