"""kill -9 of callguard, a hundred times under load: nothing that it did is without a record."""

import csv
import random
import time

import pytest

from tests.rig.guard import Row
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.sipp import Phones
from tests.rig.site import Site
from tests.rig.waiting import wait_for

pytestmark = [pytest.mark.load, pytest.mark.alone, pytest.mark.timeout(900)]

KILLS = 100
RATE = 15
LONGEST_LIFE = 0.6
"""Seconds that a guard lives at most once it is ready: about as long as a call takes to be settled."""
MIX = (Behaviour.ANSWERS, Behaviour.BUSY, Behaviour.RINGS, Behaviour.LEAVES)


def refusals_acted_on(site: Site) -> set[str]:
    """The references that CDRs name: callguard marks a refused call before it plays the prompt."""
    records = site.asterisk.folder / "log/cdr-csv/Master.csv"
    if not records.exists():
        return set()
    with records.open(newline="", errors="replace") as file:
        marks = {field for row in csv.reader(file) for field in row if field.startswith("callguard:refuse:")}
    return {mark.rpartition(":")[2] for mark in marks}


@pytest.mark.parametrize("agent", ["agent1", "agent2"], ids=["bridge", "screen"])
def test_no_call_that_was_acted_on_is_without_its_record(site: Site, agent: str) -> None:
    listed = [subscriber() for _ in range(5)]
    for number in listed:
        site.guard.add(f"+62{number}")
    seconds = KILLS * 4
    allowed = [subscriber(MIX[n % len(MIX)]) for n in range(RATE * seconds)]
    dialled = [f"0{listed[n % len(listed)] if n % 10 == 0 else number}" for n, number in enumerate(allowed)]
    conversations = [subscriber() for _ in range(3)]
    phones = [site.dial(f"0{number}", agent=agent) for number in conversations]
    for phone in phones:
        phone.wait_for("ACK")

    refused_before = refusals_acted_on(site)
    chance = random.Random()
    with Phones(site.asterisk.sip_port, dialled, rate=RATE, agent=agent) as load:
        for _ in range(KILLS):
            # The moment of the kill is what this test is about; nothing is waited for.
            time.sleep(chance.uniform(0, LONGEST_LIFE))
            site.guard.kill()
            site.guard.start()
        placed = {call.invite.user for call in load.calls()}
    assert len(placed) > KILLS, "too few calls were placed for the kills to mean anything"

    for number, phone in zip(conversations, phones, strict=True):
        assert phone.call.find("BYE") is None, f"the conversation with {number} was cut"
        phone.hang_up()
        phone.wait_end()
        site.carrier.wait_message(site.carrier.wait_call(number), "BYE")
        phone.stop()
        assert site.record(number)["outcome"] == "answered"

    # The phones of the load were switched off in the middle of their calls; Asterisk gives these up in time.
    site.asterisk.cli("channel request hangup all")
    site.asterisk.wait_empty(60)

    def closed() -> list[Row] | None:
        rows = site.guard.log()
        return rows if all(row["outcome"] for row in rows) else None

    rows = wait_for("every decision to have its outcome", closed, seconds=60)
    on_record = {row["number"] for row in rows if row["verdict"] == "allow"}
    reached = {call.invite.user for call in site.carrier.calls()}
    dialled_here = {f"+62{number}" for number in allowed + conversations}
    assert (reached & dialled_here) - on_record == set(), "INVITEs without a record"
    assert reached & {f"+62{number}" for number in listed} == set(), "a listed number was called"
    refused = refusals_acted_on(site) - refused_before
    assert refused, "no prompt was played: the test shows nothing of refusals"
    assert refused - {row["reference"] for row in rows} == set(), "refusals without a record"
