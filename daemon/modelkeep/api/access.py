"""Who may call: decided from what is known of a request before anything is done about it. Pure.

The dangers are other machines, other users' programs where a token is set, and above all the web pages that the owner
has open: a page may send requests to 127.0.0.1 (CSRF), and may make its own name resolve to 127.0.0.1 to read the
answers too (DNS rebinding). The browser says in `Host`, `Origin` and `Sec-Fetch-Site` on whose behalf it asks.
"""

import hmac
import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit

from modelkeep.api.session import LOGIN_PATH, LOGOUT_PATH, PAGE_HEADER, STATIC_PATH, shows_session
from modelkeep.domain.images import SOURCE_BYTES

JSON_BYTES_MAX = 1024 * 1024
UPLOAD_PATH = "/api/images/upload"
UPLOAD_BYTES_MAX = SOURCE_BYTES + JSON_BYTES_MAX
"""An image, and some room for the form around it."""

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WORKING_GETS = frozenset({"/api/scan", "/api/events"})
"""GETs that are more than a look: a scan, for which an older front end knows no other way to ask, and listening."""

OPEN_PATHS = frozenset({LOGIN_PATH, LOGOUT_PATH})
"""What asks for the token can be had without it, and what it is made of; both tell nothing of the library."""

_SINGLE_HEADERS = (
    "host",
    "origin",
    "authorization",
    "content-type",
    "content-length",
    "cookie",
    "referer",
    "sec-fetch-mode",
    "sec-fetch-site",
    PAGE_HEADER,
)
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:@/\[\]]+)(?::([0-9]{1,5}))?")


class Transport(StrEnum):
    """What a request came through."""

    TCP = "tcp"
    UNIX = "unix"
    """Its file mode admits the owner alone."""


def _own_names() -> tuple[str, ...]:
    name = socket.gethostname().lower()
    return (name, f"{name.split('.')[0]}.local")


@dataclass(frozen=True)
class AccessRules:
    """What the configuration says about callers.

    Args:
        host: `api.host`, the address that is listened on.
        token: `api.token`; when set, other machines may call, and everybody on TCP has to show it.
        allowed_origins: web pages that may ask besides the daemon's own, as browsers spell them.
        own_names: by which names this machine is known to others; they count where a token is set.
        import_folders: from where programs without the token may have old databases imported.
    """

    host: str = "127.0.0.1"
    token: str = field(default="", repr=False)
    allowed_origins: tuple[str, ...] = ()
    own_names: tuple[str, ...] = field(default_factory=_own_names)
    import_folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What is known of a request before its body is read.

    `client` is the caller's address, `server` the address and port that the connection arrived at, header names are
    lower-case.
    """

    method: str
    path: str = "/"
    transport: Transport = Transport.TCP
    client: str | None = None
    server: tuple[str, int | None] | None = None
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """Return a header's value, None when it did not come."""
        values = self.headers.get(name)
        return values[0] if values else None

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks if it may ask."""
        asks = self.header("access-control-request-method") is not None
        return self.method == "OPTIONS" and asks and self.header("origin") is not None

    @property
    def is_more_than_a_look(self) -> bool:
        """Whether something is done, or lasts."""
        return self.method not in READING_METHODS or self.path in WORKING_GETS

    @property
    def has_body(self) -> bool:
        """Whether a body follows, as far as the headers tell."""
        return (self.header("content-length") or "0") != "0" or self.header("transfer-encoding") is not None

    @property
    def body_bytes_max(self) -> int:
        """The largest body that is read."""
        return UPLOAD_BYTES_MAX if self.path == UPLOAD_PATH else JSON_BYTES_MAX


@dataclass(frozen=True)
class Denial:
    """A status and one sentence for the caller."""

    status: int
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)


def deny_stranger(rules: AccessRules, asked: Asked) -> Denial | None:
    """Return why a request comes from the wrong place: another machine, or on behalf of a foreign web page."""
    if any(len(asked.headers.get(name, ())) > 1 for name in _SINGLE_HEADERS):
        return Denial(400, "A header that may come once came several times.")
    if asked.transport is Transport.TCP:
        if not rules.token and not is_loopback(asked.client):
            return Denial(403, "Only programs on this machine may call; set api.token to let others in.")
        if not _is_own_host(rules, asked):
            return Denial(403, "The Host header names another server than this one.")
    return _deny_page(rules, asked)


def deny_unfit(rules: AccessRules, asked: Asked) -> Denial | None:
    """Return why a request from the right place is refused all the same: its token, or the kind of its body."""
    if asked.transport is Transport.TCP and rules.token and not _is_known(rules, asked):
        return _ask_for_token(asked)
    length = asked.header("content-length") or "0"
    if not (length.isascii() and length.isdigit()):
        return Denial(400, "The Content-Length header is no number.")
    if len(length) > 18 or int(length) > asked.body_bytes_max:
        return too_large(asked)
    if asked.is_more_than_a_look and asked.has_body and not _has_fitting_type(asked):
        return Denial(415, "The body has to be JSON, with the header  Content-Type: application/json.")
    return None


def is_owner(rules: AccessRules, transport: Transport) -> bool:
    """Return whether an admitted request is the owner's: it came through his socket, or had to show the token."""
    return transport is Transport.UNIX or bool(rules.token)


def is_token(rules: AccessRules, token: str) -> bool:
    """Return whether a text is the token; where none is set, none is."""
    same = hmac.compare_digest(token.encode("utf-8", "surrogatepass"), rules.token.encode("utf-8"))
    return same and bool(rules.token)


def may_name(rules: AccessRules, *paths: str) -> bool:
    """Return whether anybody may have these paths read; links are resolved on the disk, an empty path is none."""
    folders = [os.path.realpath(folder) for folder in rules.import_folders]
    return all(_is_in_one(path, folders) for path in paths if path)


