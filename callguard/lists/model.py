"""The words of the lists as types, and what a new entry or exemption may hold. Pure."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from callguard.errors import InputError
from callguard.screening.model import Category, Entry, Exemption, ExemptionKind
from callguard.screening.patterns import Shape, shape_of

LONGEST_TEXT = 500
"""Characters of a reason, a source or a name."""
LONGEST_PROJECT = 100

_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)
_CATEGORY = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_LONGEST_CATEGORY = 40
_PURPOSE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
"""What the setting rules.purposes allows."""
_MOST_PURPOSES = 50
_SHORT_WINDOW = timedelta(hours=24)
"""An override that is not for one call alone is in force no longer."""
_ONE_CALL = timedelta(days=30)
"""One that is for one call alone is in force no longer."""
_CLOCKS_DIFFER = timedelta(minutes=5)

Word = Entry | Exemption
"""What can be said about a number: for these two share the table, the change log and the field in Redis."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in one database's change log: the version of all lists."""

    database: str
    """The database's own id."""
    position: int
    """0 before the first change."""
    at: int
    """Microseconds since 1970 of the change at that position; 0 before the first. A database restored from
    a backup gives a position a second time, to another change: this tells them apart."""

    def covers(self, other: "Mark") -> bool:
        """Tell whether lists of this version hold all that lists of the other version hold, as far as the
        two marks can show it."""
        return self == other or (self.database == other.database and self.position > other.position)


class Action(StrEnum):
    """What a change did to an entry, an exemption or a registry list."""

    ADD = "add"
    REMOVE = "remove"
    CREATE = "create"
    """A registry list came to be, with nothing in it."""
    SWITCH = "switch"
    """A generation of a registry list went into force."""
    CHANGE = "change"
    """What a registry list is, or may be, was changed."""
    DROP = "drop"
    """A registry list was given up."""


