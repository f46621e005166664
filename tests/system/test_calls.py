"""Allowed calls, in both modes, by what came over the wire and what the journal says of them."""

import pytest

from tests.rig.numbers import Behaviour, subscriber
from tests.rig.sipp import Phone, Sipp
from tests.rig.site import Site
from tests.rig.waiting import wait_for
from tests.system.conftest import StartSite

BRIDGE, SCREEN = "agent1", "agent2"
BOTH_MODES = pytest.mark.parametrize("agent", [BRIDGE, SCREEN], ids=["bridge", "screen"])

RELEASE_SECONDS = 0.1
"""How soon the other side of a call is told that one side is gone."""
TRIES = 5
"""How often a release is tried; one of them may be late, for what else this machine does."""

CARRIER = {"name": "carrier", "endpoint": "PJSIP/{number}@carrier"}
SECOND = {"name": "second", "endpoint": "PJSIP/{number}@carrier2"}
NOWHERE = {"name": "nowhere", "endpoint": "PJSIP/{number}@nowhere"}


def assert_soon(delays: list[float]) -> None:
    """That a release took no longer than it may, in all tries but one."""
    late = [delay for delay in delays if delay > RELEASE_SECONDS]
    assert len(late) <= 1, f"seconds until the other side was released: {delays}"


@BOTH_MODES
def test_ringing_and_answer_are_relayed_and_the_call_is_on_record(site: Site, agent: str) -> None:
    number = subscriber()
    with site.dial(f"0{number}", agent=agent) as phone:
        phone.wait_for("ACK")
        phone.hang_up()
        assert phone.wait_end().statuses == [180, 200]
    at_carrier = site.carrier.wait_call(number)
    site.carrier.wait_message(at_carrier, "BYE")
    assert at_carrier.statuses == [180, 200]
    row = site.record(number)
    assert (row["verdict"], row["reason"], row["outcome"]) == ("allow", "not-listed", "answered")
    assert row["dialled"] == f"0{number}"
    assert row["agent"] == agent
    assert row["mode"] == ("bridge" if agent == BRIDGE else "screen")


@BOTH_MODES
def test_the_agent_is_answered_only_when_the_customer_answers(site: Site, agent: str) -> None:
    number = subscriber(Behaviour.RINGS)
    with site.dial(f"0{number}", agent=agent) as phone:
        phone.wait_for(180)
        at_carrier = site.carrier.wait_call(number)
        site.carrier.cue(at_carrier)
        phone.wait_for("ACK")
        phone.hang_up()
        phone.wait_end()
        answered = phone.call.first(200).at
    site.carrier.wait_message(at_carrier, "BYE")
    assert phone.statuses == [180, 200]
    assert answered > at_carrier.first(200).at


@BOTH_MODES
def test_early_media_is_relayed_as_media_without_an_answer(site: Site, agent: str) -> None:
    number = subscriber(Behaviour.EARLY_MEDIA)
    with site.dial(f"0{number}", agent=agent) as phone:
        assert phone.wait_for(183).media
        at_carrier = site.carrier.wait_call(number)
        to_agent = at_carrier.invite.media
        assert to_agent
        site.carrier.ear.speak(to_agent, 0.5)
        wait_for("the carrier's sound at the phone", lambda: phone.ear.heard.audible >= 15)
        assert phone.call.find(200) is None
        phone.hang_up()
        assert phone.wait_end().statuses == [183, 487]
    site.carrier.wait_message(at_carrier, "CANCEL")
    assert site.record(number)["outcome"] == "cancelled"


@BOTH_MODES
@pytest.mark.parametrize(
    ("behaviour", "status", "outcome"),
    [
        (Behaviour.BUSY, 486, "busy"),
        (Behaviour.UNKNOWN, 404, "failed"),
        (Behaviour.ABSENT, 480, "no-answer"),
        (Behaviour.CONGESTED, 503, "failed"),
        (Behaviour.DECLINES, 603, "declined"),
    ],
)
def test_the_carriers_refusal_reaches_the_agent_as_it_is(
    site: Site, agent: str, behaviour: Behaviour, status: int, outcome: str
) -> None:
    number = subscriber(behaviour)
    with site.dial(f"0{number}", agent=agent) as phone:
        assert phone.wait_end().statuses == [status]
    assert [call.statuses for call in site.carrier.calls(number)] == [[status]]
    assert site.record(number)["outcome"] == outcome


