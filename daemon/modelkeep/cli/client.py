"""HTTP to the daemon over its unix socket; an answer that is an error becomes the exception that it stands for."""

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import httpx

from modelkeep.cli.exits import DaemonNotRunning
from modelkeep.errors import Busy, Conflict, DaemonError, ModelkeepError, NotFound, Outdated, OutsideRoots

if TYPE_CHECKING:
    from modelkeep.settings.model import Settings

Json = dict[str, Any]

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_READ_SECONDS = 10.0
"""A daemon answers what it knows at once: one that does not is stopped or stuck."""
_ERRORS: Mapping[int, type[ModelkeepError]] = {
    403: OutsideRoots,
    404: NotFound,
    409: Conflict,
    412: Outdated,
    423: Busy,
}


class DaemonClient:
    """A connection to a running daemon.

    Args:
        path: its unix socket.
        token: `api.token` of the configuration, if one is set.
    """

    def __init__(self, path: Path, token: str = "") -> None:
        self._path = path
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            # No TLS goes over it: httpx would read all certificates of the system for nothing.
            transport=httpx.HTTPTransport(uds=str(path), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
            base_url="http://localhost",
            headers=headers,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, *, slowly: bool = False, **parameters: object) -> Any:
        """Return the JSON answer to a question.

        Args:
            path: of the interface; parameters whose names stand in it in braces are put there.
            slowly: the daemon has to look at many files for it.
            parameters: all others make the query; those that are None are left out.
        """
        inner = {key: value for key, value in parameters.items() if f"{{{key}}}" in path}
        query = {key: value for key, value in parameters.items() if key not in inner}
        seconds = _ANSWER_SECONDS if slowly else _READ_SECONDS
        return self._call("GET", _with_query(path.format_map(inner), query), seconds=seconds)

    def post(self, path: str, body: object = None, *, patient: bool = False) -> Any:
        """Return the JSON answer to a request; `patient` waits as long as it takes (hashing, scanning)."""
        return self._call("POST", path, body, seconds=None if patient else _ANSWER_SECONDS)

    def patch(self, path: str, body: object, if_match: str = "") -> Any:
        """Return the JSON answer to a change; `if_match` is the version that it is about, if that counts."""
        return self._call("PATCH", path, body, headers={"If-Match": if_match} if if_match else {})

    def delete(self, path: str) -> Any:
        """Return the JSON answer to a deletion."""
        return self._call("DELETE", path)

    def post_stream(self, path: str, body: object) -> Iterator[Json]:
        """Yield the JSON Lines that answer a request, as they come."""
        with self._troubles_named(None):
            request = self._request("POST", path, body, None)
            response = self._http.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                    raise _error_of(response)
                yield from (json.loads(line) for line in response.iter_lines() if line.strip())
            finally:
                response.close()

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        seconds: float | None = _ANSWER_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        with self._troubles_named(seconds):
            request = self._request(method, path, body, seconds)
            request.headers.update(headers or {})
            response = self._http.send(request)
            if response.is_error:
                raise _error_of(response)
            return response.json() if response.content else {}

    def _request(self, method: str, path: str, body: object, seconds: float | None) -> httpx.Request:
        headers, content = {}, None
        if method in ("POST", "PATCH"):
            headers["Content-Type"] = "application/json"
            # ASCII: a path that is not UTF-8 travels as an escape that Python reads back as it was.
            content = json.dumps({} if body is None else body).encode("ascii")
        timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        return self._http.build_request(method, path, headers=headers, content=content, timeout=timeout)

    @contextmanager
    def _troubles_named(self, seconds: float | None) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise DaemonNotRunning(f"the daemon is not running: nothing answers at {self._path}") from error
        except httpx.TimeoutException as error:
            waited = f" (waited {seconds:.0f} s)" if seconds else ""
            raise DaemonError(
                f"the daemon does not answer{waited}: it is stopped or stuck; its log says why"
            ) from error
        except httpx.TransportError as error:
            raise DaemonError("the daemon stopped while it was answering; start it again and repeat") from error
        except ValueError as error:
            raise DaemonError(f"what answers at {self._path} is not modelkeep: it sent no JSON") from error


def connect(settings: "Settings") -> DaemonClient | None:
    """Return a connection to the daemon of these settings, None when it does not run.

    Raises:
        DaemonError: it runs, but for another user.
    """
    path = settings.socket_path
    if path is None:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except PermissionError as error:
            raise DaemonError(
                f"{path} belongs to another user; run this as the user whom the daemon runs as"
            ) from error
        except OSError:  # no such file, or a socket that a killed daemon left
            return None
    return DaemonClient(path, settings.api.token)


def require(settings: "Settings", start_with: str) -> DaemonClient:
    """Return a connection to the daemon.

    Args:
        settings: whose daemon.
        start_with: the command that starts it, for the sentence that tells so.

    Raises:
        DaemonNotRunning: it is off, or listens on no unix socket.
    """
    client = connect(settings)
    if client is not None:
        return client
    if settings.socket_path is None:
        raise DaemonNotRunning('the daemon cannot be reached because api.socket is ""; set it to "auto"')
    raise DaemonNotRunning(f"the daemon is not running; start it with: {start_with}")


def _with_query(path: str, parameters: Mapping[str, object]) -> str:
    given = {key: value for key, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given, errors='surrogateescape')}" if given else path


def _error_of(response: httpx.Response) -> ModelkeepError:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    sentence = answer.get("error") if isinstance(answer, dict) else None
    kind = _ERRORS.get(response.status_code, DaemonError)
    return kind(str(sentence) if sentence else f"the daemon answered {response.status_code} without saying why")
