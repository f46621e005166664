"""Questions over AMI, which ARI cannot answer: what is in the dialplan, and in ari.conf?

panoramisk 1.4 speaks AMI; what it does wrong is fenced off here, and each fence has a test:

- after a lost connection it connects again and sends what was under way once more: only its protocol is
  used, over a connection of our own that is never renewed, and what is asked may be asked twice anyway
- it sends line breaks in a value as they are, so that a value can be another action: they are refused
- an action has no time limit, a ping is not checked, and a lost connection leaves its future pending: one
  deadline covers everything, and the end of the connection ends the wait
- an exception in its handlers is lost in the event loop: it ends the wait, too
- an answer has no bound, and events become tasks without one: bytes are counted, events are off
- UTF-8 that is cut by two reads loses characters: each byte is read as one character (Latin-1), and the text
  is put together afterwards
"""

import asyncio
import logging
from typing import Any, cast

from panoramisk import Manager  # type: ignore[import-untyped]
from panoramisk.ami_protocol import AMIProtocol  # type: ignore[import-untyped]

from callguard.config import AmiSettings
from callguard.errors import (
    AsteriskError,
    AsteriskForbidden,
    AsteriskUnreachable,
    ConfigurationError,
    Rejected,
)

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes. A large FreePBX has some 30,000 priorities of about 250 bytes each."""

_NEVER_SECONDS = 10**6

# Outside the tree of loggers, and silent: panoramisk logs an action that it cannot send, password and all.
_SILENT = logging.Logger("panoramisk", logging.CRITICAL + 1)


class _Protocol(AMIProtocol):  # type: ignore[misc]
    """panoramisk's protocol for one connection, whose end and whose faults are told through `ended`."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._received = 0
        self.ended: asyncio.Future[AsteriskError] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.factory = self._manager
        self.encoding = "latin-1"

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > LARGEST_ANSWER:
            self._end(Rejected("AMI: an endless answer"))
            return
        try:
            super().data_received(data)
        # Whatever panoramisk makes of what it cannot read.
        except Exception as error:
            self._end(Rejected(f"AMI: an answer that cannot be read: {error!r:.200}"))

    def connection_lost(self, exc: Any) -> None:
        self._end(AsteriskUnreachable(f"AMI: the connection ended{f': {exc!r:.200}' if exc else ''}"))

    def _end(self, why: AsteriskError) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        self.transport.abort()


async def show_dialplan(settings: AmiSettings) -> list[dict[str, str]]:
    """The rows of the loaded dialplan, as dialplan.read_dialplan takes them: headers in lower case -> text.

    Raises AsteriskUnreachable, AsteriskForbidden (also for a user without the right to read the dialplan),
    Rejected for an answer that is no answer, and ConfigurationError for a password that cannot be sent.
    """
    answer = await _asked(settings, {"Action": "ShowDialPlan"})
    if not isinstance(answer, list):
        raise Rejected(f"AMI: ShowDialPlan: {_text(answer.message)[:200]}")
    return [{str(key).lower(): _text(value) for key, value in row.items()} for row in answer]


async def ari_options(settings: AmiSettings) -> dict[str, str]:
    """The options of [general] in ari.conf, as the file has them now. Raises what show_dialplan raises."""
    answer = await _asked(settings, {"Action": "GetConfig", "Filename": "ari.conf", "Category": "general"})
    if isinstance(answer, list) or not answer.success:
        told = "a list" if isinstance(answer, list) else _text(answer.message)[:200]
        raise Rejected(f"AMI: GetConfig: {told}")
    lines = [_text(value) for key, value in answer.items() if str(key).lower().startswith("line-")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


async def _asked(settings: AmiSettings, action: dict[str, str]) -> Any:
    """The answer to one action, on a connection of its own: a message, or the messages of a list."""
    secret = settings.secret() or ""
    for key, value in (("username", settings.username), ("password", secret)):
        if not value.isprintable():
            raise ConfigurationError(
                "has a control character", where=f"ami.{key}", allowed="printable characters"
            )
    where = f"AMI at {settings.host}:{settings.port}"
    # Its ping says nothing about an answer; the deadline does.
    manager = Manager(
        encoding="latin-1",
        username=_as_latin_1(settings.username),
        secret=_as_latin_1(secret),
        events="off",
        ping_delay=_NEVER_SECONDS,
        forgetable_actions=("login", "showdialplan", "getconfig"),
        log=_SILENT,
    )
    manager.patterns.clear()  # its own handler of an event is a task that nobody awaits
    manager.loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeout):
            transport, protocol = await manager.loop.create_connection(
                lambda: _Protocol(manager), settings.host, settings.port
            )
            try:
                return await _answered(manager, transport, protocol, action)
            finally:
                protocol.closed = True  # so that close() only ends the ping
                manager.close()
                transport.abort()
    except TimeoutError as error:
        raise AsteriskUnreachable(f"{where}: no answer within {settings.timeout:g} s") from error
    except OSError as error:
        raise AsteriskUnreachable(f"{where}: {error}", remedy="manager.conf has enabled=yes") from error


async def _answered(
    manager: Any, transport: asyncio.Transport, protocol: _Protocol, action: dict[str, str]
) -> Any:
    made: asyncio.Future[Any] = manager.loop.create_future()
    made.set_result((transport, protocol))
    manager.connection_made(made)
    login = await _answer(manager.authenticated_future, protocol)
    if not login.success:
        raise AsteriskForbidden(
            "AMI: the user name or the password is refused",
            remedy="ami.username and ami.password are those of a user in manager.conf",
        )
    answer = await _answer(manager.send_action(action), protocol)
    if not isinstance(answer, list) and "ermission" in _text(answer.message):
        raise AsteriskForbidden(
            f"AMI: the user may not use the action {action['Action']}",
            remedy="manager.conf: write = reporting for the dialplan, config for ari.conf",
        )
    return answer


async def _answer(sent: "asyncio.Future[Any]", protocol: _Protocol) -> Any:
    await asyncio.wait([sent, protocol.ended], return_when=asyncio.FIRST_COMPLETED)
    if sent.done():
        return sent.result()
    raise protocol.ended.result()


def _as_latin_1(text: str) -> str:
    """The text whose Latin-1 bytes are this one's UTF-8."""
    return text.encode().decode("latin-1")


def _text(value: object) -> str:
    """A header of an answer. panoramisk makes a list of one that comes twice: then the first."""
    first = cast(list[object], value)[0] if isinstance(value, list) else value
    return str(first).encode("latin-1", "replace").decode(errors="replace")
