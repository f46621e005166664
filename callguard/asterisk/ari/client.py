"""The connection to one Asterisk over ARI: events by a websocket, requests by websocket or pooled HTTP.

    async with AriClient(settings) as client:
        await client.run(listener)          # for ever, reconnecting; stop it by cancelling
        await client.request("GET", "channels")   # from anywhere, connected or not

Asterisk takes the requests of one websocket strictly one at a time, and some wait for the channel's own
thread with no time limit: one that is sent to a channel playing a prompt holds up every other call. So only
requests that cannot wait on a channel may go by the websocket (`quick`); it costs Asterisk about 1 ms of CPU
less than HTTP, where each connection has a thread of its own.
"""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import aiohttp
import orjson
import structlog
from yarl import URL

from callguard.asterisk.ari.backoff import Backoff
from callguard.asterisk.ari.counts import AriCounts
from callguard.asterisk.ari.events import ALLOWED_TYPES, ApplicationReplaced, Event
from callguard.asterisk.ari.requests import Request
from callguard.asterisk.ari.socket import EventSocket
from callguard.asterisk.ari.version import Version, parse_version
from callguard.config import AsteriskSettings
from callguard.errors import (
    AsteriskError,
    AsteriskForbidden,
    AsteriskUnreachable,
    ConfigurationError,
    Conflict,
    NotFound,
    Rejected,
)

POOL_SIZE = 32
"""Connections: Asterisk's `sessionlimit` is 100 for all its clients, and each costs it a thread."""
IDLE_SECONDS = 10.0
"""Asterisk closes a connection that is idle for 15 s; a request sent just then would be lost."""
HEARTBEAT_SECONDS = 4.0
"""A ping after this silence; no answer within half of it ends the connection. So a hang shows in 6 s."""
CLOSE_SECONDS = 0.3
LARGEST_BODY = 40_000
"""Bytes: Asterisk answers 413 to a body of more than 40,960."""
LONGEST_URI = 4_000
"""Bytes: Asterisk reads a request line into 4,096."""
LARGEST_ANSWER = 32 * 1024 * 1024
QUICK_SECONDS = 1.0
"""For requests over the websocket, which wait for nothing: after this, it is stuck."""
RETRY_FIRST = 0.1
RETRY_LONGEST = 5.0
"""Seconds before connecting anew, doubling from the first to the longest."""
REPLACED_SECONDS = 60.0
"""The wait after another program took our application's name: two must not fight over it."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.ari")


class AriListener(Protocol):
    """Who is told what happens."""

    def on_event(self, event: Event) -> None:
        """Called right from the reader, in Asterisk's order: be quick. An exception is logged and counted."""

    def on_connected(self, version: Version) -> Awaitable[None]:
        """The events flow (again). Started before the first event and run beside the reader: take up what
        is in progress. Raising AsteriskError makes the client connect anew."""

    def on_disconnected(self, problem: AsteriskError) -> None:
        """The events stopped; the client goes on trying."""


