"""The connection: what odd replies, cuts and intruders do to it."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from callguard.asterisk.ari import client as client_module
from callguard.asterisk.ari import socket as socket_module
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import ALLOWED_TYPES, StasisEnded
from callguard.asterisk.ari.requests import Request
from callguard.errors import (
    AsteriskError,
    AsteriskForbidden,
    AsteriskUnreachable,
    ConfigurationError,
    Conflict,
    NotFound,
    Rejected,
)
from tests.rig.fake_ari import PASSWORD, FakeAri, Listener, abort, connected, fake_ari, settings_for

AT = "2026-11-21T20:37:11.651+0000"
ENDED = {"type": "StasisEnd", "timestamp": AT, "channel": {"id": "7"}}
REPLACED = {"type": "ApplicationReplaced", "timestamp": AT, "application": "callguard"}


def answering(
    status: int, text: str = "", **headers: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return reply


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AsteriskForbidden), (403, AsteriskForbidden), (404, NotFound), (409, Conflict), (412, Rejected),
        (422, Rejected), (500, Rejected), (503, AsteriskUnreachable), (302, Rejected),
    ],
)  # fmt: skip
async def test_each_refusal_is_an_error_of_its_kind(
    ari: FakeAri, status: int, error: type[Exception]
) -> None:
    ari.reply = answering(status, '{"message": "no\\nway"}', Location=f"{ari.url}/elsewhere")
    async with AriClient(settings_for(ari)) as client:
        with pytest.raises(error) as raised:
            await client.request("GET", "channels")
    assert "\n" not in str(raised.value)
    assert len(ari.http) == 1  # a redirection is not followed with the password


async def test_an_answer_that_is_not_json_is_rejected(ari: FakeAri) -> None:
    ari.reply = answering(200, "<html>")
    async with AriClient(settings_for(ari)) as client:
        with pytest.raises(Rejected, match="not JSON"):
            await client.request("GET", "channels")


async def test_an_endless_answer_is_rejected(ari: FakeAri, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LARGEST_ANSWER", 1000)
    ari.reply = answering(200, "[" * 5000)
    async with AriClient(settings_for(ari)) as client:
        with pytest.raises(Rejected, match="endless"):
            await client.request("GET", "channels")


async def test_no_answer_in_time_and_a_closed_connection_are_unreachable(ari: FakeAri) -> None:
    never = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async def close(request: web.Request) -> web.StreamResponse:
        return abort(request)

    async with AriClient(settings_for(ari, timeout=0.1)) as client:
        ari.reply = slow
        with pytest.raises(AsteriskUnreachable, match="no answer"):
            await client.request("POST", "channels")
        ari.reply = close
        with pytest.raises(AsteriskUnreachable):
            await client.request("POST", "channels")
        assert len(ari.http) == 2
    never.set()


async def test_what_is_too_large_for_asterisk_is_never_sent(
    ari: FakeAri, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(ari) as (client, _):
        sent = len(ari.http)
        with pytest.raises(Rejected, match="longer"):
            await client.request("GET", "channels", "x" * 5000)
        with pytest.raises(Rejected, match="bytes"):
            await client.send([Request("POST", ("channels",), body={"a": "x" * 50_000})])
        monkeypatch.setattr(socket_module, "LARGEST_FRAME", 100)
        with pytest.raises(Rejected, match="bytes"):
            await client.send([Request("GET", ("channels", "x" * 100))], quick=True)
        assert len(ari.http) == sent
        assert ari.socket == []


async def test_a_new_connection_gets_the_filter_and_the_events(ari: FakeAri) -> None:
    bodies: list[object] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return web.json_response({})

    ari.reply = keep
    async with connected(ari) as (client, listener):
        assert client.connected
        assert ari.http == [
            "GET /ari/asterisk/info",
            "GET /ari/events?app=callguard",
            "PUT /ari/applications/callguard/eventFilter",
        ]
        assert bodies == [{"allowed": [{"type": name} for name in ALLOWED_TYPES]}]
        await ari.send(ENDED)
        assert isinstance(await listener.events.get(), StasisEnded)


async def test_a_version_without_an_event_filter_is_used_all_the_same(ari: FakeAri) -> None:
    ari.reply = answering(404, '{"message": "Resource not found"}')
    async with connected(ari) as (client, _):
        assert client.connected


async def test_messages_that_cannot_be_read_are_counted_and_the_next_arrives(ari: FakeAri) -> None:
    async with connected(ari) as (client, listener):
        for junk in (
            "",
            "{",
            "[]",
            "\ud83d",
            '{"type":"StasisEnd"}',
            '{"type":"RESTResponse","request_id":"9"}',
        ):
            await ari.send(junk.encode("utf-8", "replace").decode())
        await ari.send(b"\0\xff")
        await ari.send(ENDED)
        await listener.events.get()
        assert client.counts.unread_messages == 7
        assert client.counts.events == 1


async def test_a_fault_in_the_listener_costs_that_event_alone(ari: FakeAri) -> None:
    listener = Listener()
    async with connected(ari, listener) as (client, _):
        listener.fault_of_event = KeyError("a fault of ours")
        await ari.send(ENDED)
        await ari.send(ENDED)
        for _ in range(2):
            await listener.events.get()
        assert client.counts.failed_callbacks == 1
        assert ari.connections == 1


async def test_taking_up_that_fails_by_asterisk_is_tried_on_a_new_connection(ari: FakeAri) -> None:
    listener = Listener()
    listener.fault_of_connected = AsteriskUnreachable("cut while taking up")
    async with connected(ari, listener):
        async with asyncio.timeout(5):
            await listener.connected.get()
        assert str(await listener.problems.get()) == "Asterisk: cut while taking up"


async def test_taking_up_that_fails_by_a_fault_of_ours_keeps_the_events(ari: FakeAri) -> None:
    listener = Listener()
    listener.fault_of_connected = KeyError("a fault of ours")
    async with connected(ari, listener) as (client, _):
        await ari.send(ENDED)
        await listener.events.get()
        assert client.counts.failed_callbacks == 1
        assert ari.connections == 1


async def test_a_cut_websocket_fails_its_requests_and_is_made_anew(ari: FakeAri) -> None:
    async def cut(_: dict[str, object]) -> int | None:
        await ari.cut()
        return None

    ari.socket_reply = cut
    async with connected(ari) as (client, listener):
        with pytest.raises(AsteriskUnreachable, match=r"websocket ended: (?!closed by us)"):
            await client.send([Request("GET", ("channels",))], quick=True)
        async with asyncio.timeout(5):
            await listener.problems.get()
            await listener.connected.get()
        assert ari.connections == 2


async def test_without_rest_over_websocket_everything_goes_by_http(ari: FakeAri) -> None:
    async with connected(ari, rest_over_websocket="never") as (client, _):
        await client.send([Request("GET", ("channels",))], quick=True)
    ari.version = "18.20.0"
    async with connected(ari) as (client, _):
        await client.send([Request("GET", ("channels",))], quick=True)
    assert ari.socket == []


async def test_a_program_that_takes_our_name_is_not_fought(ari: FakeAri) -> None:
    with capture_logs() as logs:
        async with connected(ari) as (client, listener):
            await ari.send(REPLACED)
            problem = await listener.problems.get()
            assert "another program" in str(problem)
            assert not client.connected
        # Leaving stops the client, in the middle of its minute.
    [entry] = [entry for entry in logs if entry["event"] == "asterisk is not connected"]
    assert entry["log_level"] == "error"
    assert entry["retry_seconds"] == client_module.REPLACED_SECONDS
    assert ari.connections == 1


async def test_a_problem_that_stays_is_logged_once(ari: FakeAri, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(client_module, "RETRY_LONGEST", 0.001)
    tried = asyncio.Event()

    async def refuse(request: web.Request) -> web.StreamResponse:
        if len(ari.http) > 5:
            tried.set()
        return web.Response(status=401)

    ari.info = refuse
    listener = Listener()
    with capture_logs() as logs:
        async with AriClient(settings_for(ari)) as client:
            running = asyncio.create_task(client.run(listener))
            async with asyncio.timeout(5):
                await tried.wait()
            assert isinstance(client.problem, AsteriskForbidden)
            running.cancel()
            await asyncio.wait([running])
    assert len(logs) == 1
    assert listener.problems.empty()


async def test_what_is_not_ari_is_said_to_be_so(ari: FakeAri) -> None:
    async with AriClient(settings_for(ari)) as client:
        for odd in (answering(404), answering(200, "[]"), answering(200, "<html>"), answering(200)):
            ari.info = odd
            with pytest.raises(Rejected, match="not as ARI does"):
                await client.detect()


async def test_the_password_is_in_each_request_but_in_no_url_and_no_log(ari: FakeAri) -> None:
    with capture_logs() as logs:
        async with connected(ari) as (client, listener):
            await client.request("GET", "channels")
            await ari.cut()
            await listener.problems.get()
    assert ari.headers
    assert all(header.startswith("Basic ") for header in ari.headers)
    secret = ari.headers[0].removeprefix("Basic ")
    for text in (*ari.http, *map(str, logs), repr(client), repr(vars(client)["_settings"])):
        assert PASSWORD not in text
        assert secret not in text


# --- TLS --------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, SSLContext]:
    """A self-signed certificate for a name, and a server's context with it."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "1", "-subj", f"/CN={name}", "-addext", f"subjectAltName={name}",
         "-keyout", key, "-out", pem],
        check=True, capture_output=True,
    )  # fmt: skip
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context