@dataclass(frozen=True, slots=True)
class RegistryList:
    """A registry list as a call is checked against it: what it is, and its generation in force."""

    id: int
    name: str
    jurisdiction: str
    """ISO 3166, such as US or US-FL."""
    kind: str
    """What the registry is for, in a word."""
    calling_code: str
    """The country's: digits. The list speaks of numbers that begin with it, and holds no others."""
    coverage: tuple[str, ...]
    """The prefixes, as digits with the calling code, that the list speaks of; empty for the whole country."""
    allowed_age_days: int | None
    generation: int = 0
    """The id of the generation in force; 0 while nothing was imported yet."""
    token: str = ""
    """The generation's own, random: a database restored from a backup gives an id a second time."""
    version: int = 0
    """The generation's number in its list, from 1."""
    content: int = 0
    """The id under which SQL keeps the generation's blocks: that of the generation itself, or, after a
    rollback, of the one that it repeats."""
    block_size: int = 0
    data_date: date | None = None
    numbers: int = 0
    blocks: int = 0

    @property
    def key(self) -> str:
        """The name of the generation in force, of which there is no other in any database."""
        return generation_key(self.generation, self.token)

    def concerns(self, e164: str) -> bool:
        """Tell whether the number is of the list's country."""
        return e164.startswith(self.calling_code, 1)

    def covers(self, e164: str) -> bool:
        """Tell whether the list speaks of the number at all, so that its silence means "not listed"."""
        if not self.generation or not self.concerns(e164):
            return False
        return not self.coverage or any(e164.startswith(prefix, 1) for prefix in self.coverage)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What there is to look a number up in: a function of the mark."""

    registries: tuple[RegistryList, ...] = ()
    """In the order of their ids."""
    shapes: tuple[Shape, ...] = ()
    """The shapes of the patterns among the entries in force, in order."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the change log."""

    position: int
    at: datetime
    """UTC."""
    who: str
    why: str
    action: Action
    word: Word
    """The entry or exemption as it was added."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be added. Raises InputError, naming the field, for what cannot be stored or used."""

    number: str
    """E.164 with the plus sign, or a pattern of such numbers."""
    added_by: str
    category: str = Category.CUSTOMER_REQUEST
    project: str | None = None
    reason: str = ""
    source: str = ""
    expires_at: datetime | None = None
    """Aware."""
    purposes: tuple[str, ...] = ()
    """As read_purposes gives them; empty for those that the rules say of the category."""

    def __post_init__(self) -> None:
        if not _E164.fullmatch(self.number) and shape_of(self.number) is None:
            raise InputError(
                "not a telephone number",
                where="number",
                allowed="E.164, such as +6281234567890, or a pattern, such as +6221* or +1201XXXXXXX",
            )
        if len(self.category) > _LONGEST_CATEGORY or not _CATEGORY.fullmatch(self.category):
            known = ", ".join(Category)
            allowed = f"{known}, or a word of your own: a-z, 0-9 and -, up to {_LONGEST_CATEGORY}"
            raise InputError("not a category", where="category", allowed=allowed)
        check_text("by", self.added_by, required=True)
        check_text("reason", self.reason)
        check_text("source", self.source)
        if self.project is not None:
            check_text("project", self.project, longest=LONGEST_PROJECT, required=True)
        check_purposes(self.purposes)
        _check_zone("expires", self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExemption:
    """An exemption to be added. Raises InputError, naming the field, for what cannot be stored or used."""

    number: str
    """E.164 with the plus sign: a pattern cannot be exempt."""
    kind: ExemptionKind
    evidence: str
    """What it rests on; of an override, its reason."""
    added_by: str
    starts_at: datetime
    """Aware. When it was given."""
    expires_at: datetime | None = None
    """Aware."""
    project: str | None = None
    purposes: tuple[str, ...] = ()
    """As read_purposes gives them; empty for those that the rules say of the kind."""
    reference: str = ""
    """Where the evidence is found: a recording, a form, a ticket."""
    source: str = ""
    once: bool = False
    """Used up by the first call that needs it; of an override only."""

    def __post_init__(self) -> None:
        if not _E164.fullmatch(self.number):
            raise InputError(
                "not one telephone number", where="number", allowed="E.164, such as +6281234567890"
            )
        check_text("by", self.added_by, required=True)
        check_text("evidence", self.evidence, required=True)
        check_text("reference", self.reference)
        check_text("source", self.source)
        if self.project is not None:
            check_text("project", self.project, longest=LONGEST_PROJECT, required=True)
        check_purposes(self.purposes)
        _check_zone("starts", self.starts_at)
        _check_zone("expires", self.expires_at)
        if self.expires_at is not None and self.expires_at <= self.starts_at:
            raise InputError("its end is not after its start", where="expires", allowed="a later time")
        if self.kind is ExemptionKind.OVERRIDE:
            self._check_override()
        elif self.once:
            raise InputError("not an override", where="once", allowed="only for an override")
        if self.kind is ExemptionKind.CALLBACK and self.expires_at is None:
            raise InputError("a callback without an end", where="expires", allowed="when its window ends")

    def _check_override(self) -> None:
        longest = _ONE_CALL if self.once else _SHORT_WINDOW
        if self.expires_at is None or self.expires_at - self.starts_at > longest:
            allowed = "an end within 24 hours of its start; for one call (--once), within 30 days"
            raise InputError("an override for too long", where="expires", allowed=allowed)

    def check_given(self, now: datetime) -> None:
        """Refuse what is said to have been given after `now` (aware): it would beat every opt-out until then.

        An override may start later. Raises InputError.
        """
        if self.kind is not ExemptionKind.OVERRIDE and self.starts_at > now + _CLOCKS_DIFFER:
            raise InputError("given in the future", where="starts", allowed="a time that has been")


def generation_key(identity: int, token: str) -> str:
    """The name by which Redis knows a generation."""
    return f"{identity}-{token}"


def read_purposes(text: str, known: Collection[str]) -> tuple[str, ...]:
    """The purposes of a text that has commas or spaces between them, sorted, each once; empty for blank text.

    Raises InputError for a word that is not among the known: it would bind or exempt no call at all.
    """
    words = sorted(set(text.replace(",", " ").split()))
    for word in words:
        if word not in known:
            raise InputError(
                f"{word[:40]!a} is no purpose", where="purposes", allowed=", ".join(sorted(known))
            )
    check_purposes(words)
    return tuple(words)


def check_purposes(purposes: Iterable[str]) -> None:
    """Refuse what no purposes of an entry can be: not words, unsorted, too many. Raises InputError."""
    words = list(purposes)
    for word in words:
        if not _PURPOSE.fullmatch(word):
            raise InputError("not a purpose", where="purposes", allowed="words of letters, digits, . _ and -")
    if words != sorted(set(words)) or len(words) > _MOST_PURPOSES:
        raise InputError("purposes out of order, or too many", where="purposes", allowed="each once, sorted")


def _check_zone(field: str, at: datetime | None) -> None:
    if at is not None and at.tzinfo is None:
        raise InputError("a time without its zone", where=field, allowed="a time with its zone")


def check_text(field: str, text: str, *, longest: int = LONGEST_TEXT, required: bool = False) -> None:
    """Refuse text that is too long, or that would disturb a screen or a file. Raises InputError."""
    if required and not text.strip():
        raise InputError("empty", where=field, allowed="some text")
    if len(text) > longest:
        raise InputError(f"{len(text)} characters", where=field, allowed=f"up to {longest} characters")
    # isprintable is false for control and format characters, line breaks, and lone surrogates.
    if not text.isprintable():
        if any("\udc80" <= char <= "\udcff" for char in text):
            # What Python makes of bytes that it cannot decode: Windows-1252 in most cases.
            raise InputError("bytes that are not UTF-8", where=field, allowed="text in UTF-8")
        raise InputError("a character that cannot be printed", where=field, allowed="one line of text")
