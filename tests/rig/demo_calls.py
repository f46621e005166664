"""The calls of `make demo`, one for each reason that a call can have, and what should come of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from tests.rig.asterisk import Agent
from tests.rig.office import LISTED
from tests.rig.sipp import Phone

JAKARTA = timezone(timedelta(hours=7))


def clock(now: datetime) -> datetime:
    """The guard's clock: the next Christmas that is no Sunday, at ten in Jakarta, within the hours of offers;
    in India it is half past eight, before them."""
    for year in (now.year, now.year + 1, now.year + 2):
        at = datetime(year, 12, 25, 10, tzinfo=JAKARTA)
        if at > now and at.isoweekday() != 7:
            return at
    raise AssertionError("three Sundays")


RULES = """
id = "demo"
title = "Demo"
prefixes = ["62"]

[rule.attempts-reminder]
kind = "attempts"
purposes = ["payment-reminder"]
most = 1
hours = 24
counts = "dials"
source = "the demo: one reminder a day"
"""

AGENTS = (
    Agent("agent1", "agents", "101"),
    *(
        Agent(purpose, "agents", str(102 + index), {"CALLGUARD_PURPOSE": purpose})
        for index, purpose in enumerate(("security", "collection", "payment-reminder", "callback"))
    ),
)

PAST_CALLGUARD = "none"
"""What the journal has of a call that went past callguard."""

# The carrier behaves by the last two digits; 86 is busy, so that an allowed call ends at once.
OVERRIDDEN = "+6281255550186"
CONSENTING = "+6281255550286"
ABANDONED = "+6281255550386"
REMINDED = "+6281255550486"
STOLEN = "+6281255550586"
IN_SINGAPORE = "+6591234567"
"""On the registry of its country."""
IN_NEW_YORK = "+12125550123"
"""On no list, but the registry's data are old; of the other, +1646, the registry does not speak."""
IN_INDIA = "+919812345678"
CATEGORIES = {
    "inactive-customer": "+6281255550111",
    "invalid-contact": "+6281255550112",
    "after-transaction": "+6281255550113",
    "complaint": "+6281255550114",
}
"""Number by the category of its entry; the last is a category of the user's own."""

ENTRIES = "number,category,reason\n" + "".join(
    f"{number},{category},demo\n"
    for category, number in (
        *CATEGORIES.items(),
        *(("customer-request", number) for number in (OVERRIDDEN, CONSENTING, ABANDONED, STOLEN)),
    )
)


@dataclass(frozen=True)
class Row:
    """What is said of a call in the table, after what was dialled."""

    number: str
    verdict: str
    reason: str
    phone_saw: str
    """The SIP codes, in order, without 100."""
    invites: str
    """How many reached the carrier."""
    journal: str


@dataclass(frozen=True)
class Sample:
    """A call to make, and what should come of it."""

    what: str
    dialled: str
    acts: Callable[[Phone], object]
    """What the agent does, after dialling."""
    expected: Row
    agent: str = "agent1"


def talk(phone: Phone) -> None:
    phone.wait_for("ACK")
    phone.hang_up()


def give_up_ringing(phone: Phone) -> None:
    phone.wait_for(180)
    phone.hang_up()


def listen(phone: Phone) -> None:
    """Do nothing until the end."""


def _allowed(what: str, number: str, acts: Callable[[Phone], object], saw: str, journal: str) -> Sample:
    return Sample(what, f"0{number}", acts, Row(f"+62{number}", "allow", "not-listed", saw, "1", journal))


def _placed(what: str, number: str, reason: str, agent: str = "agent1") -> Sample:
    dialled = f"0{number.removeprefix('+62')}"
    return Sample(what, dialled, listen, Row(number, "allow", reason, "486", "1", "busy"), agent)


def _refused(what: str, dialled: str, number: str, reason: str, agent: str = "agent1") -> Sample:
    row = Row(number, "refuse", reason, "183 403", "0", "prompt-heard")
    return Sample(what, dialled, listen, row, agent)


_NATIONAL = LISTED.replace("+62", "0")

SAMPLES = (
    _allowed("answered", "81234567800", talk, "180 200", "answered"),
    _allowed("busy", "81234567886", listen, "486", "busy"),
    _allowed("early media, no answer", "81234567883", listen, "183 480", "no-answer"),
    _allowed("the agent hangs up", "81234567888", give_up_ringing, "180 487", "cancelled"),
    _refused("on the own list", LISTED.replace("+", "00"), LISTED, "opt-out"),
    _refused("with outside-line digit", f"9{_NATIONAL}", LISTED, "opt-out"),
    _refused("national form", _NATIONAL, LISTED, "opt-out"),
    _refused("+62 form", LISTED, LISTED, "opt-out"),
    _placed("a stolen card", STOLEN, "purpose-exempt", "security"),
    _placed("consent since", CONSENTING, "exempt"),
    _placed("called us, gave up", ABANDONED, "exempt", "callback"),
    _placed("override for one call", OVERRIDDEN, "override"),
    _refused("on a registry", IN_SINGAPORE, IN_SINGAPORE, "registry"),
    _refused("registry too old", IN_NEW_YORK, IN_NEW_YORK, "stale-registry"),
    _refused("area not covered", "+16465550123", "+16465550123", "not-covered"),
    *(
        _refused(f"entry: {category}", number, number, "category" if category == "complaint" else category)
        for category, number in CATEGORIES.items()
    ),
    _refused("half past eight there", IN_INDIA, IN_INDIA, "outside-hours"),
    _refused("a debtor, at Christmas", "081255550115", "+6281255550115", "holiday", "collection"),
    _placed("reminder", REMINDED, "not-listed", "payment-reminder"),
    _refused("a digit is missing", "0812", "", "unreadable-number"),
    Sample("emergency", "112", talk, Row("", "allow", "emergency", "180 200", "1", PAST_CALLGUARD)),
)

AFTERWARDS = (_refused("reminder, again", REMINDED, REMINDED, "attempts", "payment-reminder"),)
"""The calls to be made when the others are over."""

DEAD = (
    Sample(
        "callguard is dead",
        "081255550116",
        listen,
        Row("", "refuse", "guard-unavailable", "183 403", "0", PAST_CALLGUARD),
    ),
    Sample(
        "dead, calls allowed",
        "081255550786",
        listen,
        Row("", "allow", "bypass", "486", "1", PAST_CALLGUARD),
    ),
)
"""The calls to be made without callguard, and what CALLGUARD_FAILURE is for each."""
FAILURE: Mapping[str, str] = {DEAD[0].dialled: "refuse", DEAD[1].dialled: "allow"}
