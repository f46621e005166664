"""The guard's pages: /healthz, /readyz, /metrics, and the prompts under /sounds for Asterisk to fetch.

Only GET and HEAD, without a log of accesses: nothing here changes anything or is secret. What a stranger who
reaches the port can use up is bounded: about CONNECTIONS at once, and the oldest makes room for the newest,
so that silent ones cannot keep Prometheus or Asterisk out.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from callguard.config import HttpSettings
from callguard.errors import ServiceError
from callguard.telemetry.metrics import CONTENT_TYPE, Metrics

CONNECTIONS = 100
STOP_SECONDS = 1.0
"""How long answers under way may take when the pages are closed."""
SOUND_SECONDS = 3600
"""How long Asterisk may play a prompt from its cache without asking again; then the ETag decides."""


@dataclass(frozen=True, slots=True)
class Part:
    """The state of something that the guard rests on."""

    name: str
    """`asterisk`, `sql` or `redis`."""
    ready: bool
    state: str
    """In a word or a sentence: `connected`, `cold`, or what is wrong. Never a secret."""
    needed: bool = True
    """Whether the guard cannot work without it. Without Redis it can: SQL is asked."""


Readiness = Callable[[], Sequence[Part]]
"""Tells the state of the parts as they know it: without asking them, so at once."""
SoundFile = Callable[[str, str], Path | None]
"""(language, name) -> the prompt's file, or None where there is no such prompt."""


def pages(metrics: Metrics, readiness: Readiness, sound_file: SoundFile) -> web.Application:
    """The application with all pages."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n", headers=_FRESH)

    async def readyz(_request: web.Request) -> web.Response:
        parts = readiness()
        ready = all(part.ready for part in parts if part.needed)
        told = {
            "ready": ready,
            "parts": {
                part.name: {"ready": part.ready, "needed": part.needed, "state": part.state} for part in parts
            },
        }
        return web.json_response(told, status=200 if ready else 503, headers=_FRESH)

    async def shown_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), headers={"Content-Type": CONTENT_TYPE, **_FRESH})

    async def sound(request: web.Request) -> web.StreamResponse:
        language, name = request.match_info["language"], request.match_info["name"]
        # Looked at before a path is made of it.
        fits = re.fullmatch(r"[a-zA-Z]{2,3}([_-][a-zA-Z0-9]{2,8})?", language) and re.fullmatch(
            r"[a-zA-Z0-9_-]{1,64}", name
        )
        file = sound_file(language, name) if fits else None
        if file is None or not file.is_file():
            raise web.HTTPNotFound(text="no such prompt\n")
        headers = {"Content-Type": "audio/wav", "Cache-Control": f"public, max-age={SOUND_SECONDS}"}
        return web.FileResponse(file, headers=headers)

    application = web.Application(client_max_size=1024)
    application.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", shown_metrics),
            web.get("/sounds/{language}/{name}.wav", sound),
        ]
    )
    return application


_FRESH = {"Cache-Control": "no-store"}


@asynccontextmanager
async def serving(settings: HttpSettings, application: web.Application) -> AsyncIterator[int]:
    """Serve the pages while the block runs; gives the port, which matters where the settings say 0.

    Raises ServiceError if the address cannot be had.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        server = runner.server
        assert server is not None  # noqa: S101 - there is one once the runner is set up

        def newest() -> asyncio.Protocol:
            live = [connection for connection in server.connections if connection.transport is not None]
            if len(live) >= CONNECTIONS:
                live[0].force_close()
            return server()

        try:
            listener = await asyncio.get_running_loop().create_server(newest, settings.host, settings.port)
        except (OSError, UnicodeError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else "not a host's name"
            raise ServiceError(
                "HTTP",
                f"cannot listen on {settings.host}, port {settings.port}: {why}",
                remedy="is another guard running? The address is http.host and http.port",
            ) from error
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
    finally:
        await runner.cleanup()
