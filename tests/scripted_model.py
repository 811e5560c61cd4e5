"""A language model made of a script: a real HTTP server on the loopback interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What a request is answered with. An endless one goes on until its reader has enough."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_endless: bool = False
    drips: bool = False
    drips_headers: bool = False


def says(content: Any) -> Reply:
    """A completion, as an OpenAI-compatible API sends it, of a text or of JSON data."""
    text = content if isinstance(content, str) else json.dumps(content)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Reply(json.dumps({"id": "c-1", "object": "chat.completion", "choices": [choice]}).encode())


@dataclass
class ScriptedModel:
    """Answers one request after the other; the last reply stands for all that come later."""

    replies: list[Reply]
    url: str = ""
    requests: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the model was told, as JSON data."""
        bodies = (json.loads(body) for _, _, body in self.requests)
        return [json.loads(body["messages"][1]["content"]) for body in bodies]


@contextmanager
def scripted_model(*replies: Reply) -> Iterator[ScriptedModel]:
    """A server with these replies; without any it never answers."""
    model = ScriptedModel(list(replies))
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: requests are recorded."""

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            model.requests.append((self.path, headers, content))
            if not model.replies:
                ended.wait()
                return
            reply = model.replies.pop(0) if len(model.replies) > 1 else model.replies[0]
            if reply.drips_headers:
                self.drip_headers()
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(reply.body)
                self.keep_on(reply)
            except (BrokenPipeError, ConnectionResetError):
                return

        def keep_on(self, reply: Reply) -> None:
            while reply.is_endless or (reply.drips and not ended.wait(0.02)):
                self.wfile.write(b" " if reply.drips else b"[" * 65_536)

        def drip_headers(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not ended.wait(0.05):
                    self.wfile.write(b"x-more: 1\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return

        do_GET = do_POST  # noqa: N815 - the name that the server looks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield model
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
