"""Serve the HTTP interface on TCP and on the unix socket."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Generator
from email.utils import formatdate
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import Server, ServerState

from modelkeep import __version__
from modelkeep.api.access import AccessRules, Transport
from modelkeep.api.app import create_app, guarded
from modelkeep.api.backend import Backend
from modelkeep.errors import SettingsError
from modelkeep.service.connections import Connection
from modelkeep.settings.model import Settings
from modelkeep.web.routes import add_page

GOODBYE_SECONDS = 2
"""How long open requests may take to end when the daemon stops."""


class _ServerState(ServerState):
    """What a server shares with its connections; tells the date when somebody asks."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of every answer."""
        return [(b"date", formatdate(usegmt=True).encode())]

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        """Leave them as they are."""


class _Server(Server):
    """A server that leaves the signals to the daemon, and sleeps while nobody asks anything.

    uvicorn's own wakes up ten times a second to see whether it is to end and what its answers have for a date.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.server_state = _ServerState()
        self._end = asyncio.Event()

    async def main_loop(self) -> None:
        """Return when it is to end."""
        await self._end.wait()

    def end(self) -> None:
        """Have it end."""
        self.should_exit = True
        self._end.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HttpInterface:
    """Both ways in.

    Args:
        settings: addresses and who may call.
        backend: what answers.
    """

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self._settings = settings
        self._rules = AccessRules(
            host=settings.api.host,
            token=settings.api.token,
            allowed_origins=settings.api.allowed_origins,
            import_folders=settings.import_folders,
        )
        self._app = create_app(backend, self._rules, version=__version__)
        add_page(self._app)
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[tuple[socket.socket, Transport]] = []
        self.url = ""

    def bind(self) -> None:
        """Take the addresses.

        Raises:
            SettingsError: one cannot be had, with the reason and what to do.
        """
        tcp = _tcp_socket(self._settings.api.host, self._settings.api.port)
        self._sockets.append((tcp, Transport.TCP))
        host, port = tcp.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        path = self._settings.socket_path
        if path is not None:
            self._sockets.append((_unix_socket(path), Transport.UNIX))

    async def start(self) -> None:
        """Serve on what was bound."""
        for listening, transport in self._sockets:
            config = Config(
                guarded(self._app, self._rules, transport),
                http=Connection,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # A header must not be able to say that a caller from elsewhere sits on this machine.
                proxy_headers=False,
                timeout_graceful_shutdown=GOODBYE_SECONDS,
            )
            server = _Server(config)
            self._servers.append(server)
            self._tasks.append(asyncio.create_task(server.serve(sockets=[listening])))
        while not all(server.started for server in self._servers):
            if any(task.done() for task in self._tasks):
                await asyncio.gather(*self._tasks)
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End open requests and give the addresses back."""
        for server in self._servers:
            server.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listening, _ in self._sockets:
            listening.close()
        if self._settings.socket_path is not None:
            self._settings.socket_path.unlink(missing_ok=True)


def _tcp_socket(host: str, port: int) -> socket.socket:
    address = f"{host}:{port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"api.host {host!r} is no address of this machine: {error.strerror or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"{address} is in use by another program: set api.port to another one, or to 0 for any free one"
            ) from error
        raise SettingsError(f"the daemon cannot listen on {address}: {error.strerror or error}") from error
    listening.setblocking(False)
    return listening


def _unix_socket(path: Path) -> socket.socket:
    """Listen on a unix socket for the owner alone; the data folder's lock says that an old one is nobody's."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_private(path.parent)
        path.unlink(missing_ok=True)
        _bind_private(listening, path)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise SettingsError(f"the socket {path} cannot be made: {error.strerror or error}; see api.socket") from error
    listening.setblocking(False)
    return listening


def _bind_private(listening: socket.socket, path: Path) -> None:
    """Make the socket with mode 0600 from its first instant on."""
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)


def _make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, each with mode 0700; one that is there keeps its own."""
    if folder.is_dir():
        return
    _make_private(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)  # whatever the umask has left of it
