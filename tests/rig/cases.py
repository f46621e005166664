"""The table of cases of screening: files that a compliance officer can read and extend
(tests/data/screening).

A file is TOML: the country's presets are the shipped ones, and a file may lay rules of its own over them
([[preset]], as a file of rules has them). Each [[case]] is a call, what is known of it, and what is to become
of it; `at` may be several instants with the same answer. README.md beside the files says what each key means.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from callguard.config.presets import Document, lay_over
from callguard.config.rulebook import BASE, SHIPPED, rules_of
from callguard.config.sections import RuleSettings, Settings
from callguard.errors import CallguardError, InputError
from callguard.numbers import NumberReader
from callguard.screening.model import (
    Attempt,
    CallFacts,
    Entry,
    Exemption,
    ExemptionKind,
    Hits,
    Reason,
    RegistryHit,
    Verdict,
)
from callguard.screening.rules import Rules
from tests.rig.rules import preset

CASES = Path(__file__).parents[1] / "data" / "screening"

_ALLOWED_INSTANT = '"2026-11-23 19:59 Asia/Jakarta", with seconds if need be; or "... UTC"'


def instant(text: str) -> datetime:
    """An instant in UTC, from a day, a time of a zone's clock, and the zone.

    Raises ValueError for other text, and for a time that this clock shows twice or never.
    """
    clock, _, zone = text.rpartition(" ")
    try:
        naive = datetime.fromisoformat(clock)
        local = naive.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"not an instant: write it as {_ALLOWED_INSTANT}") from error
    if naive.tzinfo is not None:
        raise ValueError(f"not an instant: write it as {_ALLOWED_INSTANT}")
    if local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != naive:
        raise ValueError("the clock is put forward then: no such time")
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise ValueError("the clock is put back then, and shows this time twice: write it in UTC")
    return local.astimezone(UTC)


def _instants(told: object) -> tuple[datetime, ...]:
    texts = [told] if isinstance(told, str) else told
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"text is needed, or a list of texts: {_ALLOWED_INSTANT}")
    return tuple(map(instant, texts))


def _instant(told: object) -> datetime:
    return _instants(told)[0] if isinstance(told, str) else instant("")


def _past(told: object) -> datetime:
    """The midnight of UTC that a day begins with, or an instant."""
    return datetime(told.year, told.month, told.day, tzinfo=UTC) if type(told) is date else _instant(told)


Instant = Annotated[datetime, BeforeValidator(_instant)]
Past = Annotated[datetime, BeforeValidator(_past)]
Purposes = Annotated[tuple[str, ...], AfterValidator(lambda told: tuple(sorted(told)))]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntryTable(_Table):
    category: str = "customer-request"
    added: Past = datetime(2026, 1, 1, tzinfo=UTC)
    expires: Past | None = None
    project: str | None = None
    purposes: Purposes = ()
    pattern: str = ""

    def entry(self, id_: int, e164: str) -> Entry:
        return Entry(
            id=id_,
            number=self.pattern or e164,
            category=self.category,
            project=self.project,
            reason="told",
            source="case",
            added_by="case",
            added_at=self.added,
            expires_at=self.expires,
            purposes=self.purposes,
        )


class ExemptionTable(_Table):
    kind: ExemptionKind
    given: Past = datetime(2026, 2, 1, tzinfo=UTC)
    expires: Past | None = None
    project: str | None = None
    purposes: Purposes = ()
    once: bool = False

    def exemption(self, id_: int, e164: str) -> Exemption:
        return Exemption(
            id=id_,
            number=e164,
            kind=self.kind,
            project=self.project,
            purposes=self.purposes,
            evidence="a form",
            reference="",
            source="case",
            added_by="case",
            added_at=self.given,
            starts_at=self.given,
            expires_at=self.expires,
            once=self.once,
        )


class RegistryTable(_Table):
    list: str
    jurisdiction: str
    listed: bool = False
    covered: bool = True
    data: date | None = None
    allowed_age_days: int | None = None

    def hit(self) -> RegistryHit:
        return RegistryHit(
            list=self.list,
            kind="do-not-call",
            jurisdiction=self.jurisdiction,
            version=1,
            listed=self.listed,
            covered=self.covered,
            data_date=self.data,
            allowed_age_days=self.allowed_age_days,
        )


class AttemptTable(_Table):
    at: Instant
    project: str | None = None
    purpose: str = "marketing"
    subject: str = ""
    answered: bool | None = None


class CaseTable(_Table):
    says: Annotated[str, Field(min_length=1)]
    number: str
    at: Annotated[tuple[datetime, ...], BeforeValidator(_instants)]
    project: str | None = None
    purpose: str = "marketing"
    subject: str = ""
    entries: tuple[EntryTable, ...] = ()
    exemptions: tuple[ExemptionTable, ...] = ()
    registries: tuple[RegistryTable, ...] = ()
    attempts: tuple[AttemptTable, ...] = ()
    verdict: Verdict
    reason: Reason
    rule: str = ""
    """The key of the rule that decides; empty where none does."""
    preset: str = ""
    """The preset that this rule is of."""


class _File(_Table):
    purposes: tuple[str, ...] = ()
    preset: tuple[dict[str, Any], ...] = ()
    case: Annotated[tuple[CaseTable, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Case:
    """One call at one instant, and what is to become of it."""

    name: str
    facts: CallFacts
    hits: Hits
    attempts: tuple[Attempt, ...]
    rules: Rules
    wanted: CaseTable

    def __str__(self) -> str:
        return self.name


def read_cases(file: Path) -> list[Case]:
    """Every case of a file. Raises InputError for what means nothing, naming file, case and key."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"not TOML: {error}", where=file.name) from error
    try:
        read = _File.model_validate(document)
    except ValidationError as error:
        raise _named(error, file, document) from error
    try:
        rules = _rules(read.preset, read.purposes)
    except CallguardError as error:
        raise InputError(str(error), where=f"{file.name}: preset") from error
    return [case for index, table in enumerate(read.case, 1) for case in _cases(file, index, table, rules)]


