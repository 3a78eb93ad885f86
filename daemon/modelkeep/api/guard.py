"""Stands before the application: refuses by the rules of `access`, bounds bodies, lets allowed pages read answers."""

import asyncio

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelkeep.api.access import (
    METHODS,
    AccessRules,
    Asked,
    Denial,
    Transport,
    deny_stranger,
    deny_unfit,
    is_owner,
    too_large,
)
from modelkeep.api.head import answer_without_body
from modelkeep.api.responses import failure

_POLICY_VIOLATION = 1008

OWNER_KEY = "modelkeep.is_owner"
"""Where in a request's scope it stands whether it is the owner's."""

DRAINED_FACTOR = 4
"""So many times the largest body are read and dropped of one that is too large."""

DRAINED_SECONDS = 5.0
"""And for so long."""

BODY_SECONDS = 30.0
"""A body may take so long, and longer the more of it has come."""

BODY_BYTES_PER_SECOND = 16 * 1024


class Guard:
    """The only way in.

    Args:
        app: what is guarded.
        rules: who may call.
        transport: what this way in listens on. It is told rather than guessed from the connection, for the unix
            socket is trusted more.
    """

    def __init__(self, app: ASGIApp, rules: AccessRules, transport: Transport) -> None:
        self._app = app
        self._rules = rules
        self._transport = transport
        # Preflights are answered here, before the token: a browser never sends it with them.
        self._cors = CORSMiddleware(
            self._admit_fit,
            allow_origins=rules.allowed_origins,
            allow_methods=sorted(METHODS),
            allow_headers=["*"],
            expose_headers=["ETag"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request or pass it on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._admit_known(scope, receive, send)

    async def _admit_known(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope)
        denial = deny_stranger(self._rules, asked)
        if denial is not None:
            # Without the headers that would let the page read why.
            await _deny(denial, scope, receive, send)
        elif asked.is_preflight and asked.header("origin") not in self._rules.allowed_origins:
            await self._admit_fit(scope, receive, send)
        else:
            await self._cors(scope, receive, send)

    async def _admit_fit(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope)
        denial = deny_unfit(self._rules, asked)
        if denial is not None:
            if asked.header("expect") is None:  # who asks before sending has not sent anything
                await _drain(receive, DRAINED_FACTOR * asked.body_bytes_max)
            await _deny(denial, scope, receive, send)
        else:
            owned = {**scope, OWNER_KEY: is_owner(self._rules, self._transport)}
            await _Bounded(asked, owned, receive, send).run(self._app)

    def _asked(self, scope: Scope) -> Asked:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        client = scope.get("client")
        server = scope.get("server")
        return Asked(
            method=scope["method"],
            path=scope["path"],
            transport=self._transport,
            client=client[0] if client else None,
            server=(server[0], server[1]) if server else None,
            headers=headers,
        )


class _Bounded:
    """One request whose body is counted while it comes: it may say no length, or a wrong one."""

    def __init__(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        self._asked = asked
        self._scope = scope
        self._receive_more = receive
        self._send_on = send
        self._received_bytes = 0
        self._began = asyncio.get_running_loop().time()
        self._is_whole = False
        self._answer_begun = False
        self._cut_off = False

    async def run(self, app: ASGIApp) -> None:
        if self._asked.method == "HEAD":
            await answer_without_body(app, self._scope, self._receive, self._send)
        else:
            await app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._cut_off:
            return {"type": "http.disconnect"}
        try:
            message = await self._receive_in_time()
        except TimeoutError:
            return await self._cut(Denial(408, "The body comes too slowly.", {"Connection": "close"}))
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes <= self._asked.body_bytes_max:
            return message
        if message.get("more_body") and not self._answer_begun:
            await _drain(self._receive_more, DRAINED_FACTOR * self._asked.body_bytes_max - self._received_bytes)
        return await self._cut(too_large(self._asked))

    async def _receive_in_time(self) -> Message:
        """Return what comes next; of a body that is whole nothing more comes but its sender's leaving."""
        if self._is_whole:
            return await self._receive_more()
        async with asyncio.timeout_at(self._began + BODY_SECONDS + self._received_bytes / BODY_BYTES_PER_SECOND):
            message = await self._receive_more()
        self._is_whole = not message.get("more_body")
        return message

    async def _cut(self, denial: Denial) -> Message:
        """Answer the caller; the application hears that he has gone, and what it says is dropped."""
        self._cut_off = True
        if not self._answer_begun:
            await _deny(denial, self._scope, self._receive_more, self._send_on)
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if not self._cut_off:
            self._answer_begun = True
            await self._send_on(message)


async def _drain(receive: Receive, bytes_max: int) -> None:
    """Read a body and drop it, within bounds.

    Most programs listen only when they have sent everything: a connection that is closed before that is reset, and
    they never learn why.
    """
    try:
        async with asyncio.timeout(DRAINED_SECONDS):
            while bytes_max > 0:
                message = await receive()
                bytes_max -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


async def _deny(denial: Denial, scope: Scope, receive: Receive, send: Send) -> None:
    answer = failure(denial.status, denial.sentence, headers=denial.headers)
    await answer(scope, receive, send)
