"""Answers HEAD as GET is answered, without what follows the headers (RFC 9110, 9.3.2): to ask whether all is well."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def answer_without_body(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have a HEAD request answered.

    Args:
        app: knows GET alone.
        scope: of the request.
        receive: tells the application that the caller has gone, as soon as the answer is ended.
        send: takes the headers, and no more: an answer that never ends by itself ends with them.
    """

    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body"})

    await app({**scope, "method": "GET"}, receive, send_headers)