async def test_a_trusted_certificate_carries_requests_and_events(tmp_path: Path) -> None:
    pem, context = certificate(tmp_path, "IP:127.0.0.1")
    async with fake_ari(context) as ari:
        url = ari.url.replace("http:", "https:")
        async with connected(ari, url=url, tls_ca=pem) as (_, listener):
            await ari.send(ENDED)
            assert isinstance(await listener.events.get(), StasisEnded)


@pytest.mark.parametrize(("name", "trusted"), [("IP:127.0.0.1", False), ("DNS:other.example", True)])
async def test_a_certificate_that_is_unknown_or_for_another_host_is_refused(
    tmp_path: Path, name: str, trusted: bool
) -> None:
    pem, context = certificate(tmp_path, name)
    async with fake_ari(context) as ari:
        changes: dict[str, object] = {"tls_ca": pem} if trusted else {}
        async with AriClient(settings_for(ari, url=ari.url.replace("http:", "https:"), **changes)) as client:
            with pytest.raises(AsteriskError, match="certificate"):
                await client.detect()
        assert ari.headers == []  # the password did not leave


def test_a_tls_ca_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (tmp_path / "missing.pem", empty):
        with pytest.raises(ConfigurationError, match="tls_ca"):
            AriClient(settings_for(FakeAri(), url="https://127.0.0.1/ari", tls_ca=path))
