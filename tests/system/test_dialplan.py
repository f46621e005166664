"""dialplan/callguard.conf on a real Asterisk: with callguard dead, and with guards of all kinds."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.asterisk import Agent, Asterisk, running_asterisk
from tests.rig.ports import CARRIER
from tests.rig.puppet import puppet
from tests.rig.sipp import Phone, Sipp, carrier
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.system

DIALPLAN = Path(__file__).parents[2] / "dialplan/callguard.conf"
CONTEXTS = """
[globals](+)
CALLGUARD_ENDPOINT = PJSIP/{number}@carrier

#include callguard.conf

[agents-bridged]
include => callguard-bridge

[agents-screened]
include => callguard-screen

; A system that dials by itself, and asks first.
[agents-asking]
exten => _X.,1,Set(CALLGUARD_DIALLED=${EXTEN})
 same => n,Gosub(callguard-ask,s,1(screen))
 same => n,GotoIf($["${GOSUB_RETVAL}" = "allow"]?dial)
 same => n,Goto(callguard-call,${GOSUB_RETVAL},1)
 same => n(dial),Dial(PJSIP/${CALLGUARD_NUMBER}@carrier)
"""
AGENTS = (
    Agent("bridged", "agents-bridged", "101"),
    Agent("screened", "agents-screened", "102"),
    Agent("asking", "agents-asking", "103"),
    Agent("forger", "agents-screened", "104", {"CALLGUARD_VERDICT": "allow", "CALLGUARD_NUMBER": "0811"}),
    Agent("service", "agents-screened", "105", {"CALLGUARD_PURPOSE": "after-sales"}),
)
BOTH_MODES = pytest.mark.parametrize("agent", ["bridged", "screened"])
SENTINEL = "119"
GLOBALS = (
    "CALLGUARD_FAILURE",
    "CALLGUARD_FAILURE_after-sales",
    "CALLGUARD_OUTSIDE_LINE",
    "CALLGUARD_WAIT",
    "CALLGUARD_LONGEST_CALL",
    "CALLGUARD_RING_SECONDS",
)


@pytest.fixture(scope="module")
def pbx() -> Iterator[Asterisk]:
    files = {"callguard.conf": DIALPLAN.read_text()}
    with running_asterisk(agents=AGENTS, files=files, dialplan=CONTEXTS) as asterisk:
        yield asterisk


@pytest.fixture
def asterisk(pbx: Asterisk) -> Asterisk:
    """Asterisk with every global at its default, and no CDR yet."""
    for name in GLOBALS:
        setting(pbx, name, '""')
    cdrs(pbx).write_text("")
    return pbx


@pytest.fixture
def trunk(asterisk: Asterisk) -> Iterator[Sipp]:
    with carrier(CARRIER, asterisk.carrier_port) as running:
        yield running
        asterisk.wait_empty()


def setting(asterisk: Asterisk, name: str, value: str) -> None:
    asterisk.cli(f"dialplan set global {name} {value}")


def dial(asterisk: Asterisk, number: str, agent: str = "screened") -> Phone:
    return Phone(asterisk.sip_port, number, agent=agent)


def talk_and_hang_up(phone: Phone) -> None:
    phone.wait_for(200)
    phone.hang_up()
    phone.wait_end()


def reached(asterisk: Asterisk, trunk: Sipp) -> list[str]:
    """The numbers that were sent to the carrier so far. A call placed now proves that none is on its way."""
    with dial(asterisk, SENTINEL) as phone:
        talk_and_hang_up(phone)
    numbers = [call.invite.user for call in trunk.calls()]
    assert numbers[-1] == SENTINEL
    return numbers[:-1]


def assert_refused(phone: Phone) -> None:
    call = phone.wait_end()
    assert call.statuses[-1] == 403
    assert "cause=21" in call.first(403).header("Reason")


# --- callguard is dead -------------------------------------------------------------------------------------


@BOTH_MODES
@pytest.mark.parametrize(
    ("dialled", "number"), [("112", "112"), ("110", "110"), ("000", "000"), ("9112", "112"), ("0119", "119")]
)
def test_an_emergency_number_passes_when_callguard_is_dead(
    asterisk: Asterisk, trunk: Sipp, agent: str, dialled: str, number: str
) -> None:
    with dial(asterisk, dialled, agent) as phone:
        talk_and_hang_up(phone)
    assert [call.invite.user for call in trunk.calls()] == [number]
    wait_marked(asterisk, "callguard:emergency")


def wait_marked(asterisk: Asterisk, mark: str) -> None:
    """Wait until the CDR of this test's call has this mark."""
    wait_for(f"a CDR with {mark}", lambda: f'"{mark}"' in cdrs(asterisk).read_text())