def _is_in_one(path: str, folders: Sequence[str]) -> bool:
    if not Path(path).is_absolute():
        return False
    resolved = Path(os.path.realpath(path))
    return any(resolved.is_relative_to(folder) for folder in folders)


def too_large(asked: Asked) -> Denial:
    """Return what a body gets that is larger than what is read."""
    return Denial(413, f"The body is larger than {asked.body_bytes_max:,} bytes.")


def is_allowed_origin(rules: AccessRules, asked: Asked) -> bool:
    """Return whether the request is made for a page of this server, or one that the owner allowed."""
    origin = asked.header("origin")
    return origin is not None and (origin in rules.allowed_origins or _is_own_origin(rules, asked, origin))


def is_loopback(client: str | None) -> bool:
    """Return whether an address is this machine's own."""
    try:
        address = ipaddress.ip_address(client or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _deny_page(rules: AccessRules, asked: Asked) -> Denial | None:
    allowed = is_allowed_origin(rules, asked)
    if asked.header("origin") is not None and not allowed:
        return Denial(403, "That web page may not call; api.allowed_origins names those that may.")
    site = asked.header("sec-fetch-site")
    # Browsers leave Origin out of some requests (images, links); a page of another site shows itself here.
    if asked.is_more_than_a_look and not allowed and site not in (None, "same-origin", "none"):
        return Denial(403, "A web page of another site may not change anything here.")
    if asked.is_preflight and asked.header("access-control-request-method") not in METHODS:
        return Denial(403, "No such method is ever allowed.")
    return None


def _is_own_host(rules: AccessRules, asked: Asked) -> bool:
    match = _AUTHORITY.fullmatch(asked.header("host") or "")
    if match is None:
        return False
    return _spelled(match[1]) in _own_hosts(rules, asked) and match[2] in (None, str(_port(asked)))


def _is_own_origin(rules: AccessRules, asked: Asked, origin: str) -> bool:
    if not origin.startswith("http://"):
        return False
    match = _AUTHORITY.fullmatch(origin.removeprefix("http://"))
    # Without a port it is the scheme's own. A unix socket has none: no page is its own.
    return (
        match is not None
        and _spelled(match[1]) in _own_hosts(rules, asked)
        and (match[2] or "80") == str(_port(asked))
    )


def _own_hosts(rules: AccessRules, asked: Asked) -> set[str]:
    hosts = {"localhost", "127.0.0.1", "::1", _spelled(rules.host)}
    if rules.token:
        # Whoever answers on this network for such a name (mDNS, DHCP) could first serve a page under it and then
        # point it at us. That page knows no token; without one, only names count that nobody else can give.
        hosts.update(rules.own_names)
    if asked.server is not None:
        # The address at which the connection arrived, which is not the caller's to choose.
        hosts.add(_spelled(asked.server[0]))
    return hosts - {"", "0.0.0.0", "::"}  # noqa: S104 - addresses that nobody calls by


def _port(asked: Asked) -> int | None:
    return asked.server[1] if asked.server else None


def _spelled(host: str) -> str:
    """Return a host in the one spelling that is compared."""
    bare = host.removeprefix("[").removesuffix("]").lower()
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare


def _is_known(rules: AccessRules, asked: Asked) -> bool:
    """Return whether a request needs no token, or shows it, or comes with the session of who has shown it."""
    is_open = asked.path in OPEN_PATHS or asked.path.startswith(f"{STATIC_PATH}/")
    return is_open or _shows_token(rules, asked) or _is_in_session(rules, asked)


def _ask_for_token(asked: Asked) -> Denial:
    sentence = "A valid token is needed: send it as  Authorization: Bearer TOKEN."
    is_person = "text/html" in (asked.header("accept") or "") and asked.method in ("GET", "HEAD")
    if is_person and not asked.path.startswith("/api/"):
        return Denial(303, sentence, {"Location": f"{LOGIN_PATH}?next={quote(asked.path, errors='replace')}"})
    return Denial(401, sentence, {"WWW-Authenticate": "Bearer"})


def _shows_token(rules: AccessRules, asked: Asked) -> bool:
    scheme, _, token = (asked.header("authorization") or "").partition(" ")
    return is_token(rules, token.strip()) and scheme.lower() == "bearer"


def _is_in_session(rules: AccessRules, asked: Asked) -> bool:
    """Return whether a request comes from this server's own page in a browser that was shown the token.

    The browser sends its cookie with whatever pages of this host ask for, on every port: for a change the page has to
    show itself as well, by what pages of other ports cannot send.
    """
    if not shows_session(asked.header("cookie") or "", rules.token, _port(asked)):
        return False
    origin, site = asked.header("origin"), asked.header("sec-fetch-site")
    is_foreign = site not in (None, "same-origin", "none") and asked.header("sec-fetch-mode") != "navigate"
    if is_foreign or (origin is not None and not _is_own_origin(rules, asked, origin)):
        return False
    return not asked.is_more_than_a_look or _is_of_own_page(rules, asked)


def _is_of_own_page(rules: AccessRules, asked: Asked) -> bool:
    if asked.header(PAGE_HEADER) is not None or asked.header("sec-fetch-site") == "same-origin":
        return True
    # An EventSource can set no header, and is told apart by no other one on a plain connection.
    origin = asked.header("origin") or _origin_of(asked.header("referer") or "")
    return _is_own_origin(rules, asked, origin)


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def _has_fitting_type(asked: Asked) -> bool:
    kind = (asked.header("content-type") or "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return asked.path == UPLOAD_PATH
    return kind == ("application/x-www-form-urlencoded" if asked.path in OPEN_PATHS else "application/json")
