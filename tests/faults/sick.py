"""A proxy before a tracker that fails as networks, proxies and servers do."""

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW = 5  # seconds for each request
KINDS = (
    "500",
    "429",
    "reset",
    "html",
    "hang",
    "slow",
    "lost",
)  # lost: it did what was asked, and its answer is cut off


@dataclass
class Proxy:
    """Forwards to a server; the requests in `sick`, counted from 1, go wrong."""

    to: int
    kind: str = ""
    sick: range = range(0)
    seen: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    def sends(self, kind: str, sick: range) -> None:
        self.kind, self.sick, self.seen = kind, sick, 0

    def counted(self, path: str) -> bool:
        """Whether this request goes wrong."""
        with self.lock:
            self.seen += 1
            return self.seen in self.sick


@contextmanager
def before(port: int) -> Iterator[Proxy]:
    """A proxy before the server on this port of this machine."""
    proxy = Proxy(port)

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            answer_it(self, proxy)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        server.shutdown()
        server.server_close()


def answer_it(request: BaseHTTPRequestHandler, proxy: Proxy) -> None:
    body = whole_body(request)
    kind = proxy.kind if proxy.counted(request.path) else ""
    if kind == "slow":
        proxy.over.wait(SLOW)
    if kind in ("", "slow", "lost"):
        code, headers, answer = forward(request, body, proxy.to)
    elif kind == "hang":
        proxy.over.wait()
        return
    else:
        code, headers, answer = {"500": 500, "429": 429}.get(kind, 200), {"Content-Type": "text/html"}, b"<html>"
    if kind in ("reset", "lost"):
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.shutdown(socket.SHUT_RD)
        request.connection.close()
        return
    request.send_response(code)
    for key, value in headers.items():
        request.send_header(key, value)
    request.end_headers()
    request.wfile.write(answer)


def whole_body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


def forward(request: BaseHTTPRequestHandler, body: bytes, port: int) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kept = {
        k: v
        for k, v in request.headers.items()
        if k.lower() not in ("host", "connection", "accept-encoding", "transfer-encoding")
    }
    connection.request(request.command, request.path, body or None, kept)
    answer = connection.getresponse()
    content = answer.read()
    headers = {key: value for key, value in answer.getheaders() if key.lower() in ("content-type",)}
    return answer.status, headers | {"Content-Length": str(len(content))}, content
