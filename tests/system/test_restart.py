"""Asterisk or callguard goes away and comes back: calls go on, records stay whole, readiness tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from callguard.journal.writer import SPOOL
from tests.rig.asterisk import Asterisk, running_asterisk
from tests.rig.guard import Guard
from tests.rig.lockeddatabase import locked_database
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.ports import CARRIER, LOCALHOST
from tests.rig.proxy import Proxy
from tests.rig.sipp import Phone, Sipp, carrier
from tests.rig.site import Site
from tests.rig.waiting import wait_for
from tests.system.conftest import StartSite

pytestmark = pytest.mark.once

BOTH_MODES = pytest.mark.parametrize("agent", ["agent1", "agent2"], ids=["bridge", "screen"])


@pytest.fixture(scope="module")
def own_asterisk() -> Iterator[Asterisk]:
    """An Asterisk that tests may stop."""
    with running_asterisk() as running:
        yield running


@pytest.fixture
def guard(own_asterisk: Asterisk, tmp_path: Path) -> Iterator[Guard]:
    """A guard of that Asterisk, not started yet."""
    made = Guard(own_asterisk, tmp_path / "guard")
    yield made
    made.close()


def wait_told(guard: Guard, what: str, status: int) -> None:
    """Wait until /readyz has this status and says this."""

    def told() -> bool:
        got, text = guard.page("/readyz")
        return got == status and what in text.lower()

    wait_for(f"/readyz to say {status} and {what!r}", told, seconds=20)


def place(asterisk: Asterisk) -> None:
    """Place a call that is allowed and busy."""
    number = subscriber(Behaviour.BUSY)
    with (
        carrier(CARRIER, asterisk.carrier_port) as at,
        Phone(asterisk.sip_port, f"0{number}") as phone,
    ):
        assert phone.wait_end().statuses == [486]
        assert at.wait_call(number).statuses == [486]


def test_the_guard_waits_for_an_asterisk_that_is_absent(own_asterisk: Asterisk, guard: Guard) -> None:
    own_asterisk.stop()
    guard.launch()
    wait_told(guard, "asterisk", 503)
    assert guard.page("/healthz")[0] == 200
    own_asterisk.start()
    guard.wait_ready()
    place(own_asterisk)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_guard_outlives_a_restart_of_asterisk(own_asterisk: Asterisk, guard: Guard, how: str) -> None:
    guard.start()
    number = subscriber()
    with (
        carrier(CARRIER, own_asterisk.carrier_port),
        Phone(own_asterisk.sip_port, f"0{number}") as phone,
    ):
        phone.wait_for("ACK")
        own_asterisk.kill() if how == "kill" else own_asterisk.stop()
        wait_told(guard, "asterisk", 503)
    own_asterisk.start()
    guard.wait_ready()
    place(own_asterisk)

    # The call that died with Asterisk has its end on record.
    def recorded() -> bool:
        rows = [row for row in guard.log() if row["number"] == f"+62{number}"]
        return len(rows) == 1 and rows[0]["outcome"] in {"answered", "unknown"}

    wait_for("the end of the call that Asterisk took with it", recorded)


def test_a_wrong_password_is_told_and_never_shown(own_asterisk: Asterisk, tmp_path: Path) -> None:
    secret = "not-the-password-5f81"
    guard = Guard(own_asterisk, tmp_path / "guard", ASTERISK__PASSWORD=secret)
    try:
        guard.launch()
        wait_told(guard, "password", 503)
        assert secret not in guard.page("/readyz")[1]
        assert secret not in guard.process.tail(1000)
        assert guard.process.running
    finally:
        guard.close()


def test_sigterm_stops_a_guard_that_cannot_reach_asterisk_at_once(
    own_asterisk: Asterisk, guard: Guard
) -> None:
    own_asterisk.stop()
    try:
        guard.launch()
        wait_told(guard, "asterisk", 503)
        assert guard.stop() == 0
    finally:
        own_asterisk.start()


def talk(site: Site, number: str, agent: str) -> Phone:
    phone = site.dial(f"0{number}", agent=agent)
    phone.wait_for("ACK")
    return phone


def assert_audible(site: Site, phone: Phone, number: str) -> None:
    """That the two still hear each other."""
    to_asterisk = phone.call.first(200).media
    assert to_asterisk
    site.carrier.ear.forget()
    phone.ear.speak(to_asterisk, 0.3)
    wait_for(f"the agent's voice in the call to {number}", lambda: site.carrier.ear.heard.audible >= 10)


@BOTH_MODES
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_conversation_outlives_the_guard_and_its_end_is_recorded(site: Site, agent: str, end: str) -> None:
    number = subscriber()
    with talk(site, number, agent) as phone:
        site.guard.stop() if end == "stop" else site.guard.kill()
        assert_audible(site, phone, number)
        site.guard.start()
        assert_audible(site, phone, number)
        phone.hang_up()
        phone.wait_end()
        site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
    row = site.record(number)
    assert row["outcome"] == "answered"
    assert row["answered_at"]
    assert row["ended_at"]


@BOTH_MODES
def test_a_call_that_ends_while_the_guard_is_away_is_closed_when_it_is_back(site: Site, agent: str) -> None:
    number = subscriber()
    with talk(site, number, agent) as phone:
        site.guard.kill()
        phone.hang_up()
        phone.wait_end()
    site.guard.start()
    site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
    assert site.record(number)["outcome"] in {"answered", "unknown"}


@BOTH_MODES
def test_a_guard_stopped_while_its_database_hangs_keeps_what_became_of_its_calls(
    start_site: StartSite, agent: str
) -> None:
    site = start_site(SQL__TIMEOUT="1")
    number = subscriber()
    with talk(site, number, agent) as phone, locked_database(site.guard.state):
        phone.hang_up()
        phone.wait_end()
        wait_for("the call's end", lambda: '"event":"ended"' in site.guard.process.tail(1000))
        assert site.guard.stop() == 0
        assert b"answered" in (site.guard.state / SPOOL).read_bytes()
    site.guard.start()
    assert site.record(number)["outcome"] == "answered"


@BOTH_MODES
def test_a_call_that_rings_while_the_guard_restarts_can_still_be_answered(site: Site, agent: str) -> None:
    number = subscriber(Behaviour.RINGS)
    with site.dial(f"0{number}", agent=agent) as phone:
        phone.wait_for(180)
        site.guard.kill()
        site.guard.start()
        at_carrier = site.carrier.wait_call(number)
        site.carrier.cue(at_carrier)
        phone.wait_for("ACK")
        phone.hang_up()
        phone.wait_end()
        site.carrier.wait_message(at_carrier, "BYE")
    assert site.record(number)["outcome"] == "answered"


@pytest.fixture
def proxied(start_site: StartSite, asterisk: Asterisk) -> Iterator[tuple[Site, Proxy]]:
    """A site whose guard reaches Asterisk through a proxy."""
    with Proxy(asterisk.http_port) as proxy:
        yield start_site(ASTERISK__URL=f"http://{LOCALHOST}:{proxy.port}/ari"), proxy


@BOTH_MODES
def test_a_cut_connection_costs_no_conversation(proxied: tuple[Site, Proxy], agent: str) -> None:
    site, proxy = proxied
    number = subscriber()
    with talk(site, number, agent) as phone:
        proxy.cut(refuse=True)
        wait_told(site.guard, "asterisk", 503)
        assert_audible(site, phone, number)
        proxy.allow()
        site.guard.wait_ready()
        phone.hang_up()
        phone.wait_end()
        site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
    assert site.record(number)["outcome"] == "answered"


@BOTH_MODES
def test_a_call_that_ends_while_the_connection_is_cut_is_closed_after_it(
    proxied: tuple[Site, Proxy], agent: str
) -> None:
    site, proxy = proxied
    number = subscriber()
    with talk(site, number, agent) as phone:
        proxy.cut(refuse=True)
        phone.hang_up()
        phone.wait_end()
        proxy.allow()
        site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
    assert site.record(number)["outcome"] in {"answered", "unknown"}


def test_a_listed_number_is_never_placed_by_a_guard_that_was_cut_off(
    proxied: tuple[Site, Proxy], carrier1: Sipp
) -> None:
    site, proxy = proxied
    listed = subscriber()
    site.guard.add(f"+62{listed}")
    with site.dial(f"0{listed}") as phone:
        phone.wait_for(183)
        proxy.cut()
        phone.wait_end(40)
        assert phone.statuses == [183, 403]
    site.guard.wait_ready()
    site.assert_never_reached_a_carrier(listed)
    assert site.record(listed)["verdict"] == "refuse"
    assert carrier1.calls(listed) == []
