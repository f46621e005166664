"""Refused calls: what the agent hears and sees, that nothing reaches a carrier, what the journal says."""

import wave
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from callguard.sounds.make import SOUNDS
from tests.rig.lockeddatabase import locked_database
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.rtp import FRAME_SECONDS
from tests.rig.site import Site
from tests.rig.soundserver import SoundServer
from tests.rig.waiting import wait_for
from tests.system.conftest import StartSite

BOTH_MODES = pytest.mark.parametrize("agent", ["agent1", "agent2"], ids=["bridge", "screen"])
CAUSE_REJECTED = "Q.850;cause=21"
CAUSES = {403: 21, 480: 19, 603: 16}


@BOTH_MODES
def test_a_listed_number_is_refused_by_voice_however_it_is_dialled(site: Site, agent: str) -> None:
    number = subscriber()
    site.guard.add(f"+62{number}")
    forms = (f"0{number}", f"+62{number}", f"0062{number}", f"0101762{number}")
    with ExitStack() as calls:
        phones = [calls.enter_context(site.dial(dialled, agent=agent)) for dialled in forms]
        for phone in phones:
            assert phone.wait_end(30).statuses == [183, 403]
            assert phone.wait_for(183).media
            assert phone.ear.heard.audible >= 25
            assert phone.call.first(403).header("Reason").replace(" ", "").startswith(CAUSE_REJECTED)
    site.assert_never_reached_a_carrier(number)
    row = site.record(number, attempts=len(forms))
    assert (row["verdict"], row["reason"], row["outcome"]) == ("refuse", "opt-out", "prompt-heard")
    assert len(row["matches"]) == 1


@BOTH_MODES
def test_an_agent_who_hangs_up_during_the_prompt_is_on_record_too(site: Site, agent: str) -> None:
    number = subscriber()
    site.guard.add(f"+62{number}")
    with site.dial(f"0{number}", agent=agent) as phone:
        phone.wait_for(183)
        wait_for("the prompt's sound", lambda: phone.ear.heard.audible >= 5)
        phone.hang_up()
        assert phone.wait_end().statuses == [183, 487]
    site.assert_never_reached_a_carrier(number)
    assert site.record(number)["outcome"] == "prompt-cut"


@BOTH_MODES
def test_a_missing_prompt_still_refuses(start_site: StartSite, agent: str) -> None:
    site = start_site(PROMPTS__SOURCE="files")
    number = subscriber()
    site.guard.add(f"+62{number}")
    with site.dial(f"0{number}", agent=agent) as phone:
        assert phone.wait_end().statuses[-1] == 403
        assert phone.ear.heard.audible == 0
    site.assert_never_reached_a_carrier(number)
    assert site.record(number)["outcome"] == "prompt-failed"


def spoken_seconds(names: Sequence[str]) -> float:
    """How long the recordings last, one after the other."""
    total = 0.0
    for name in names:
        with wave.open(str(SOUNDS / f"{name}.wav")) as recording:
            total += recording.getnframes() / recording.getframerate()
    return total


def test_the_reason_is_followed_by_the_reference_that_finds_the_decision(start_site: StartSite) -> None:
    with SoundServer() as sounds:
        site = start_site(PROMPTS__REFERENCE="true", PROMPTS__BASE_URL=sounds.url)
        sounds.guard_port = site.guard.http_port
        number = subscriber()
        site.guard.add(f"+62{number}")
        with site.dial(f"0{number}") as phone:
            assert phone.wait_end(40).statuses == [183, 403]
            packets = phone.ear.heard.packets
    row = site.record(number)
    assert row["outcome"] == "prompt-heard"
    digits = [f"digit-{digit}" for digit in row["reference"]]
    spoken = [f"en/{name}" for name in ("listed", "reference", *digits[:3], "pause", *digits[3:])]
    # Asterisk asks for each once, and plays a digit that comes again from its cache.
    assert sounds.asked == list(dict.fromkeys(spoken))
    assert packets * FRAME_SECONDS == pytest.approx(spoken_seconds(spoken), rel=0.1)
    assert site.guard.log("--reference", row["reference"]) == [row]


