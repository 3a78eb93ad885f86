"""What a browser keeps after its owner has shown the token. Pure.

Not the token itself: cookies know no ports, so every server of this host is sent them.
"""

import hmac

LOGIN_PATH = "/login"
LOGOUT_PATH = "/logout"
STATIC_PATH = "/static"
"""Of what the page is made."""

PAGE_HEADER = "x-modelkeep-page"
"""Set by the page's own scripts; a page of another origin would have to ask for leave first, and gets none."""


def cookie_name(port: int | None) -> str:
    """Return the name of the cookie: daemons of one host have one each."""
    return f"modelkeep-{port or 0}"


def session_of(token: str) -> str:
    """Return the cookie's value; another token makes it worthless."""
    return hmac.digest(token.encode(), b"the session of a page of modelkeep", "sha256").hex()


def shows_session(cookies: str, token: str, port: int | None) -> bool:
    """Return whether cookies hold the session.

    Args:
        cookies: the `Cookie` header.
        token: which the owner has set.
        port: at which the request arrived.
    """
    pairs = (cookie.strip().partition("=") for cookie in cookies.split(";"))
    shown = [value for name, _, value in pairs if name == cookie_name(port)]
    return any(hmac.compare_digest(value.encode("utf-8"), session_of(token).encode()) for value in shown)
