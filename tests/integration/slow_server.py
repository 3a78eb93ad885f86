"""A web server on this machine that sends files slowly, in pieces, as a far one does."""

import re
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"
"""Programs that keep it give their file an old date: it looks as if it had lain there for long."""


def pieces(content: bytes, number: int) -> list[bytes]:
    """Cut content into at most so many pieces."""
    size = max(1, -(-len(content) // number))
    return [content[start : start + size] for start in range(0, len(content), size)]


class SlowServer:
    """Serves contents by name on the loopback interface while it is entered; knows HEAD and ranges.

    Args:
        contents: what there is, by name.
        pause_seconds: between two pieces of an answer.
        number: of pieces of an answer.
    """

    def __init__(self, contents: Mapping[str, bytes], pause_seconds: float, number: int = 4) -> None:
        handler = type("_Handler", (_SlowHandler,), {"contents": contents, "pause": pause_seconds, "number": number})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "SlowServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, name: str) -> str:
        """Return the address of a content."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients are killed here, and some hang up when they know enough.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _SlowHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    contents: Mapping[str, bytes]
    pause: float
    number: int

    def do_HEAD(self) -> None:
        self._begin()

    def do_GET(self) -> None:
        for count, piece in enumerate(pieces(self._begin(), self.number)):
            if count:
                time.sleep(self.pause)
            self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _begin(self) -> bytes:
        """Send status and headers; returns what has to follow."""
        whole = self.contents.get(self.path[1:])
        if whole is None:
            self.send_error(404)
            return b""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]), len(whole) - 1) if asked and asked[2] else len(whole) - 1
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", _LAST_MODIFIED)
        self.end_headers()
        return whole[first : last + 1]