@pytest.mark.parametrize("first", [CARRIER, NOWHERE], ids=["503", "no route"])
def test_the_next_trunk_is_tried_when_one_cannot_place_the_call(
    start_site: StartSite, first: dict[str, str]
) -> None:
    site = start_site(TRUNKS=[first, SECOND])
    number = subscriber(Behaviour.CONGESTED)
    with site.dial(f"0{number}") as phone:
        phone.wait_for("ACK")
        phone.hang_up()
        assert phone.wait_end().statuses == [180, 200]
    assert site.carrier2.wait_call(number).statuses == [180, 200]
    assert [call.statuses for call in site.carrier.calls(number)] == ([[503]] if first is CARRIER else [])
    row = site.record(number)
    assert (row["outcome"], row["trunk"]) == ("answered", "second")


def test_a_busy_customer_is_not_called_again_by_the_next_trunk(start_site: StartSite) -> None:
    site = start_site(TRUNKS=[CARRIER, SECOND])
    number = subscriber(Behaviour.BUSY)
    with site.dial(f"0{number}") as phone:
        assert phone.wait_end().statuses == [486]
    assert site.record(number)["trunk"] == "carrier"
    assert site.carrier2.calls(number) == []


def test_the_call_is_given_up_after_the_ring_time(start_site: StartSite) -> None:
    site = start_site(TRUNKS=[{**CARRIER, "ring_seconds": 1}])
    number = subscriber(Behaviour.RINGS)
    with site.dial(f"0{number}") as phone:
        assert phone.wait_end().statuses == [180, 480]
    at_carrier = site.carrier.wait_call(number)
    site.carrier.wait_message(at_carrier, "CANCEL")
    assert site.record(number)["outcome"] == "no-answer"


@pytest.mark.alone
@BOTH_MODES
def test_when_the_agent_hangs_up_while_it_rings_the_carrier_is_cancelled_at_once(
    site: Site, agent: str
) -> None:
    delays = []
    for _ in range(TRIES):
        number = subscriber(Behaviour.RINGS)
        with site.dial(f"0{number}", agent=agent) as phone:
            phone.wait_for(180)
            phone.hang_up()
            assert phone.wait_end().statuses == [180, 487]
        cancelled = site.carrier.wait_message(site.carrier.wait_call(number), "CANCEL")
        delays.append(cancelled.at - phone.call.first("CANCEL").at)
    assert_soon(delays)
    assert site.record(number)["outcome"] == "cancelled"


@pytest.mark.alone
@BOTH_MODES
def test_when_the_agent_hangs_up_the_customer_is_released_at_once(site: Site, agent: str) -> None:
    delays = []
    for _ in range(TRIES):
        number = subscriber()
        with site.dial(f"0{number}", agent=agent) as phone:
            phone.wait_for("ACK")
            phone.hang_up()
            phone.wait_end()
        released = site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
        delays.append(released.at - phone.call.first("BYE").at)
    assert_soon(delays)
    assert site.record(number)["outcome"] == "answered"


@pytest.mark.alone
@BOTH_MODES
def test_when_the_customer_hangs_up_the_agent_is_released_at_once(site: Site, agent: str) -> None:
    delays = []
    for _ in range(TRIES):
        number = subscriber(Behaviour.LEAVES)
        with site.dial(f"0{number}", agent=agent) as phone:
            assert phone.wait_end().statuses == [180, 200]
        hung_up = site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
        delays.append(phone.call.first("BYE").at - hung_up.at)
    assert_soon(delays)
    assert site.record(number)["outcome"] == "answered"


def talk(site: Site, number: str, agent: str, scenario: str = "agent") -> Phone:
    """An answered call."""
    site.carrier.ear.forget()
    phone = site.dial(f"0{number}", agent=agent, scenario=scenario)
    phone.wait_for("ACK")
    return phone


