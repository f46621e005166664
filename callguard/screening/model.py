"""The words of screening as types: what is known of a call, what the lists say, what is decided.

Values only: nothing here does I/O or knows the time.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple

from callguard.numbers import Number


class Purpose(StrEnum):
    """The purposes that callguard knows; the settings may add the user's own words."""

    MARKETING = "marketing"
    SURVEY = "survey"
    MARKET_RESEARCH = "market-research"
    LOYALTY = "loyalty"
    SERVICE = "service"
    SERVICE_NOTICE = "service-notice"
    """Maintenance, an outage, a change of policy."""
    SECURITY = "security"
    """A stolen card, a fraud."""
    VERIFICATION = "verification"
    PAYMENT_REMINDER = "payment-reminder"
    COLLECTION = "collection"
    APPOINTMENT = "appointment"
    ORDER_STATUS = "order-status"
    FOLLOW_UP = "follow-up"
    CALLBACK = "callback"
    EMERGENCY = "emergency"


DEFAULT_PURPOSE = Purpose.MARKETING.value
"""The strictest purpose: what a call is for when nobody says, or says a word that nobody knows."""


class Verdict(StrEnum):
    """What becomes of a call."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Mode(StrEnum):
    """How an allowed call is placed."""

    BRIDGE = "bridge"
    """callguard creates the callee leg and bridges it."""
    SCREEN = "screen"
    """callguard sends the call back to the dialplan's own Dial."""


class Reason(StrEnum):
    """Why a verdict was reached. Part of the outside contract: names are never changed, only added."""

    NOT_LISTED = "not-listed"
    EMERGENCY = "emergency"
    OVERRIDE = "override"
    EXEMPT = "exempt"
    PURPOSE_EXEMPT = "purpose-exempt"
    OPT_OUT = "opt-out"
    REGISTRY = "registry"
    INACTIVE_CUSTOMER = "inactive-customer"
    INVALID_CONTACT = "invalid-contact"
    AFTER_TRANSACTION = "after-transaction"
    CATEGORY = "category"
    UNREADABLE_NUMBER = "unreadable-number"
    STALE_REGISTRY = "stale-registry"
    NOT_COVERED = "not-covered"
    OUTSIDE_HOURS = "outside-hours"
    HOLIDAY = "holiday"
    ATTEMPTS = "attempts"
    GUARD_UNAVAILABLE = "guard-unavailable"
    BYPASS = "bypass"


ALLOWING = frozenset(
    {
        Reason.NOT_LISTED,
        Reason.EMERGENCY,
        Reason.OVERRIDE,
        Reason.EXEMPT,
        Reason.PURPOSE_EXEMPT,
        Reason.BYPASS,
    }
)
"""The reasons that no call is refused for."""


class Category(StrEnum):
    """The categories that callguard knows; an entry's category may also be the user's own word."""

    CUSTOMER_REQUEST = "customer-request"
    NATIONAL_REGISTRY = "national-registry"
    INACTIVE_CUSTOMER = "inactive-customer"
    INVALID_CONTACT = "invalid-contact"
    AFTER_TRANSACTION = "after-transaction"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an internal list: a number that is not to be called, and why."""

    id: int
    number: str
    """E.164 with the plus sign, or a pattern of such numbers (patterns.py)."""
    category: str
    project: str | None
    """The project it binds; None binds the whole company."""
    reason: str
    source: str
    added_by: str
    added_at: datetime
    """UTC."""
    expires_at: datetime | None
    """UTC; the entry is in force before this instant, and for ever when None."""
    purposes: tuple[str, ...] = ()
    """The purposes that it binds, sorted; empty for those that the rules say of its category."""


class ExemptionKind(StrEnum):
    """Why somebody may be called although a list speaks against it."""

    CONSENT = "consent"
    PURCHASE = "purchase"
    """An existing business relationship, by a purchase."""
    INQUIRY = "inquiry"
    """An existing business relationship, by an inquiry or an application."""
    CALLBACK = "callback"
    """This person called us: a missed or abandoned inbound call, or a ticket."""
    OVERRIDE = "override"
    """A supervisor's: for one call or a short window."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """What lets a number be called, with its evidence."""

    id: int
    number: str
    """E.164 with the plus sign; never a pattern."""
    kind: ExemptionKind
    project: str | None
    """The project whose calls it covers; None covers the whole company's."""
    purposes: tuple[str, ...]
    """The purposes that it covers, sorted; empty for those that the rules say of its kind."""
    evidence: str
    """What it rests on, in words; never empty."""
    reference: str
    """Where the evidence is found: a recording, a form, a ticket."""
    source: str
    added_by: str
    added_at: datetime
    """UTC."""
    starts_at: datetime
    """UTC. When it was given: a consent beats an opt-out that was added before this instant."""
    expires_at: datetime | None
    """UTC; it is in force before this instant."""
    once: bool = False
    """Used up by the first call that needs it. For an override."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An earlier call that was placed to a number."""

    at: datetime
    """UTC."""
    project: str | None
    purpose: str
    """As it was said."""
    subject: str
    answered: bool | None
    """None while nobody knows yet, or if it was never seen."""


@dataclass(frozen=True, slots=True)
class AttemptsUnavailable:
    """Earlier attempts could not be counted. The failure policy decides."""

    why: str


