"""AMI against a scripted server: every defect of panoramisk that ami.py fences off."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr

from callguard.asterisk import ami
from callguard.asterisk.ami import ari_options, show_dialplan
from callguard.config import AmiSettings
from callguard.errors import (
    AsteriskError,
    AsteriskForbidden,
    AsteriskUnreachable,
    ConfigurationError,
    Rejected,
)

ENTRY = (
    "Event: ListDialplan\r\nActionID: {id}\r\nContext: {context}\r\nApplication: {app}\r\n"
    "AppData: {data}\r\n\r\n"
)
BEGIN = (
    "Response: Success\r\nActionID: {id}\r\nEventList: start\r\nMessage: DialPlan list will follow\r\n\r\n"
)
END = "Event: ShowDialPlanComplete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n"


class Server:
    """Accepts logins, and answers ShowDialPlan with what it is given: text, its pieces, or None to drop."""

    def __init__(self) -> None:
        self.actions: list[list[str]] = []
        self.answer: Callable[[str], list[bytes] | None] = lambda _: None
        self.login = "Response: Success\r\nActionID: {id}\r\nMessage: Authentication accepted\r\n\r\n"
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names: list[str] = []
        self.actions.append(names)
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines if ": " in line)
                names.append(headers["Action"])
                if headers["Action"] == "Login":
                    writer.write(self.login.format(id=headers["ActionID"]).encode())
                    continue
                pieces = self.answer(headers["ActionID"])
                if pieces is None:
                    break
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def dialplan(self, *entries: tuple[str, str, str]) -> None:
        def answer(action: str) -> list[bytes]:
            texts = [ENTRY.format(id=action, context=c, app=a, data=d) for c, a, d in entries]
            return ["".join([BEGIN.format(id=action), *texts, END.format(id=action)]).encode()]

        self.answer = answer

    def settings(self, **changes: object) -> AmiSettings:
        values: dict[str, object] = {
            "port": self.port, "username": "callguard", "password": SecretStr("p"), "timeout": 5,
        }  # fmt: skip
        return AmiSettings.model_validate(values | changes)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    yield scripted
    listening.close()
    await listening.wait_closed()


async def test_the_rows_of_the_dialplan_are_read(server: Server) -> None:
    server.dialplan(("outbound", "Stasis", "callguard,bridge,${EXTEN}"), ("plain", "Hangup", "21"))
    rows = await show_dialplan(server.settings())
    steps = [(row["context"], row["application"], row["appdata"]) for row in rows if "context" in row]
    assert steps == [("outbound", "Stasis", "callguard,bridge,${EXTEN}"), ("plain", "Hangup", "21")]


async def test_the_options_of_ari_conf_are_read(server: Server) -> None:
    server.answer = lambda action: [
        f"Response: Success\r\nActionID: {action}\r\nCategory-000000: general\r\n".encode(),
        b"Line-000000-000000: enabled=yes\r\nLine-000000-000001: channelvars = A,B\r\n\r\n",
    ]
    assert await ari_options(server.settings()) == {"enabled": "yes", "channelvars": "A,B"}


async def test_an_ari_conf_that_is_not_there_is_said(server: Server) -> None:
    server.answer = lambda action: [
        f"Response: Error\r\nActionID: {action}\r\nMessage: Config file not found\r\n\r\n".encode()
    ]
    with pytest.raises(Rejected, match="Config file not found"):
        await ari_options(server.settings())


async def test_utf_8_cut_by_two_reads_is_whole(server: Server) -> None:
    server.dialplan(("keluar-é", "Stasis", "callguard"))
    whole = server.answer
    arrived = asyncio.Event()

    def cut(action: str) -> list[bytes]:
        [text] = whole(action) or []
        arrived.set()
        at = text.index("é".encode()) + 1
        return [text[:at], text[at:]]

    server.answer = cut
    assert "keluar-é" in [row.get("context") for row in await show_dialplan(server.settings())]


async def test_a_user_name_and_password_beyond_ascii_are_sent_as_utf_8(server: Server) -> None:
    server.dialplan()
    settings = server.settings(username="pénjaga", password=SecretStr("kunci-ü"))
    assert [row for row in await show_dialplan(settings) if "context" in row] == []


async def test_a_dropped_connection_is_an_error_at_once_and_nothing_is_sent_again(server: Server) -> None:
    with pytest.raises(AsteriskUnreachable, match="ended"):
        await show_dialplan(server.settings())
    server.dialplan()
    await show_dialplan(server.settings())  # what would be sent again, would be by now
    assert server.actions == [["Login", "ShowDialPlan"], ["Login", "ShowDialPlan"]]


async def test_a_server_that_shuts_down_ends_the_wait(server: Server) -> None:
    server.answer = lambda _: [b"Event: Shutdown\r\nShutdown: Cleanly\r\n\r\n"]
    with pytest.raises(AsteriskUnreachable):
        await show_dialplan(server.settings())


async def test_a_line_break_never_becomes_another_action(server: Server) -> None:
    for changes in (
        {"password": SecretStr("p\r\n\r\nAction: Originate")},
        {"username": "u\nAction: Originate"},
    ):
        settings = AmiSettings.model_construct(**(dict(server.settings()) | changes))
        with pytest.raises(ConfigurationError, match="control character"):
            await show_dialplan(settings)
    assert server.actions == []


async def test_a_silent_server_is_given_up_at_the_time_limit(server: Server) -> None:
    server.login = ""
    with pytest.raises(AsteriskUnreachable, match=r"within 0\.2 s"):
        await show_dialplan(server.settings(timeout=0.2))


async def test_an_endless_answer_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami, "LARGEST_ANSWER", 10_000)
    server.answer = lambda action: (
        [BEGIN.format(id=action).encode()]
        + [ENTRY.format(id=action, context="c", app="Stasis", data="callguard").encode()] * 1000
    )
    with pytest.raises(Rejected, match="endless"):
        await show_dialplan(server.settings())


async def test_an_answer_that_panoramisk_stumbles_over_is_an_error_of_ours(server: Server) -> None:
    server.answer = lambda action: [
        f"Response: Success\r\nActionID: {action}\r\nActionID: b\r\n\r\n".encode()
    ]
    with pytest.raises(Rejected, match="cannot be read"):
        await show_dialplan(server.settings())


@pytest.mark.parametrize("junk", [b"\0\xff\xfe\r\n\r\n", b": \r\n\r\n", b"Event: \r\n\r\n" * 50, b"A" * 9999])
async def test_junk_is_not_an_answer(server: Server, junk: bytes) -> None:
    server.answer = lambda _: [junk]
    with pytest.raises(AsteriskError):
        await show_dialplan(server.settings(timeout=0.2))


async def test_a_refused_password_and_a_missing_right_are_forbidden(server: Server) -> None:
    server.answer = lambda action: [
        f"Response: Error\r\nActionID: {action}\r\nMessage: Permission denied\r\n\r\n".encode()
    ]
    with pytest.raises(AsteriskForbidden, match="may not use"):
        await show_dialplan(server.settings())
    server.login = "Response: Error\r\nActionID: {id}\r\nMessage: Authentication failed\r\n\r\n"
    with pytest.raises(AsteriskForbidden, match="password"):
        await show_dialplan(server.settings())


async def test_no_task_and_no_connection_outlives_the_question(server: Server) -> None:
    server.dialplan(("outbound", "Stasis", "callguard"))
    before = asyncio.all_tasks()
    await show_dialplan(server.settings())
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:  # the server's own task ends when it sees the connection end
            await asyncio.wait(asyncio.all_tasks() - before)
