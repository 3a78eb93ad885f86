"""Makes the pages: a shell for each view, which its module fills, and the form that asks for the token."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from modelkeep.api.access import AccessRules, is_token
from modelkeep.api.session import LOGIN_PATH, cookie_name, session_of

SESSION_SECONDS = 180 * 24 * 3600
TOKEN_BYTES_MAX = 4096

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing comes from elsewhere, no script stands in a page, and no text can become markup."""

NAVIGATION = (
    ("overview", "/", "Overview"),
    ("decide", "/decide", "Decide"),
    ("queue", "/queue", "Queue"),
    ("library", "/library", "Library"),
    ("duplicates", "/duplicates", "Duplicates"),
    ("journal", "/journal", "Journal"),
)

SHOWN_UNDER = {"library": "model"}
"""Views that another one leads to; `library` is where a reader is who looks at a model."""

_OWN_PATH = re.compile(r"/(?:[A-Za-z0-9_-][A-Za-z0-9_/-]*)?(?:\?[A-Za-z0-9_=&%.+*~-]*)?")


def view(name: str, *, has_session: bool) -> Response:
    """Return the shell of a view.

    Args:
        name: of its template and its module.
        has_session: whether the reader came in with the token, and may leave.
    """
    return _page(name, has_session=has_session)


async def login(request: Request) -> Response:
    """Ask for the token; one that is right is kept as a session that scripts cannot read."""
    rules: AccessRules = request.app.state.access
    if not rules.token:
        return RedirectResponse("/", 303)
    if request.method != "POST":
        return _form(request.query_params.get("next", "/"))
    async with request.form(max_files=0, max_fields=4, max_part_size=TOKEN_BYTES_MAX) as form:
        token, following = str(form.get("token", "")).strip(), str(form.get("next", "/"))
    if not is_token(rules, token):
        return _form(following, problem="That is not the token. It stands in the configuration, as api.token.")
    answer = RedirectResponse(_own_path(following), 303)
    answer.set_cookie(
        _cookie(request), session_of(rules.token), max_age=SESSION_SECONDS, httponly=True, samesite="strict"
    )
    return answer


def logout(request: Request) -> Response:
    """End the session of this browser."""
    answer = RedirectResponse(LOGIN_PATH, 303)
    answer.delete_cookie(_cookie(request), httponly=True, samesite="strict")
    return answer


def _cookie(request: Request) -> str:
    server = request.scope.get("server")
    return cookie_name(server[1] if server else None)


def _form(following: str, problem: str = "") -> Response:
    return _page("login", status=401 if problem else 200, following=_own_path(following), problem=problem)


def _own_path(text: str) -> str:
    """Return where to go after the login: a path of this server, whatever a link to the form says."""
    return text if _OWN_PATH.fullmatch(text) else "/"


@cache
def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    known = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    known.globals.update(navigation=NAVIGATION, shown_under=SHOWN_UNDER)
    return known


def _page(name: str, status: int = 200, **values: object) -> Response:
    text = _environment().get_template(f"{name}.html").render(view=name, **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)
