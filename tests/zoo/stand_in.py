"""A stand-in for the Hugging Face Hub on loopback: serves bytes under the Hub's addresses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

COMMIT = "c0ffee" + "0" * 34


@dataclass
class StandIn:
    """Repositories by name, and how badly the network behaves.

    Attributes:
        files: ``repository -> file name -> bytes``.
        gated, limited: repositories that ask for a token, or to wait.
        cut: file names whose next transfer stops half-way.
        wrong: file names whose bytes differ from their digest.
        requests: ``(method, path)`` of all requests so far.
    """

    files: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)
    limited: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    address: str = ""

    def transfers(self, name: str) -> int:
        """How often the body of a file was asked for."""
        return sum(method == "GET" and path.endswith(name) for method, path in self.requests)


@contextmanager
def serve(hub: StandIn) -> Iterator[StandIn]:
    """Serve on a free port of loopback; ``hub.address`` is for ``HF_ENDPOINT``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, body: bool) -> None:
            with hub.lock:
                hub.requests.append((self.command, self.path))
            owner, name, _, _, *rest = [*self.path.strip("/").split("/"), "", "", ""]
            repository, file = f"{owner}/{name}", "/".join(part for part in rest if part)
            if repository in hub.limited:
                return self.refuse(429, "", "Too many requests")
            if repository in hub.gated:
                return self.refuse(403, "GatedRepo", "Access is restricted")
            if repository not in hub.files:
                return self.refuse(401, "RepoNotFound", "Repository not found")
            if file not in hub.files[repository]:
                return self.refuse(404, "EntryNotFound", "Entry not found")
            return self.send(hub.files[repository][file], file, body)

        def refuse(self, status: int, code: str, text: str) -> None:
            data = json.dumps({"error": text}).encode()
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", text)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def send(self, data: bytes, file: str, body: bool) -> None:
            digest = hashlib.sha256(data).hexdigest()
            if file in hub.wrong:
                data = bytes([data[0] ^ 1]) + data[1:]
            asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
            start = int(asked or 0)
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Linked-ETag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if not body:
                return
            if file in hub.cut:
                hub.cut.discard(file)
                self.wfile.write(data[start : start + (len(data) - start) // 2])
                self.close_connection = True
                return
            self.wfile.write(data[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