def cdrs(asterisk: Asterisk) -> Path:
    return asterisk.folder / "log/cdr-csv/Master.csv"


@BOTH_MODES
@pytest.mark.parametrize("dialled", ["081234567890", "+6281234567890", "91120"])
def test_any_other_number_is_refused_by_ear_when_callguard_is_dead(
    asterisk: Asterisk, trunk: Sipp, agent: str, dialled: str
) -> None:
    with dial(asterisk, dialled, agent) as phone:
        assert_refused(phone)
        assert phone.statuses == [183, 403]
        assert phone.ear.heard.audible > 25
    assert reached(asterisk, trunk) == []
    wait_marked(asterisk, "callguard:guard-unavailable")


@BOTH_MODES
def test_any_other_number_passes_when_the_policy_allows(asterisk: Asterisk, trunk: Sipp, agent: str) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    with dial(asterisk, "081234567890", agent) as phone:
        talk_and_hang_up(phone)
    assert [call.invite.user for call in trunk.calls()] == ["081234567890"]
    wait_marked(asterisk, "callguard:bypass")


@pytest.mark.parametrize("policy", ["yes", "Allow", "allow,refuse"])
def test_only_the_exact_word_allows(asterisk: Asterisk, trunk: Sipp, policy: str) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", policy)
    with dial(asterisk, "081234567890") as phone:
        assert_refused(phone)
    assert reached(asterisk, trunk) == []


def test_a_purpose_has_a_policy_of_its_own(asterisk: Asterisk, trunk: Sipp) -> None:
    setting(asterisk, "CALLGUARD_FAILURE_after-sales", "allow")
    with dial(asterisk, "081234567890") as phone:
        assert_refused(phone)
    with dial(asterisk, "081234567891", "service") as phone:
        talk_and_hang_up(phone)
    assert reached(asterisk, trunk) == ["081234567891"]


def test_the_outside_line_digit_does_not_go_to_the_carrier(asterisk: Asterisk, trunk: Sipp) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    setting(asterisk, "CALLGUARD_OUTSIDE_LINE", "9")
    for number in ("9081234567890", "081234567899"):
        with dial(asterisk, number) as phone:
            talk_and_hang_up(phone)
    assert [call.invite.user for call in trunk.calls()] == ["081234567890", "081234567899"]


@pytest.mark.parametrize(
    "dialled",
    [
        "0812%26PJSIP%2F0813%40carrier",
        "0812%2Cbridge%2C0813",
        "0812%22%5D%7B%24%7D",
        "0812%24%7BCALLGUARD_FAILURE%7D",
        "0812%ff%fe",
        "0812-345",
        "0812" + "3" * 70 + "%3b",
    ],
)
def test_what_is_not_plain_digits_is_never_dialled_unchecked(
    asterisk: Asterisk, trunk: Sipp, dialled: str
) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    with dial(asterisk, dialled) as phone:
        assert_refused(phone)
    assert reached(asterisk, trunk) == []