@dataclass(frozen=True, slots=True)
class RegistryHit:
    """What a registry list says about a number of its country."""

    list: str
    """The list's name."""
    kind: str
    """What the registry is for, in a word."""
    jurisdiction: str
    """ISO 3166, such as US or US-FL."""
    version: int
    """The generation that was asked, counted in its list from 1; 0 where nothing was imported yet."""
    listed: bool
    covered: bool
    """Whether the list speaks of the number's area: where it does not, "not listed" means nothing."""
    data_date: date | None
    """The day that the registry's data are of; None where nobody said."""
    allowed_age_days: int | None
    """How old they may be; None for any age."""

    def is_stale(self, at: datetime, days: int | None = None) -> bool:
        """Tell whether the data are older than so many days, or else than the list's allowed age, at that
        instant (aware), by the calendar of UTC, as are data of no known day."""
        return self.is_stale_on(at.astimezone(UTC).date(), days)

    def is_stale_on(self, day: date, days: int | None = None) -> bool:
        """Tell the same of a day."""
        allowed = self.allowed_age_days if days is None else days
        if allowed is None:
            return False
        return self.data_date is None or (day - self.data_date).days > allowed


@dataclass(frozen=True, slots=True)
class Hits:
    """What the lists hold about one number."""

    entries: tuple[Entry, ...]
    position: int
    """The position in the change log that the answer stands for: the version of all lists."""
    origin: str
    """Where the answer came from: `redis` or `sql`."""
    registries: tuple[RegistryHit, ...] = ()
    """A word of every registry list of the number's country, whether or not the number is listed."""
    exemptions: tuple[Exemption, ...] = ()
    """Those of the number that were not ended, expired ones too, in the order of their ids."""


@dataclass(frozen=True, slots=True)
class ListsUnavailable:
    """Neither Redis nor SQL could be asked. The failure policy decides."""

    why: str


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call before anything is decided. All text is already bounded and printable."""

    at: datetime
    """UTC."""
    dialled: str
    number: Number
    mode: Mode | None
    """None for a check without a call."""
    project: str | None = None
    purpose: str = DEFAULT_PURPOSE
    agent: str = ""
    caller_number: str = ""
    subject: str = ""
    """What the call is about, from CALLGUARD_REFERENCE: a debt, a ticket, an order."""
    language: str = ""
    pbx: str = ""
    """The PBX's name in the settings."""
    guard: str = ""
    """The guard that decides: its ARI application. Two guards of one PBX never touch each other's calls."""
    channel: str = ""
    """The caller leg's channel id."""


class Match(NamedTuple):
    """Something that spoke about the number, whether or not it decided. A tuple, as Step is."""

    reason: Reason
    kind: str
    """`entry` for an internal list's entry, `registry` for a registry list, `exemption`, or `rule`."""
    id: str
    """The entry's or exemption's id, the registry list's name, or the rule's key."""
    category: str
    """The entry's category, the registry's kind, the exemption's kind, or the preset that the rule is of."""
    project: str | None
    detail: str
    version: int
    """The version of the list: for internal lists, the position in the change log; for a registry list, its
    generation."""


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What to do when callguard itself cannot tell: by purpose, else the default."""

    default: Verdict = Verdict.REFUSE
    by_purpose: dict[str, Verdict] = field(default_factory=dict)

    def verdict(self, purpose: str) -> Verdict:
        return self.by_purpose.get(purpose, self.default)


class Finding(StrEnum):
    """What one step of the check came to."""

    PASSED = "passed"
    """It was looked at and says nothing against the call."""
    REFUSED = "refused"
    """It speaks against the call."""
    WARNED = "warned"
    EXEMPTED = "exempted"
    """It would speak against the call, but an exemption covers it."""
    NOT_BOUND = "not-bound"
    """It would speak against a call of another purpose."""
    ALLOWED = "allowed"
    """It lets the call go whatever else speaks against it."""
    UNKNOWN = "unknown"
    """It could not be asked."""


class Step(NamedTuple):
    """One step of the check, in the order of the check: what was looked at, and what came of it. A tuple: a
    check makes twenty, and a frozen dataclass takes four times as long to make."""

    rule: str
    """The key of the rule, as `callguard rules` shows it; for what no rule sets, such as the number: its own
    word."""
    preset: str
    """The preset that the rule is of; empty where there is none."""
    finding: Finding
    detail: str


@dataclass(frozen=True, slots=True)
class Screened:
    """The result of screening."""

    verdict: Verdict
    reason: Reason
    matches: tuple[Match, ...]
    """What spoke about the call, the deciding one first: what refuses it, what exempts it, warnings."""
    rules: str
    """The version of the rules that decided."""
    steps: tuple[Step, ...] = ()
    """The whole check, in order: the explanation."""
    allowed_from: datetime | None = None
    """UTC. Of a call that was refused by hours, a holiday or attempts, where somebody looked: the next minute
    that every rule permits. None if it is not near, and for every other call."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with all it rested on, as recorded. One for each attempt, exactly."""

    id: str
    """26 characters [0-9a-z], ordered by time: see decision_id."""
    reference: str
    """The short number that an agent can read out to find the decision: digits only."""
    facts: CallFacts
    screened: Screened
    lists_position: int | None
    """The version of the internal lists that was asked; None if none was."""
    lists_origin: str | None
    """`redis`, `sql`, or None if no list was asked."""

    @property
    def verdict(self) -> Verdict:
        return self.screened.verdict

    @property
    def reason(self) -> Reason:
        return self.screened.reason
