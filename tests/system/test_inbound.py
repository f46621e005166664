"""Inbound calls: they go on whatever becomes of callguard, and who reached nobody may be called back."""

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.rig.guard import Guard
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.ports import CARRIER
from tests.rig.sipp import Phone
from tests.rig.site import Site
from tests.rig.waiting import wait_for
from tests.system.conftest import StartSite

pytestmark = pytest.mark.once

RESULTS = ("answered", "abandoned", "missed", "unseen")


def call_in(site: Site, caller: str, to: str) -> Phone:
    """Somebody at the carrier calls us; to be used with `with`."""
    return Phone(site.asterisk.sip_port, to, agent=caller, host=CARRIER)


def abandon(site: Site, caller: str, to: str = "dial-rings") -> None:
    """Call in, and hang up while it rings, or while one waits."""
    with call_in(site, caller, to) as phone:
        phone.wait_for("ACK" if to.startswith("queue") else 180)
        if to == "queue-rings":
            wait_for("the member's phone to ring", lambda: len(site.asterisk.channels()) >= 4)
        phone.hang_up()
        phone.wait_end()


def talk(site: Site, caller: str, to: str = "dial-answers") -> None:
    """Call in, and hang up once somebody has answered."""
    with call_in(site, caller, to) as phone:
        phone.wait_for("ACK")
        if to.startswith("queue"):
            wait_for("the member's answer", lambda: results(site.guard).get("answered"))
        phone.hang_up()
        phone.wait_end()


def results(guard: Guard) -> dict[str, int]:
    """How many inbound calls had which result."""
    page = guard.page("/metrics")[1]
    found = re.findall(r'^callguard_inbound_calls_total\{result="(\w+)"\} (\S+)', page, re.MULTILINE)
    return {name: int(float(count)) for name, count in found if float(count)}


def wait_results(guard: Guard, **wanted: int) -> None:
    wait_for(f"inbound calls {wanted}", lambda: results(guard) == wanted)


def wait_windows(guard: Guard, written: int) -> None:
    """Wait until so many windows were written."""
    told = f'callguard_callback_windows_total{{fate="written"}} {written}.0'
    wait_for(told, lambda: told in guard.page("/metrics")[1])


def check(guard: Guard, number: str, purpose: str = "callback", project: str = "bank") -> dict[str, Any]:
    told = guard.run("check", "--json", "--purpose", purpose, "--project", project, f"+62{number}").stdout
    found: dict[str, Any] = json.loads(told)
    return found


@pytest.mark.parametrize("to", ["dial-rings", "queue-rings", "queue-empty"])
def test_who_hangs_up_before_an_answer_may_be_called_back(site: Site, to: str) -> None:
    number = subscriber()
    site.guard.add(f"0{number}")
    abandon(site, f"0{number}", to)
    wait_windows(site.guard, 1)
    assert results(site.guard) == {"abandoned": 1}
    told = check(site.guard, number)
    assert (told["verdict"], told["reason"]) == ("allow", "exempt")
    assert re.fullmatch(r"inbound call, abandoned after \d+ s \([0-9.]+\)", told["matches"][0]["detail"])


def test_only_a_callback_for_the_project_that_was_called_reaches_the_caller(start_site: StartSite) -> None:
    site = start_site(PROMPTS__SECONDS=0.1)
    number = subscriber(Behaviour.BUSY)
    site.guard.add(f"0{number}")
    abandon(site, f"0{number}")
    wait_windows(site.guard, 1)
    agents = ("callback", "callback-shop", "marketing")

    def call_back(agent: str) -> list[int]:
        with site.dial(f"0{number}", agent=agent) as phone:
            return phone.wait_end().statuses

    with ThreadPoolExecutor(len(agents)) as pool:
        assert list(pool.map(call_back, agents)) == [[486], [183, 403], [183, 403]]
    assert {row["agent"]: row["reason"] for row in site.guard.log()} == {
        "callback": "exempt",
        "callback-shop": "opt-out",
        "marketing": "opt-out",
    }
    assert len(site.carrier.calls(number)) == 1


@pytest.mark.parametrize("to", ["dial-answers", "queue-answers"])
def test_an_answered_call_opens_nothing_and_closes_what_an_earlier_one_opened(site: Site, to: str) -> None:
    number = subscriber(Behaviour.BUSY)
    site.guard.add(f"0{number}")
    abandon(site, f"0{number}")
    wait_windows(site.guard, 1)
    talk(site, f"0{number}", to)
    wait_windows(site.guard, 2)
    assert results(site.guard) == {"abandoned": 1, "answered": 1}
    assert check(site.guard, number)["reason"] == "opt-out"


def test_who_was_not_answered_in_time_may_be_called_back(site: Site) -> None:
    number = subscriber()
    site.guard.add(f"0{number}")
    with call_in(site, f"+62{number}", "dial-misses") as phone:
        assert phone.wait_end().statuses == [180, 480]
    wait_windows(site.guard, 1)
    assert results(site.guard) == {"missed": 1}
    assert check(site.guard, number)["reason"] == "exempt"


def test_two_abandoned_calls_are_one_window(start_site: StartSite) -> None:
    site = start_site(INBOUND__CALLBACK_HOURS=0.1)
    number = subscriber()
    site.guard.add(f"0{number}")
    for count in (1, 2):
        abandon(site, f"0{number}")
        wait_windows(site.guard, count)
    exemptions = [match for match in check(site.guard, number)["matches"] if match["kind"] == "exemption"]
    assert len(exemptions) == 1


def test_callers_without_a_number_of_their_own_leave_nothing_and_are_not_disturbed(site: Site) -> None:
    callers = ("anonymous", "101", "0812,3456(78)'9", "9" * 200, "%F0%9F%93%9E", "112")
    for caller in callers:
        abandon(site, caller)
    number = subscriber()
    abandon(site, f"0{number}")
    wait_windows(site.guard, 1)
    assert results(site.guard) == {"abandoned": len(callers) + 1}
    assert site.guard.log() == []


def test_with_callguard_dead_an_inbound_call_goes_on(site: Site) -> None:
    site.guard.kill()
    talk(site, f"0{subscriber()}")


def test_a_callguard_that_hangs_holds_no_inbound_call_and_knows_nothing_of_it(site: Site) -> None:
    number = subscriber()
    site.guard.process.freeze()
    talk(site, f"0{number}")
    abandon(site, f"0{number}")
    site.guard.process.signal(signal.SIGCONT)
    wait_results(site.guard, unseen=2)
    number = subscriber()
    abandon(site, f"0{number}")
    wait_windows(site.guard, 1)


def test_a_time_limit_of_the_call_itself_stays(site: Site) -> None:
    with call_in(site, f"0{subscriber()}", "limited") as phone:
        phone.wait_end()


def test_calls_in_progress_when_the_guard_starts_anew_go_on_and_open_nothing(site: Site) -> None:
    number = subscriber()
    with call_in(site, f"0{number}", "dial-rings") as phone:
        phone.wait_for(180)
        site.guard.kill()
        site.guard.start()
        phone.hang_up()
        phone.wait_end()
    second = subscriber()
    abandon(site, f"0{second}")
    wait_windows(site.guard, 1)
    assert results(site.guard) == {"abandoned": 1}