def test_the_refusal_is_spoken_where_the_prompt_is_installed(asterisk: Asterisk, trunk: Sipp) -> None:
    spoken = asterisk.sounds / "callguard/guard-unavailable.ulaw"
    with dial(asterisk, "081234567890") as phone:
        assert_refused(phone)
        tones = phone.ear.heard.packets
    spoken.parent.mkdir()
    try:
        spoken.write_bytes(b"\x20\xa0" * 2000)
        with dial(asterisk, "081234567890") as phone:
            assert_refused(phone)
            assert 20 < phone.ear.heard.audible < 30
            assert phone.ear.heard.packets < tones / 2
    finally:
        shutil.rmtree(spoken.parent)


@pytest.mark.parametrize(
    ("ending", "status"), [("86", 486), ("04", 404), ("80", 480), ("03", 503), ("60", 603), ("88", 480)]
)
def test_why_the_carrier_failed_reaches_the_agent(
    asterisk: Asterisk, trunk: Sipp, ending: str, status: int
) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    setting(asterisk, "CALLGUARD_RING_SECONDS", "1")
    with dial(asterisk, f"0812345678{ending}") as phone:
        assert phone.wait_end().statuses[-1] == status


def test_a_redirection_by_the_carrier_is_not_followed(asterisk: Asterisk) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    with carrier(CARRIER, asterisk.carrier_port, "carrier_redirects") as trunk:
        with dial(asterisk, "081234567890") as phone:
            assert phone.wait_end().statuses[-1] >= 400
        asterisk.wait_empty()
        assert [call.invite.user for call in trunk.calls()] == ["081234567890"]


# --- only the verdict counts -------------------------------------------------------------------------------


def test_a_verdict_that_the_caller_brought_is_not_believed(asterisk: Asterisk, trunk: Sipp) -> None:
    with dial(asterisk, "081234567890", "forger") as phone:
        assert_refused(phone)
    with puppet(asterisk, "callguard"), dial(asterisk, "081234567890", "forger") as phone:
        assert_refused(phone)
    assert reached(asterisk, trunk) == []


@pytest.mark.parametrize("agent", ["screened", "asking"])
def test_an_allowed_call_goes_to_the_number_that_was_checked(
    asterisk: Asterisk, trunk: Sipp, agent: str
) -> None:
    told = {"CALLGUARD_VERDICT": "allow", "CALLGUARD_NUMBER": "+6281234567890"}
    with puppet(asterisk, "callguard", told) as guard:
        with dial(asterisk, "9081234567890", agent) as phone:
            talk_and_hang_up(phone)
        assert guard.asked == [["screen", "9081234567890"]]
    assert [call.invite.user for call in trunk.calls()] == ["+6281234567890"]


@pytest.mark.parametrize("agent", ["bridged", "screened", "asking"])
@pytest.mark.parametrize("verdict", ["refuse", "ALLOW", "1"])
def test_any_verdict_but_allow_refuses(asterisk: Asterisk, trunk: Sipp, agent: str, verdict: str) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    with puppet(asterisk, "callguard", {"CALLGUARD_VERDICT": verdict}):
        with dial(asterisk, "081234567890", agent) as phone:
            assert phone.wait_end().statuses[-1] >= 400
        assert reached(asterisk, trunk) == []


@pytest.mark.parametrize("agent", ["bridged", "screened", "asking"])
@pytest.mark.parametrize(("cause", "status"), [("21", 403), ("19", 480), ("16", 603), ("", 403)])
def test_a_refused_call_that_comes_back_gets_the_code_that_callguard_would_have_given(
    asterisk: Asterisk, trunk: Sipp, agent: str, cause: str, status: int
) -> None:
    told = {"CALLGUARD_VERDICT": "refuse"} | ({"CALLGUARD_CAUSE": cause} if cause else {})
    with puppet(asterisk, "callguard", told), dial(asterisk, "081234567890", agent) as phone:
        assert phone.wait_end().statuses[-1] == status
    assert reached(asterisk, trunk) == []


