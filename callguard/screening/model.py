"""The words of screening as types: what is known of a call, what the lists say, what is decided.

Values only: nothing here does I/O or knows the time.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from callguard.numbers import Number

DEFAULT_PURPOSE = "marketing"
"""The strictest purpose: what a call is for when nobody says."""


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

    def is_stale(self, at: datetime) -> bool:
        """Tell whether the data are too old at that instant (aware), as are data of no known day."""
        if self.allowed_age_days is None:
            return False
        return self.data_date is None or (at.date() - self.data_date).days > self.allowed_age_days


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


@dataclass(frozen=True, slots=True)
class Match:
    """Something that spoke about the number, whether or not it decided."""

    reason: Reason
    kind: str
    """`entry` for an internal list's entry, `registry` for a registry list."""
    id: str
    """The entry's id, or the registry list's name."""
    category: str
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


class Shortcoming(StrEnum):
    """What a registry list that is too old, or that does not cover the number's area, does to a call."""

    WARN = "warn"
    """The call goes on, with a match in its record."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that can change a verdict besides the call and the lists."""

    failure: FailurePolicy = field(default_factory=FailurePolicy)
    stale_registry: Shortcoming = Shortcoming.WARN
    not_covered: Shortcoming = Shortcoming.WARN


@dataclass(frozen=True, slots=True)
class Screened:
    """The result of screening."""

    verdict: Verdict
    reason: Reason
    matches: tuple[Match, ...]
    """What spoke against the call, the deciding one first; in an allowed call, the warnings."""
    rules: str
    """The version of the rules that decided."""


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
