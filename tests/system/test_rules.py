"""Rules on the real Asterisk: hours, attempts, consent, purposes, overrides, and what the phone gets."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rig.guard import Guard, Row
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.site import Site
from tests.system.conftest import StartSite

pytestmark = pytest.mark.once

ALLOWED = [486]
"""What the phone sees of an allowed call: the carrier is told to be busy, so that it ends at once."""
REFUSED = [183, 403]

AT_19_59 = "2026-11-23T19:59:00+07:00"
AT_20_01 = "2026-11-23T20:01:00+07:00"
"""A Monday in Jakarta, where the numbers that are dialled here are."""


def start(start_site: StartSite, **settings: Any) -> Site:
    """A site whose prompts are cut short."""
    return start_site(PROMPTS__SECONDS=0.1, **settings)


def start_anew(guard: Guard, **changed: str) -> None:
    """The same guard, with its state, under other settings."""
    assert guard.stop() == 0
    guard.environ |= {f"CALLGUARD_{name}": value for name, value in changed.items()}
    guard.start()


def dial(site: Site, number: str, agent: str = "agent1") -> list[int]:
    """Call a number; what the phone saw."""
    with site.dial(f"0{number}", agent=agent) as phone:
        return phone.wait_end().statuses


def reasons(site: Site, number: str) -> list[str]:
    """Why the calls to a number were decided as they were, in the order of the calls."""
    rows: list[Row] = [row for row in site.guard.log() if row["number"] == f"+62{number}"]
    return [row["reason"] for row in reversed(rows)]


def test_a_debtor_is_called_at_19_59_and_not_at_20_01_where_the_debtor_is(start_site: StartSite) -> None:
    site = start(start_site, RULES__PRESETS=["ID"], RULES__CLOCK=AT_19_59)
    number = subscriber(Behaviour.BUSY)
    assert dial(site, number, "debt1") == ALLOWED
    start_anew(site.guard, RULES__CLOCK=AT_20_01)
    assert dial(site, number, "debt1") == REFUSED
    assert reasons(site, number) == ["not-listed", "outside-hours"]
    assert len(site.carrier.calls(number)) == 1


@pytest.fixture
def three_attempts(tmp_path: Path) -> list[str]:
    """The setting rules.files: three calls in 7 days on a debt."""
    file = tmp_path / "attempts.toml"
    file.write_text(
        """
        id = "trial"
        title = "Trial"
        prefixes = ["62"]
        [rule.attempts-collection]
        kind = "attempts"
        purposes = ["collection"]
        most = 3
        hours = 168
        per = ["subject"]
        counts = "dials"
        source = "a test"
        """
    )
    return [str(file)]


def test_the_fourth_attempt_in_a_period_is_refused_also_after_a_restart(
    start_site: StartSite, three_attempts: list[str]
) -> None:
    site = start(start_site, RULES__FILES=three_attempts)
    number = subscriber(Behaviour.BUSY)
    assert [dial(site, number, "debt1") for _ in range(3)] == [ALLOWED] * 3
    assert dial(site, number, "debt1") == REFUSED
    assert dial(site, number, "debt2") == ALLOWED
    start_anew(site.guard)
    assert dial(site, number, "debt1") == REFUSED
    assert reasons(site, number) == [*["not-listed"] * 3, "attempts", "not-listed", "attempts"]
    assert len(site.carrier.calls(number)) == 4


def test_of_agents_who_dial_at_once_only_as_many_get_through_as_there_are_attempts(
    start_site: StartSite, three_attempts: list[str]
) -> None:
    site = start(start_site, RULES__FILES=three_attempts)
    number = subscriber(Behaviour.BUSY)
    with ThreadPoolExecutor(6) as pool:
        saw = list(pool.map(lambda _: dial(site, number, "debt1"), range(6)))
    assert (saw.count(ALLOWED), saw.count(REFUSED)) == (3, 3)
    assert len(site.carrier.calls(number)) == 3


def test_a_consent_given_after_the_opt_out_beats_it_until_it_expires(start_site: StartSite) -> None:
    site = start(start_site)
    number = subscriber(Behaviour.BUSY)
    site.guard.add(f"0{number}")
    assert dial(site, number) == REFUSED
    site.guard.command(
        *("exempt", "add", f"0{number}", "--kind", "consent", "--evidence", "asked for it by phone"),
        *("--expires", "2h"),
    )
    assert dial(site, number) == ALLOWED
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    start_anew(site.guard, RULES__CLOCK=tomorrow.isoformat())
    assert dial(site, number) == REFUSED
    assert reasons(site, number) == ["opt-out", "exempt", "opt-out"]


def test_the_purpose_is_the_channels_or_the_projects_or_marketing(start_site: StartSite) -> None:
    site = start(start_site, PROJECTS={"bank": {"purpose": "security"}})
    number = subscriber(Behaviour.BUSY)
    site.guard.add(f"0{number}", "--category", "national-registry")
    assert dial(site, number, "debt1") == ALLOWED
    assert dial(site, number, "bank") == ALLOWED
    assert dial(site, number, "marketing") == REFUSED
    assert dial(site, number, "agent1") == REFUSED
    rows = site.guard.log()[::-1]
    assert [row["purpose"] for row in rows] == ["collection", "security", "marketing", "marketing"]
    assert [row["reason"] for row in rows][:2] == ["purpose-exempt"] * 2


def test_an_override_for_one_call_is_used_up_by_one_of_two_agents_who_dial_at_once(
    start_site: StartSite,
) -> None:
    site = start(start_site)
    number = subscriber(Behaviour.BUSY)
    site.guard.add(f"0{number}")
    site.guard.command(
        *("exempt", "add", f"0{number}", "--kind", "override", "--once", "--by", "a supervisor"),
        *("--evidence", "the customer waits for this call"),
    )
    with ThreadPoolExecutor(2) as pool:
        saw = list(pool.map(lambda _: dial(site, number), range(2)))
    assert sorted(saw) == [REFUSED, ALLOWED]
    assert dial(site, number) == REFUSED
    assert sorted(reasons(site, number)) == ["opt-out", "opt-out", "override"]
    assert len(site.carrier.calls(number)) == 1


@pytest.mark.parametrize("agent", ["agent1", "agent2"], ids=["bridge", "screen"])
def test_each_reason_gives_the_code_that_is_set_for_it(start_site: StartSite, agent: str) -> None:
    site = start(start_site, REFUSALS__DEFAULT=603, REFUSALS__BY_REASON={"opt-out": 480})
    number, unreadable = subscriber(Behaviour.BUSY), "0812"
    site.guard.add(f"0{number}")
    assert dial(site, number, agent) == [183, 480]
    with site.dial(unreadable, agent=agent) as phone:
        assert phone.wait_end().statuses == [183, 603]