def test_a_bridged_call_that_comes_back_is_never_dialled_again(asterisk: Asterisk, trunk: Sipp) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    told = {"CALLGUARD_VERDICT": "allow", "CALLGUARD_NUMBER": "081234567890"}
    with puppet(asterisk, "callguard", told), puppet(asterisk, "callguard-2", told) as second:
        with dial(asterisk, "081234567890", "bridged") as phone:
            assert phone.wait_end().statuses[-1] >= 400
        assert second.asked == []
        assert reached(asterisk, trunk) == []


@BOTH_MODES
def test_the_guard_is_told_what_was_dialled_and_nothing_else(
    asterisk: Asterisk, trunk: Sipp, agent: str
) -> None:
    mode = "bridge" if agent == "bridged" else "screen"
    for dialled, told in (
        ("0812%2Cscreen%2C0813", "0812%2Cscreen%2C0813"),
        ("0812%ff", "0812%FF"),
        ("0812%20345-678.9", "0812 345-678.9"),
    ):
        with puppet(asterisk, "callguard", {"CALLGUARD_VERDICT": "refuse"}) as guard:
            with dial(asterisk, dialled, agent) as phone:
                phone.wait_end()
            assert guard.asked == [[mode, told]]
    assert reached(asterisk, trunk) == []


# --- a second guard, and one that is stuck -----------------------------------------------------------------


@BOTH_MODES
@pytest.mark.parametrize("first_is_there", [False, True])
def test_the_second_guard_is_asked_when_the_first_tells_nothing(
    asterisk: Asterisk, trunk: Sipp, agent: str, *, first_is_there: bool
) -> None:
    first = "callguard" if first_is_there else "somebody-else"
    with puppet(asterisk, first), puppet(asterisk, "callguard-2", {"CALLGUARD_VERDICT": "refuse"}) as second:
        with dial(asterisk, "081234567890", agent) as phone:
            assert phone.wait_end().statuses[-1] >= 400
        assert len(second.asked) == 1
    assert reached(asterisk, trunk) == []


def test_the_second_guard_is_not_asked_when_the_first_has_told(asterisk: Asterisk, trunk: Sipp) -> None:
    told = {"CALLGUARD_VERDICT": "refuse"}
    with puppet(asterisk, "callguard", told), puppet(asterisk, "callguard-2") as second:
        with dial(asterisk, "081234567890") as phone:
            assert_refused(phone)
        assert second.asked == []
    assert reached(asterisk, trunk) == []


@BOTH_MODES
@pytest.mark.parametrize("verdict", ["", "allow"])
def test_a_call_that_a_dying_guard_left_stuck_is_freed_and_never_dialled(
    asterisk: Asterisk, trunk: Sipp, agent: str, verdict: str
) -> None:
    setting(asterisk, "CALLGUARD_FAILURE", "allow")
    setting(asterisk, "CALLGUARD_WAIT", "2")
    setting(asterisk, "CALLGUARD_LONGEST_CALL", "2")
    told = {"CALLGUARD_VERDICT": verdict, "CALLGUARD_NUMBER": "081234567890"}
    with (
        puppet(asterisk, "callguard", told, hold=True) as guard,
        dial(asterisk, "081234567890", agent) as phone,
    ):
        guard.wait_asked()
        guard.cut()
        assert_refused(phone)
    assert reached(asterisk, trunk) == []


def test_the_time_limit_of_the_verdict_does_not_cut_the_call(asterisk: Asterisk, trunk: Sipp) -> None:
    setting(asterisk, "CALLGUARD_WAIT", "2")
    told = {"CALLGUARD_VERDICT": "allow", "CALLGUARD_NUMBER": "081234567890"}
    with puppet(asterisk, "callguard", told), dial(asterisk, "081234567890") as phone:
        phone.wait_for(200)
        (channel, *_) = asterisk.channels()
        assert "TIMEOUT" not in asterisk.cli(f"core show channel {channel}")
        phone.hang_up()
        phone.wait_end()
