"""The rig tells the truth: what phones and carriers do without a guard, as they see it."""

import os
from pathlib import Path

import pytest

from tests.rig.asterisk import Asterisk
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.sipp import Phone, Sipp
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.once

PLAIN = "agent3"


def test_nobody_else_takes_a_port_of_this_loopback_interface() -> None:
    own, parents = (Path(f"/proc/{process}/ns/net").readlink() for process in ("self", os.getppid()))
    assert own != parents


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(Behaviour.BUSY, 486), (Behaviour.UNKNOWN, 404), (Behaviour.ABSENT, 480), (Behaviour.CONGESTED, 503)],
)
def test_the_carriers_refusals_are_seen_on_both_sides(
    asterisk: Asterisk, carrier1: Sipp, behaviour: Behaviour, status: int
) -> None:
    number = subscriber(behaviour)
    with Phone(asterisk.sip_port, f"0{number}", agent=PLAIN) as phone:
        assert phone.wait_end().statuses == [status]
    assert carrier1.wait_call(number).statuses == [status]
    asterisk.wait_empty()


def test_a_cue_cancels_a_ringing_call(asterisk: Asterisk, carrier1: Sipp) -> None:
    number = subscriber(Behaviour.RINGS)
    with Phone(asterisk.sip_port, f"0{number}", agent=PLAIN) as phone:
        phone.wait_for(180)
        phone.hang_up()
        assert phone.wait_end().statuses == [180, 487]
    carrier1.wait_message(carrier1.wait_call(number), "CANCEL")
    asterisk.wait_empty()


def test_an_ear_tells_sound_from_silence_and_hears_digits(asterisk: Asterisk, carrier1: Sipp) -> None:
    number = subscriber(Behaviour.EARLY_MEDIA)
    carrier1.ear.forget()
    with Phone(asterisk.sip_port, f"0{number}", agent=PLAIN) as phone:
        to_phone = carrier1.wait_call(number).invite.media
        to_carrier = phone.wait_for(183).media
        assert to_phone
        assert to_carrier
        carrier1.ear.speak(to_phone, 0.3)
        wait_for("sound at the phone", lambda: phone.ear.heard.audible >= 10)
        carrier1.cue(carrier1.wait_call(number))
        phone.wait_for("ACK")
        phone.ear.press(to_carrier, "15#")
        wait_for("the digits at the carrier", lambda: carrier1.ear.heard.digits == "15#")
        assert phone.ear.heard.digits == ""
        phone.hang_up()
        phone.wait_end()
    asterisk.wait_empty()


def test_the_hangup_of_the_customer_reaches_the_phone(asterisk: Asterisk, carrier1: Sipp) -> None:
    with Phone(asterisk.sip_port, f"0{subscriber(Behaviour.LEAVES)}", agent=PLAIN) as phone:
        phone.wait_for("BYE")
        assert phone.wait_end().statuses == [180, 200]
    asterisk.wait_empty()


def test_an_asterisk_starts_again_with_the_same_ports(asterisk: Asterisk) -> None:
    asterisk.restart()
    assert asterisk.channels() == []