def media_of(phone: Phone, carrier: Sipp, number: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """Where Asterisk takes RTP from the phone, and from the carrier."""
    to_asterisk = phone.call.first(200).media
    from_carrier = carrier.wait_call(number).invite.media
    assert to_asterisk
    assert from_carrier
    return to_asterisk, from_carrier


@BOTH_MODES
def test_digits_pass_both_ways(site: Site, agent: str) -> None:
    number = subscriber()
    with talk(site, number, agent) as phone:
        of_agent, of_carrier = media_of(phone, site.carrier, number)
        phone.ear.press(of_agent, "19#")
        wait_for("the agent's digits at the carrier", lambda: site.carrier.ear.heard.digits == "19#")
        site.carrier.ear.press(of_carrier, "*40")
        wait_for("the customer's digits at the phone", lambda: phone.ear.heard.digits == "*40")
        phone.hang_up()
        phone.wait_end()


@BOTH_MODES
def test_a_held_call_stays_and_is_taken_up_again(site: Site, agent: str) -> None:
    number = subscriber()
    with talk(site, number, agent, "agent_holds") as phone:
        of_agent, of_carrier = media_of(phone, site.carrier, number)
        phone.cue(phone.call)
        held = wait_for("the answer to the hold", lambda: answer_to(phone, "2 INVITE"))
        assert held in {"recvonly", "inactive"}
        assert site.carrier.wait_call(number).find("BYE") is None

        phone.cue(phone.call)
        assert wait_for("the answer to the resumption", lambda: answer_to(phone, "3 INVITE")) == "sendrecv"
        site.carrier.ear.forget()
        phone.ear.forget()
        phone.ear.speak(of_agent, 0.3)
        site.carrier.ear.speak(of_carrier, 0.3)
        wait_for("the agent's voice at the carrier", lambda: site.carrier.ear.heard.audible >= 10)
        wait_for("the customer's voice at the phone", lambda: phone.ear.heard.audible >= 10)
        phone.cue(phone.call)
        phone.wait_end()
    assert site.record(number)["outcome"] == "answered"


def answer_to(phone: Phone, cseq: str) -> str:
    """The direction in the 200 to a re-INVITE, when it is there."""
    answers = (message for message in phone.call.messages if message.status == 200)
    return next((answer.direction for answer in answers if answer.header("CSeq") == cseq), "")


@pytest.mark.parametrize(
    ("trunk", "shown"),
    [({}, "101"), ({"caller_id": "+622150001000"}, "+622150001000")],
    ids=["the caller's own", "the trunk's"],
)
def test_the_customer_sees_the_caller_id_of_the_trunk(
    start_site: StartSite, trunk: dict[str, str], shown: str
) -> None:
    site = start_site(TRUNKS=[{**CARRIER, **trunk}])
    number = subscriber(Behaviour.BUSY)
    with site.dial(f"0{number}") as phone:
        phone.wait_end()
    assert f"sip:{shown}@" in site.carrier.wait_call(number).invite.header("From")
    assert site.record(number)["caller_number"] == "101"


@BOTH_MODES
@pytest.mark.parametrize(
    ("number_format", "prefix"), [("e164-plus", "+62"), ("e164", "62"), ("national", "0")]
)
def test_the_number_goes_out_in_the_format_of_the_trunk(
    start_site: StartSite, agent: str, number_format: str, prefix: str
) -> None:
    site = start_site(TRUNKS=[{**CARRIER, "number_format": number_format}])
    number = subscriber(Behaviour.BUSY)
    for dialled in (f"0{number}", f"+62{number}", f"0062{number}"):
        with site.dial(dialled, agent=agent) as phone:
            phone.wait_end()
    sent = [call.invite.user for call in site.carrier.calls(number)]
    assert sent == [f"{prefix}{number}"] * 3
    site.record(number, attempts=3)


@BOTH_MODES
def test_an_emergency_call_passes(site: Site, agent: str) -> None:
    with site.dial("112", agent=agent) as phone:
        phone.wait_for("ACK")
        phone.hang_up()
        assert phone.wait_end().statuses == [180, 200]
    assert site.carrier.wait_call("112").invite.user == "112"
