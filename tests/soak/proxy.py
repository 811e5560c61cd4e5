"""A loopback proxy before a Lume that loses, delays and spoils answers, and is down now and then."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import Self

_PAGE = b"<!doctype html><html><body>Please sign in</body></html>"
# What befalls a request, and how often: everything else goes well.
_FAULTS = {
    "lost answer": 0.04,
    "reset": 0.03,
    "half a body": 0.02,
    "500": 0.01,
    "503": 0.02,
    "429": 0.01,
    "web page": 0.01,
    "slow": 0.02,
    "outage": 0.004,
}
_OUTAGE_SECONDS = 1.5
_NOT_HANDED_ON = {"host", "connection", "transfer-encoding", "content-length", "date", "server"}


class FaultyProxy:
    """Hands requests on to a Lume on the loopback interface, and lets some of them fail. A context manager.

    Args:
        port: Where the Lume listens; may be set anew when it has been started again.
        seed: Of the faults.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.faults: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._down_until = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self) -> str | None:
        """What befalls the next request."""
        with self._lock:
            if time.monotonic() < self._down_until:
                return "reset"
            drawn = self._random.random()
            for name, share in _FAULTS.items():
                drawn -= share
                if drawn < 0:
                    self.faults[name] += 1
                    if name == "outage":
                        self._down_until = time.monotonic() + _OUTAGE_SECONDS
                    return name
        return None


def _handler_of(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fault = proxy.fault()
            if fault in ("reset", "outage"):
                return self._reset()
            if fault in ("500", "503", "429"):
                return self._answer(int(fault), {"retry-after": "1"} if fault == "429" else {}, b"busy")
            if fault == "web page":
                return self._answer(200, {"content-type": "text/html"}, _PAGE)
            if fault == "slow":
                time.sleep(1.0)
            try:
                code, headers, answer = self._handed_on(body)
            except (OSError, http.client.HTTPException):
                return self._reset()
            if fault == "lost answer":
                return self._reset()
            return self._answer(code, headers, answer, half=fault == "half a body")

        def do_POST(self) -> None:
            self.do_GET()

        def _handed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=90)
            try:
                headers = {n: v for n, v in self.headers.items() if n.lower() not in _NOT_HANDED_ON}
                connection.request(self.command, self.path, body, headers)
                reply = connection.getresponse()
                kept = {n: v for n, v in reply.getheaders() if n.lower() not in _NOT_HANDED_ON}
                return reply.status, kept, reply.read()
            finally:
                connection.close()

        def _answer(self, code: int, headers: dict[str, str], body: bytes, *, half: bool = False) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.close_connection |= half
            self.wfile.write(body[: len(body) // 2] if half else body)

        def _reset(self) -> None:
            self.close_connection = True
            linger_not = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)

    return Handler