class AriClient:
    """See the module. Its public attributes are for reading."""

    def __init__(self, settings: AsteriskSettings) -> None:
        """Raises ConfigurationError when password_file or tls_ca cannot be read."""
        self.app = settings.app
        self.seconds = settings.timeout
        """The longest that a connection or one attempt of a request may take."""
        self.version: Version | None = None
        """Asterisk's, as last seen."""
        self.problem: AsteriskError | None = AsteriskUnreachable("not connected yet")
        """Why events do not flow; None when they do."""
        self.counts = AriCounts()
        self._settings = settings
        self._base = settings.url.rstrip("/")
        credentials = base64.b64encode(f"{settings.username}:{settings.secret() or ''}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"}
        self._tls = _tls_context(settings)
        self._session: aiohttp.ClientSession | None = None
        self._socket: EventSocket | None = None
        self._replaced = False

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL_SIZE, keepalive_timeout=IDLE_SECONDS, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=self.seconds),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            raise_for_status=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    @property
    def connected(self) -> bool:
        """Events flow, and what was in progress is being taken up or was."""
        return self.problem is None

    @property
    def has_socket(self) -> bool:
        """A quick request would go by the websocket now."""
        return self._socket is not None and self._socket.usable

    # --- the connection -----------------------------------------------------------------------------------

    async def run(self, listener: AriListener) -> None:
        """Keep a connection and hand its events to the listener, for ever; cancelling stops it at once."""
        backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
        shown = ""
        while True:
            reached = self.counts.connections
            try:
                self.problem = await self._connection(listener)
            except AsteriskError as error:
                self.problem = error
            if self.counts.connections > reached:
                backoff.reset()
                shown = ""
                listener.on_disconnected(self.problem)
            wait = REPLACED_SECONDS if self._replaced else backoff.next()
            if str(self.problem) != shown:  # once, and not for each attempt
                shown = str(self.problem)
                _log.error("asterisk is not connected", problem=shown, retry_seconds=round(wait, 1))
            await asyncio.sleep(wait)

    async def detect(self) -> Version:
        """Ask Asterisk for its version; `version` keeps it.

        Raises AsteriskUnreachable, AsteriskForbidden, or Rejected when it is not ARI that answers.
        """
        try:
            answer = await self.request("GET", "asterisk", "info")
        except (NotFound, Conflict, Rejected) as error:
            raise self._not_ari(error.status) from error
        match answer:
            case {"system": {"version": str(text)}}:
                self.version = parse_version(text)
                return self.version
        raise self._not_ari(200)

    def _not_ari(self, status: int | None) -> Rejected:
        # Asterisk itself answers 404 while it starts and has not loaded res_ari yet.
        return Rejected(
            f"{self._base} answers, but not as ARI does",
            status=status,
            remedy="asterisk.url ends in /ari; ari.conf has enabled=yes; module res_ari is loaded",
        )

    async def _connection(self, listener: AriListener) -> AsteriskError:
        """One connection, from connecting to its end; returns why it ended."""
        version = await self.detect()
        self._replaced = False
        socket = EventSocket(await self._connect(), self.counts)
        try:
            await self._apply_filter()
            self.counts.connections += 1
            if version.rest_over_websocket and self._settings.rest_over_websocket == "auto":
                self._socket = socket
            self.problem = None
            _log.info("asterisk is connected", version=version.text, url=self._base, app=self.app)
            for warning in version.warnings:
                _log.warning("asterisk's version", version=version.text, warning=warning)
            return await self._serve(listener, version, socket)
        finally:
            self._socket = None
            await socket.close()

    async def _connect(self) -> "aiohttp.ClientWebSocketResponse[bool]":
        # Never subscribeAll: a reader that stalls would then deadlock Asterisk (#2170).
        url = URL(f"{self._base}/events?{urlencode({'app': self.app})}", encoded=True)
        try:
            async with asyncio.timeout(self.seconds):
                return await self._opened.ws_connect(
                    url,
                    heartbeat=HEARTBEAT_SECONDS,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                    decode_text=False,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status, f"the websocket is refused with {error.status}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def _apply_filter(self) -> None:
        """Tell Asterisk which events we want, after each connect: it may have forgotten.

        It saves sending and parsing the others. Versions before 16.3 do not have it.
        """
        allowed = {"allowed": [{"type": name} for name in ALLOWED_TYPES]}
        try:
            await self.send([Request("PUT", ("applications", self.app, "eventFilter"), body=allowed)])
        except NotFound:
            _log.info("asterisk has no event filter: all events are received")

    async def _serve(self, listener: AriListener, version: Version, socket: EventSocket) -> AsteriskError:
        failure: list[AsteriskError] = []

        async def greet() -> None:
            try:
                await listener.on_connected(version)
            except AsteriskError as error:
                failure.append(error)
                await socket.close()
            except Exception:  # a fault of the listener's must not cost the connection
                self.counts.failed_callbacks += 1
                _log.exception("taking up what is in progress failed")

        def on_event(event: Event) -> None:
            self.counts.events += 1
            if isinstance(event, ApplicationReplaced) and event.app == self.app:
                self._replaced = True
                failure.append(
                    AsteriskError(
                        f"another program has connected as application {self.app!r}",
                        remedy="give each guard an asterisk.app of its own",
                    )
                )
                socket.end("replaced")
                return
            try:
                listener.on_event(event)
            except Exception:  # one call's fault must not cost the others their events
                self.counts.failed_callbacks += 1
                _log.exception("an event could not be handled", event_type=type(event).__name__)

        greeting = asyncio.create_task(greet())
        try:
            await asyncio.sleep(0)  # so that the greeting starts before the first event
            why = await socket.read(on_event)
        finally:
            greeting.cancel()
            await asyncio.gather(greeting, return_exceptions=True)
        return failure[0] if failure else AsteriskUnreachable(f"the websocket ended: {why}")

    # --- requests -----------------------------------------------------------------------------------------

    async def request(self, method: str, *path: str, query: Mapping[str, str] | None = None) -> Any:
        """One request over HTTP; see send(). `path` is in parts: `("channels", id)`."""
        return (await self.send([Request(method, path, dict(query or {}))]))[0]

    async def send(self, wanted: Sequence[Request], *, quick: bool = False) -> list[Any]:
        """Send requests, one attempt each; return the JSON of each answer, None for one without a body.

        `quick` says that they cannot wait on a channel (see the module): they go by the websocket, where that
        can be, all at once and in order; else by HTTP, one after the other.

        Raises the failure of the first that failed: NotFound, Conflict, Rejected, AsteriskUnreachable or
        AsteriskForbidden.
        """
        for request in wanted:
            if len(request.uri) > LONGEST_URI:
                raise Rejected(f"{request}: longer than Asterisk takes")
        socket = self._socket
        limit = self.seconds
        try:
            if quick and socket and socket.usable:
                limit = min(self.seconds, QUICK_SECONDS)
                async with asyncio.timeout(limit):
                    answers = await socket.request(wanted)
                return [
                    _answer(request, answer.status, answer.body.encode())
                    for request, answer in zip(wanted, answers, strict=True)
                ]
            self.counts.pool_requests += len(wanted)
            return [_answer(request, *await self._over_http(request)) for request in wanted]
        except TimeoutError as error:
            raise AsteriskUnreachable(f"{wanted[0]}: no answer within {limit:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def _over_http(self, request: Request) -> tuple[int, bytes]:
        content = orjson.dumps(request.body) if request.body else None
        if content and len(content) > LARGEST_BODY:
            raise Rejected(f"{request}: {len(content)} bytes are more than Asterisk takes ({LARGEST_BODY})")
        # A redirection would send the password on to who knows where; Asterisk has none.
        async with self._opened.request(
            request.method,
            URL(f"{self._base}/{request.uri}", encoded=True),
            data=content,
            headers={"Content-Type": "application/json"} if content else None,
            allow_redirects=False,
        ) as response:
            text = bytearray()
            async for part in response.content.iter_any():
                text += part
                if len(text) > LARGEST_ANSWER:
                    raise Rejected(f"{request}: an endless answer", status=response.status)
            return response.status, bytes(text)

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise AsteriskUnreachable("the client is not open")
        return self._session

    def _unreachable(self, error: Exception) -> AsteriskUnreachable:
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            return AsteriskUnreachable(
                f"{self._base}: the certificate is not trusted: {error}",
                remedy="asterisk.tls_ca names the certificate to trust",
            )
        if isinstance(error, TimeoutError):
            return AsteriskUnreachable(f"{self._base}: no answer within {self.seconds:g} s")
        return AsteriskUnreachable(f"{self._base}: {str(error) or type(error).__name__}")


def _tls_context(settings: AsteriskSettings) -> ssl.SSLContext | bool:
    if settings.tls_ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=settings.tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{settings.tls_ca}: {error}", where="asterisk.tls_ca", allowed="a file of PEM certificates"
        ) from error


def _refusal(status: int, what: str) -> AsteriskError:
    match status:
        case 401 | 403:
            return AsteriskForbidden(
                "the user name or the password is refused, or the user is read-only",
                status=status,
                remedy="asterisk.username and asterisk.password are those of a user in ari.conf",
            )
        case 404:
            return NotFound(what, status=status)
        case 409:
            return Conflict(what, status=status)
        case 503:
            # Asterisk answers so until it is fully booted.
            return AsteriskUnreachable(what, status=status)
    return Rejected(what, status=status)


def _answer(request: Request, status: int, text: bytes) -> Any:
    if not 200 <= status < 300:
        raise _refusal(status, f"{request}: {status} {_message(text)}")
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError as error:
        raise Rejected(f"{request}: the answer is not JSON", status=status) from error


def _message(text: bytes) -> str:
    """Asterisk's own words about a refusal, in one printable line."""
    try:
        words = orjson.loads(text)["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        words = text[:200].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in str(words)[:200])
