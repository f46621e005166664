"""The same as the demo, up until Ctrl-C, with accounts for a softphone: `make up`."""

import secrets
import signal
import socket
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from tests.rig.asterisk import Asterisk
from tests.rig.numbers import Behaviour
from tests.rig.office import LISTED, Office, asterisk_file, open_office, run
from tests.rig.ports import CARRIER, free_udp_port

SIP_PORT = 5060
DOCUMENTATION = ("192.0.2.1", 9)
"""An address that exists nowhere (RFC 5737): to ask the system for the way out, without sending anything."""


def own_address() -> str:
    """The address by which other machines on the network reach this one; loopback if there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(DOCUMENTATION)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def sip_port() -> int:
    """The port that phones use by default, or any that is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", SIP_PORT))  # noqa: S104 - a phone is another machine
        except OSError:
            return free_udp_port("0.0.0.0")  # noqa: S104
    return SIP_PORT


class Phones:
    """The accounts, and the pjsip.conf that has them, made of the one in config/asterisk."""

    def __init__(self) -> None:
        self.password = secrets.token_hex(12)
        self.port = sip_port()

    def files(self, asterisk: Asterisk) -> Mapping[str, str]:
        lines = asterisk_file("pjsip.conf").splitlines()
        account = [line for line in lines if not line.startswith("; password")]
        text = "\n".join(account)
        text = text.replace("bind = 0.0.0.0", f"bind = 0.0.0.0:{self.port}")
        text = text.replace("username = agent1", f"username = agent1\npassword = {self.password}")
        text = text.replace("carrier.example:5060", f"{CARRIER}:{asterisk.carrier_port}")
        text = text.replace("carrier.example", CARRIER).replace("[trunk]", "[carrier]")
        text = text.replace("aors = trunk", "aors = carrier").replace(
            "endpoint = trunk", "endpoint = carrier"
        )
        return {"pjsip.conf": text}


def show(console: Console, phones: Phones, office: Office) -> None:
    account = Table("softphone account", "", box=box.SIMPLE_HEAD)
    for name, value in (
        ("server", f"{own_address()}, UDP port {phones.port}"),
        ("user", "agent1"),
        ("password", phones.password),
    ):
        account.add_row(name, value)
    dial = Table("dial", "and", box=box.SIMPLE_HEAD)
    national = LISTED.replace("+62", "0")
    for number, what in (
        (national, f"hear why it is refused (also as {LISTED}, 9{national})"),
        ("08123456789" + Behaviour.ANSWERS, "it is allowed; the sample carrier answers, in silence"),
        ("08123456789" + Behaviour.BUSY, "it is allowed; busy"),
        ("08123456789" + Behaviour.RINGS, "it is allowed; rings, nobody answers"),
        ("112", "an emergency number goes past callguard (to the sample carrier, not to the police)"),
    ):
        dial.add_row(number, what)
    console.print(account, dial)
    guard = office.guard
    console.print("callguard's commands, in another terminal (as the same user):")
    for name in ("CALLGUARD_CONFIG", "CALLGUARD_STATE"):
        console.print(f"  export {name}={guard.environ[name]}", soft_wrap=True)
    console.print("  .venv/bin/callguard log")
    console.print("  .venv/bin/callguard add 081234567890 --reason 'asked not to be called'")
    console.print(f"Pages: http://127.0.0.1:{guard.http_port}/metrics, /readyz. Ctrl-C stops all of it.")


def stay_up(console: Console) -> int:
    phones = Phones()
    settings = {"NUMBERS__OUTSIDE_LINE": "9", "PROMPTS__REFERENCE": "true"}
    with open_office(console, agents=(), files=phones.files, **settings) as office:
        show(console, phones, office)
        signal.pause()
    return 0


if __name__ == "__main__":
    run(stay_up)