@pytest.mark.parametrize(
    ("missing", "outcome"),
    # Asterisk goes on with the next recording, and tells how the last one ended.
    [(["listed"], "prompt-heard"), ([f"digit-{digit}" for digit in range(10)], "prompt-failed")],
    ids=["reason", "digits"],
)
def test_a_missing_recording_keeps_no_refusal_from_its_end(
    start_site: StartSite, missing: Sequence[str], outcome: str
) -> None:
    with SoundServer(missing) as sounds:
        site = start_site(PROMPTS__REFERENCE="true", PROMPTS__BASE_URL=sounds.url)
        number = subscriber()
        site.guard.add(f"+62{number}")
        with site.dial(f"0{number}", agent="agent2") as phone:
            assert phone.wait_end(30).statuses == [183, 403]
    assert site.record(number)["outcome"] == outcome


def test_each_reason_has_the_sip_code_of_the_settings_in_both_modes(start_site: StartSite) -> None:
    codes = {"inactive-customer": 480, "invalid-contact": 603}
    site = start_site(REFUSALS__BY_REASON=codes)
    with ExitStack() as calls:
        phones = []
        for category, status in (*codes.items(), ("customer-request", 403)):
            number = subscriber()
            site.guard.add(f"+62{number}", "--category", category)
            for agent in ("agent1", "agent2"):
                phone = calls.enter_context(site.dial(f"0{number}", agent=agent))
                phones.append((phone, status, number))
        for phone, status, number in phones:
            call = phone.wait_end(30)
            assert call.statuses == [183, status]
            assert f"cause={CAUSES[status]}" in call.first(status).header("Reason")
            assert site.record(number, attempts=2)["outcome"] == "prompt-heard"


@BOTH_MODES
def test_the_prompt_may_be_played_on_an_answered_call(start_site: StartSite, agent: str) -> None:
    site = start_site(PROMPTS__ANSWER_BEFORE_PROMPT="true")
    number = subscriber()
    site.guard.add(f"+62{number}")
    with site.dial(f"0{number}", agent=agent) as phone:
        assert phone.wait_end(30).statuses == [200]
        assert phone.ear.heard.audible >= 25
        assert phone.call.requests == ["INVITE", "ACK", "BYE"]
    site.assert_never_reached_a_carrier(number)
    assert site.record(number)["outcome"] == "prompt-heard"


@BOTH_MODES
def test_a_number_taken_off_the_list_is_placed_again(site: Site, agent: str) -> None:
    number = subscriber(Behaviour.BUSY)
    site.guard.add(f"+62{number}")
    site.guard.command("remove", f"+62{number}", "--reason", "listed by mistake")
    with site.dial(f"0{number}", agent=agent) as phone:
        assert phone.wait_end().statuses == [486]


@BOTH_MODES
@pytest.mark.parametrize("dialled", ["12345678901234567890", "0000000000", "+999123456789"])
def test_what_cannot_be_read_as_a_number_is_refused(site: Site, agent: str, dialled: str) -> None:
    with site.dial(dialled, agent=agent) as phone:
        assert phone.wait_end(30).statuses == [183, 403]
    site.assert_never_reached_a_carrier(dialled)
    row = site.guard.log()[1]
    assert (row["dialled"], row["number"], row["reason"]) == (dialled, None, "unreadable-number")


def test_a_transfer_to_a_listed_number_is_refused_too(site: Site) -> None:
    number, listed = subscriber(), subscriber()
    site.guard.add(f"+62{listed}")
    with site.dial(f"0{number}", scenario="agent_transfers", keys={"target": f"0{listed}"}) as phone:
        phone.wait_for("ACK")
        at_carrier = site.carrier.wait_call(number)
        phone.cue(phone.call)
        assert phone.wait_end().requests[-1] == "BYE"
        # The customer, left alone with the refusal, is released after it.
        site.carrier.wait_message(at_carrier, "BYE", 30)
    site.assert_never_reached_a_carrier(listed)
    refused = site.record(listed)
    assert (refused["verdict"], refused["agent"]) == ("refuse", "agent1")
    assert site.record(number)["outcome"] == "answered"


@BOTH_MODES
def test_an_agent_who_hangs_up_before_the_decision_leaves_no_call(start_site: StartSite, agent: str) -> None:
    site = start_site(SQL__TIMEOUT="20")
    number = subscriber()
    with locked_database(site.guard.state), site.dial(f"0{number}", agent=agent) as phone:
        wait_for("the call in Stasis", lambda: "!Stasis!" in site.asterisk.cli("core show channels concise"))
        phone.hang_up()
        assert phone.wait_end().statuses == [487]
    site.assert_never_reached_a_carrier(number)
    assert site.record(number)["outcome"] == "cancelled"
