"""Fifty calls a second for a minute, one in ten of them to a listed number."""

import random
from collections import Counter
from statistics import median

import pytest

from tests.rig.guard import Row
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.sip import SipCall
from tests.rig.sipp import Phones
from tests.rig.site import Site
from tests.rig.waiting import wait_for

pytestmark = [pytest.mark.load, pytest.mark.alone, pytest.mark.timeout(300)]

RATE = 50
SECONDS = 60
LISTED = 10
"""Numbers on the list, each dialled many times."""
WARM_SECONDS = {"guard": 25, "Asterisk": 45}
"""When a process has all that its calls need at once. Asterisk's PJSIP keeps a call's transaction for 32 s
after it (RFC 3261, 64 times T1), and a prompt takes 5 s: until then its memory rises with each call."""
MEMORY_FACTOR = 1.04
MEMORY_SLACK = 4 * 1024 * 1024
"""Bytes that a process may have more at the end than when it was warm: arenas that come late."""

EXPECTED = {
    Behaviour.ANSWERS: ((180, 200), "answered"),
    Behaviour.LEAVES: ((180, 200), "answered"),
    Behaviour.RINGS: ((180, 487), "cancelled"),
    Behaviour.BUSY: ((486,), "busy"),
    Behaviour.ABSENT: ((480,), "no-answer"),
    Behaviour.UNKNOWN: ((404,), "failed"),
    Behaviour.DECLINES: ((603,), "declined"),
}
"""What the carrier does -> what the phone sees, and the outcome in the journal."""
REFUSED = ((183, 403), "prompt-heard")
MIX = [Behaviour.ANSWERS] * 8 + [behaviour for behaviour in EXPECTED if behaviour != Behaviour.ANSWERS]


def numbers_to_dial(listed: list[str]) -> list[str]:
    count = RATE * SECONDS
    allowed = [subscriber(MIX[n % len(MIX)]) for n in range(count - count // 10)]
    refused = [listed[n % len(listed)] for n in range(count // 10)]
    mixed = allowed + refused
    random.Random(1).shuffle(mixed)
    return mixed


def wrong(calls: list[SipCall], rows: list[Row], listed: set[str]) -> list[str]:
    """Every call that did not end as it should, in words."""
    seen = {call.invite.user.removeprefix("0"): call for call in calls}
    told = {row["number"].removeprefix("+62"): row for row in rows}
    complaints = []
    for number, call in seen.items():
        statuses, outcome = REFUSED if number in listed else EXPECTED[Behaviour(number[-2:])]
        row = told.get(number)
        if tuple(call.statuses) != statuses:
            complaints.append(f"{number}: the phone saw {call.statuses}, not {statuses}")
        if row is None or row["outcome"] != outcome:
            complaints.append(f"{number}: the journal says {row and row['outcome']}, not {outcome}")
    return complaints


def assert_steady(what: str, samples: list[int]) -> None:
    """That memory is no more at the end than it was when the process was warm."""
    warm = median(samples[WARM_SECONDS[what] : WARM_SECONDS[what] + 5])
    end = median(samples[-5:])
    shown = [sample // 2**20 for sample in samples]
    print(f"{what}, MiB, second by second: {shown}")  # noqa: T201 - pytest shows it on failure, and with -s
    assert end <= warm * MEMORY_FACTOR + MEMORY_SLACK, f"{what} grew: {shown}"


@pytest.mark.parametrize("agent", ["agent1", "agent2"], ids=["bridge", "screen"])
def test_every_call_ends_as_it_should_at_fifty_a_second(site: Site, agent: str) -> None:
    listed = [subscriber() for _ in range(LISTED)]
    for number in listed:
        site.guard.add(f"+62{number}")
    dialled = numbers_to_dial(listed)
    processes = {"guard": site.guard.process, "Asterisk": site.asterisk.process}
    memory: dict[str, list[int]] = {name: [] for name in processes}
    numbers = [f"0{number}" for number in dialled]
    with Phones(site.asterisk.sip_port, numbers, rate=RATE, agent=agent) as phones:

        def sample_until_done() -> bool:
            placed = len(phones.calls())
            for name, process in processes.items():
                # A sample for each second of placing calls.
                if placed >= RATE * len(memory[name]) and placed < len(dialled):
                    memory[name].append(process.memory())
            return phones.done

        wait_for("the end of all calls", sample_until_done, seconds=SECONDS + 60)
        site.asterisk.wait_empty(30)
        calls = phones.calls()

    def complete() -> list[Row] | None:
        rows = site.guard.log()
        return rows if len(rows) == len(dialled) and all(row["outcome"] for row in rows) else None

    rows = wait_for("the journal to have every outcome", complete, seconds=30)
    assert len(calls) == len(dialled)
    assert wrong(calls, rows, set(listed)) == []

    reached = Counter(call.invite.user for call in site.carrier.calls())
    assert [number for number in listed if reached[f"+62{number}"]] == []
    allowed = set(dialled) - set(listed)
    assert {number for number in allowed if reached[f"+62{number}"] != 1} == set()
    for name, samples in memory.items():
        assert_steady(name, samples)
