"""What came over the wire: SIPp's message log, read as calls."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

CUE = "MESSAGE"
"""The method by which a test tells a scenario to go on. It is not part of any call."""

_BLOCK = re.compile(
    rb"-{40,} (?P<at>[0-9-]{10} [0-9:.]{15})\r?\n"
    rb"UDP message (?P<way>sent|received) [(\[](?P<size>\d+)[ \])]+(bytes)?[) :]+\r?\n\r?\n"
)


@dataclass(frozen=True)
class SipMessage:
    """A request or a response."""

    at: float
    """When SIPp sent or took it, in seconds since 1970."""
    sent: bool
    start: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def status(self) -> int | None:
        """The status code of a response."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else None

    @property
    def method(self) -> str:
        """The method of a request, or of the request that this answers."""
        return self.start.split()[0] if self.status is None else self.header("CSeq").split()[-1]

    @property
    def user(self) -> str:
        """The user part of a request's URI: the number dialled."""
        found = re.match(r"\S+ sips?:([^@ ]*)@", self.start)
        return found[1] if found else ""

    def header(self, name: str) -> str:
        """The first header of this name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def media(self) -> tuple[str, int] | None:
        """Where the SDP in it wants to have RTP sent."""
        address = re.search(r"^c=IN IP4 (\S+)", self.body, re.MULTILINE)
        port = re.search(r"^m=audio (\d+)", self.body, re.MULTILINE)
        return (address[1], int(port[1])) if address and port else None

    @property
    def direction(self) -> str:
        """sendrecv, sendonly, recvonly or inactive, as the SDP says; an empty string without one."""
        found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", self.body, re.MULTILINE)
        return found[1] if found else ""


def parse_message(at: float, *, sent: bool, raw: bytes) -> SipMessage:
    head, _, body = raw.decode("latin-1").replace("\r\n", "\n").partition("\n\n")
    start, *lines = head.strip().split("\n")
    headers = tuple((key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines))
    return SipMessage(at, sent, start, headers, body)


@dataclass
class SipCall:
    """The messages of one Call-ID, in order, without retransmissions and cues."""

    id: str
    messages: list[SipMessage] = field(default_factory=list)

    @cached_property
    def _seen(self) -> set[tuple[bool, str, str]]:
        return set()

    def take(self, message: SipMessage) -> None:
        mark = (message.sent, message.start, message.header("CSeq"))
        if mark not in self._seen:
            self._seen.add(mark)
            self.messages.append(message)

    @property
    def invite(self) -> SipMessage:
        return self.first("INVITE")

    @property
    def statuses(self) -> list[int]:
        """The answers to the first INVITE, in order, without 100."""
        number = self.invite.header("CSeq")
        answers = (message for message in self.messages if message.header("CSeq") == number)
        return [answer.status for answer in answers if answer.status is not None and answer.status != 100]

    @property
    def requests(self) -> list[str]:
        """The methods of the requests, in order, either way."""
        return [message.method for message in self.messages if message.status is None]

    def find(self, what: str | int) -> SipMessage | None:
        """The first request of a method, or the first answer to an INVITE with a status."""
        for message in self.messages:
            if message.status == what and message.method == "INVITE":
                return message
            if message.status is None and message.method == what:
                return message
        return None

    def first(self, what: str | int) -> SipMessage:
        """As find. Raises AssertionError, with what there was instead."""
        found = self.find(what)
        assert found, f"no {what} in {[message.start for message in self.messages]}"
        return found


class MessageLog:
    """SIPp's message log as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._calls: dict[str, SipCall] = {}

    def calls(self) -> list[SipCall]:
        """All calls so far, in the order of their first messages."""
        if self.path.exists():
            with self.path.open("rb") as log:
                log.seek(self._read)
                data = log.read()
            self._read += self._take(data)
        return list(self._calls.values())

    def _take(self, data: bytes) -> int:
        """Take the whole messages in `data`; the number of bytes that they fill."""
        end = 0
        for at, sent, raw, reached in _blocks(data):
            end = reached
            message = parse_message(at, sent=sent, raw=raw)
            if message.method != CUE:
                call_id = message.header("Call-ID")
                self._calls.setdefault(call_id, SipCall(call_id)).take(message)
        return end


def _blocks(data: bytes) -> Iterator[tuple[float, bool, bytes, int]]:
    position = 0
    while found := _BLOCK.search(data, position):
        position = found.end() + int(found["size"])
        if position > len(data):
            return
        at = datetime.strptime(found["at"].decode(), "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        yield at.timestamp(), found["way"] == b"sent", data[found.end() : position], position
