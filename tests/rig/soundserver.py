"""A web server between Asterisk and the prompts: it keeps what was asked for, in order, and may lack some."""

import threading
import urllib.request
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from callguard.sounds.make import SOUNDS
from tests.rig.ports import LOCALHOST


class SoundServer:
    """To be used in `with`. Until it is told of a guard's port, every prompt is a moment of silence."""

    def __init__(self, missing: Collection[str] = ()) -> None:
        """`missing` are names of recordings that are not found."""
        self.asked: list[str] = []
        """The recordings that were asked for, as LANGUAGE/NAME, in order."""
        self.guard_port: int | None = None
        self._missing = frozenset(missing)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = server._content(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Type", "audio/wav")
                # As the guard says: else Asterisk asks for a digit again each time it plays it.
                self.send_header("Cache-Control", "public, max-age=3600")
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOCALHOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="sounds")

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _content(self, path: str) -> bytes | None:
        name = path.removeprefix("/sounds/").removesuffix(".wav")
        self.asked.append(name)
        if Path(name).name in self._missing:
            return None
        if self.guard_port is None:
            return (SOUNDS / "en/pause.wav").read_bytes()
        with urllib.request.urlopen(f"http://{LOCALHOST}:{self.guard_port}{path}", timeout=5) as answer:
            content: bytes = answer.read()
            return content
