"""SIPp as agents' phones and as carriers."""

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.ports import AGENTS, LOCALHOST, free_udp_port
from tests.rig.process import Process
from tests.rig.rtp import Ear
from tests.rig.sip import CUE, MessageLog, SipCall, SipMessage
from tests.rig.waiting import WaitedInVainError, wait_for

SCENARIOS = Path(__file__).parents[1] / "system/scenarios"


class Sipp:
    """One SIPp with one scenario, until it is stopped or its calls are done."""

    def __init__(
        self,
        scenario: str,
        *,
        host: str,
        port: int = 0,
        to: int | None = None,
        number: str = "",
        calls: int = 0,
        rate: float = 0,
        keys: Mapping[str, str] | None = None,
        fields: str = "",
    ) -> None:
        """`to` is the port of the Asterisk that is called, None for a carrier; `number` is [service] in the
        scenario, `fields` are the lines of its injection file, `rate` is in calls a second."""
        self._folder = tempfile.TemporaryDirectory(prefix="callguard-sipp-")
        folder = Path(self._folder.name)
        self.host = host
        self.port = port or free_udp_port(host)
        self.log = MessageLog(folder / "messages")
        self.errors = folder / "errors"
        self.ear = Ear(host)
        command = ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", host, "-p", str(self.port)]
        command += ["-nostdin", "-trace_msg", "-message_file", str(self.log.path)]
        command += ["-trace_err", "-error_file", str(self.errors)]
        # No lingering after the end of a call: a retransmission then finds no one, as after a crash.
        command += ["-deadcall_wait", "0"]
        for key, value in {"ear": str(self.ear.port), **(keys or {})}.items():
            command += ["-key", key, value]
        if number:
            command += ["-s", number]
        if calls:
            command += ["-m", str(calls)]
        if rate:
            command += ["-r", str(rate), "-l", "10000"]
        if fields:
            injected = folder / "fields.csv"
            injected.write_text(fields)
            command += ["-inf", str(injected)]
        if to:
            command.append(f"{LOCALHOST}:{to}")
        self.process = Process(
            command, folder / "output", environ={**os.environ, "TZ": "UTC", "TERM": "dumb"}, cwd=folder
        )
        try:
            wait_for(f"SIPp at {host}:{self.port}", self._listening)
        except WaitedInVainError as error:
            raise WaitedInVainError(f"{error}\n{self.report()}") from None

    def _listening(self) -> bool:
        """Bound to its port, or so quick that it is done already."""
        if not self.process.running:
            return True
        address = socket.inet_aton(self.host)[::-1].hex().upper()
        return f"{address}:{self.port:04X}" in Path("/proc/net/udp").read_text()

    def calls(self, number: str = "") -> list[SipCall]:
        """The calls so far; with `number`, those whose INVITE went to a number that ends so."""
        return [
            call for call in self.log.calls() if call.find("INVITE") and call.invite.user.endswith(number)
        ]

    def wait_call(self, number: str = "", seconds: float = 5.0) -> SipCall:
        """The first such call, when it is there."""
        try:
            return wait_for(f"a call to …{number}", lambda: self.calls(number), seconds=seconds)[0]
        except WaitedInVainError as error:
            raise WaitedInVainError(f"{error}\n{self.report()}") from None

    def wait_message(self, call: SipCall, what: str | int, seconds: float = 10.0) -> SipMessage:
        """The first request of a method, or answer to the INVITE with a status, when it is there."""

        def probe() -> SipMessage | None:
            self.log.calls()
            return call.find(what)

        try:
            return wait_for(f"{what} at {self.host}", probe, seconds=seconds)
        except WaitedInVainError as error:
            raise WaitedInVainError(f"{error}\n{self.report()}") from None

    def cue(self, call: SipCall) -> None:
        """Let the scenario of this call go on: hang up, answer, or whatever comes next in it."""
        lines = [
            f"{CUE} sip:cue@{self.host} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host};branch=z9hG4bK-cue",
            f"From: <sip:cue@{self.host}>;tag=cue",
            f"To: <sip:cue@{self.host}>",
            f"Call-ID: {call.id}",
            f"CSeq: 1 {CUE}",
            "Content-Length: 0",
            "\r\n",
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((self.host, 0))
            sender.sendto("\r\n".join(lines).encode(), (self.host, self.port))

    def report(self) -> str:
        """What SIPp complained of, and its messages, for a failing test."""
        errors = self.errors.read_text(errors="replace")[-500:] if self.errors.exists() else ""
        messages = [
            f"{call.id}: {'>' if message.sent else '<'} {message.start}"
            for call in self.log.calls()[-5:]
            for message in call.messages
        ]
        return "\n".join([f"--- SIPp {self.host}:{self.port}", self.process.tail(5), errors, *messages])

    def stop(self) -> None:
        self.process.kill()
        self.ear.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.report())
        self.stop()


class Phone(Sipp):
    """A phone that places one call: an agent's, or, from another `host`, whoever calls in from there."""

    def __init__(
        self,
        asterisk_port: int,
        number: str,
        *,
        agent: str = "agent1",
        scenario: str = "agent",
        keys: Mapping[str, str] | None = None,
        host: str = AGENTS,
    ) -> None:
        """`agent` is the user of its From."""
        super().__init__(
            scenario,
            host=host,
            to=asterisk_port,
            number=number,
            calls=1,
            keys={"agent": agent, **(keys or {})},
        )

    @property
    def call(self) -> SipCall:
        return self.wait_call()

    @property
    def statuses(self) -> list[int]:
        """What the phone was answered, in order, without 100."""
        return self.call.statuses

    def wait_for(self, what: str | int, seconds: float = 10.0) -> SipMessage:
        """The first answer with this status, or request of this method either way, when it is there."""
        return self.wait_message(self.call, what, seconds)

    def hang_up(self) -> None:
        """Cancel a call that is not answered yet, or end one that is: the scenario knows which."""
        self.cue(self.call)

    def wait_end(self, seconds: float = 15.0) -> SipCall:
        """Wait until the phone is done. Raises AssertionError if the call did not go as SIPp expects it."""
        try:
            wait_for("the end of the call", lambda: not self.process.running, seconds=seconds)
        except WaitedInVainError as error:
            raise WaitedInVainError(f"{error}\n{self.report()}") from None
        assert self.process.exit_code == 0, self.report()
        return self.call


@contextmanager
def carrier(host: str, port: int, scenario: str = "carrier") -> Iterator[Sipp]:
    """A carrier at the address that Asterisk's trunk has as its contact."""
    with Sipp(scenario, host=host, port=port) as running:
        yield running


class Phones(Sipp):
    """Many agents' phones, each placing one call."""

    def __init__(self, asterisk_port: int, numbers: Sequence[str], *, rate: float, agent: str) -> None:
        """Dial the numbers in their order, `rate` a second."""
        super().__init__(
            "agents_busy",
            host=AGENTS,
            to=asterisk_port,
            calls=len(numbers),
            rate=rate,
            keys={"agent": agent},
            fields="SEQUENTIAL\n" + "".join(f"{number};\n" for number in numbers),
        )

    @property
    def done(self) -> bool:
        return not self.process.running