def _cases(file: Path, index: int, table: CaseTable, rules: Rules) -> Iterator[Case]:
    where = f"{file.name}: case {index} ({table.says})"
    number = _reader().read(table.number)
    e164 = number.e164 or ""
    if not e164 and (table.entries or table.exemptions or table.registries or table.attempts):
        raise InputError(f"not a subscriber's number: {number.why}", where=f"{where}: number")
    for purpose in (table.purpose, *(one.purpose for one in table.attempts)):
        if rules.purpose(purpose) != purpose and not purpose.startswith("unknown"):
            allowed = "a purpose; a word that begins with unknown, for one that is none"
            raise InputError(f"{purpose!a} is no purpose", where=f"{where}: purpose", allowed=allowed)
    if table.rule and not any(line.key == table.rule for one in rules.presets for line in one.lines):
        raise InputError(f"no preset has a rule {table.rule!a}", where=f"{where}: rule")
    hits = Hits(
        tuple(entry.entry(id_, e164) for id_, entry in enumerate(table.entries, 1)),
        1,
        "sql",
        tuple(registry.hit() for registry in table.registries),
        tuple(one.exemption(id_, e164) for id_, one in enumerate(table.exemptions, 1)),
    )
    attempts = tuple(Attempt(a.at, a.project, a.purpose, a.subject, a.answered) for a in table.attempts)
    for at in table.at:
        facts = CallFacts(
            at=at,
            dialled=table.number,
            number=number,
            mode=None,
            project=table.project,
            purpose=table.purpose,
            subject=table.subject,
        )
        yield Case(f"{file.stem}-{index}-{at:%Y%m%dT%H%M%S}", facts, hits, attempts, rules, table)


def _rules(over: tuple[Document, ...], purposes: tuple[str, ...]) -> Rules:
    # By id, as the rules in force are: of presets with equally long prefixes, US-FL lies over US.
    shipped = {id_: preset(id_) for id_ in sorted(file.stem for file in SHIPPED.glob("*.toml"))}
    for document in over:
        shipped[document["id"]] = lay_over(shipped.get(document["id"], {}), document)
    documents = [shipped.pop(BASE), *shipped.values()]
    return rules_of(documents, Settings(state=Path("/nowhere"), rules=RuleSettings(purposes=purposes)))


@cache
def _reader() -> NumberReader:
    return NumberReader()


def _named(error: ValidationError, file: Path, document: dict[str, Any]) -> InputError:
    """The first of pydantic's errors as ours."""
    detail = error.errors()[0]
    location = detail["loc"]
    where = file.name
    if location[:1] == ("case",) and len(location) > 1 and isinstance(location[1], int):
        index = location[1]
        told = document["case"][index]
        says = told.get("says", "") if isinstance(told, dict) else ""
        where += f": case {index + 1} ({says})"
        location = location[2:]
    if location:
        where += ": " + ".".join(map(str, location))
    unknown = detail["type"] == "extra_forbidden"
    return InputError("unknown key" if unknown else detail["msg"].removeprefix("Value error, "), where=where)
