"""Entries and exemptions as rows of the table that both are in. All of it blocks, and raises SqlError."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from callguard.lists.model import Action, NewEntry, NewExemption, Word
from callguard.lists.tables import changes, entries
from callguard.screening.model import Entry, Exemption, ExemptionKind
from callguard.screening.patterns import shape_of, shape_text

WORD = tuple(
    entries.c[name]
    for name in (
        *("id", "number", "category", "project", "reason", "source", "added_by", "added_at", "expires_at"),
        *("purposes", "exemption", "starts_at", "reference", "once"),
    )
)
"""The columns that a word is read from, in the order of word_of."""
IN_FORCE = entries.c.removed_at.is_(None)
ENTRIES = entries.c.exemption.is_(None)
"""What tells entries from exemptions."""

_LIKE = str.maketrans("X*", "_%")
"""From patterns of numbers to those of SQL."""


def word_of(row: Sequence[Any]) -> Word:
    """The entry or exemption of a row of WORD."""
    # By place, for a million of them.
    kind = row[10]
    if kind is None:
        return Entry(*[*row[:9], tuple(row[9].split())])
    return Exemption(
        id=row[0],
        number=row[1],
        kind=ExemptionKind(kind),
        project=row[3],
        purposes=tuple(row[9].split()),
        evidence=row[4],
        reference=row[12],
        source=row[5],
        added_by=row[6],
        added_at=row[7],
        starts_at=row[11],
        expires_at=row[8],
        once=row[13],
    )


def said_by(new: NewEntry | NewExemption) -> dict[str, Any]:
    """What a new word says, by the names of columns. Who adds it, and when, is no part of it."""
    values: dict[str, Any] = {
        "number": new.number,
        "project": new.project,
        "source": new.source,
        "expires_at": new.expires_at,
        "purposes": " ".join(new.purposes),
    }
    if isinstance(new, NewEntry):
        return values | {"category": new.category, "reason": new.reason, "exemption": None}
    return values | {
        "category": "",
        "reason": new.evidence,
        "exemption": str(new.kind),
        "starts_at": new.starts_at,
        "reference": new.reference,
        "once": new.once,
    }


def add_word(connection: sa.Connection, new: NewEntry | NewExemption, *, why: str) -> tuple[Word, bool]:
    """Add a word, with its row in the change log, unless one in force says the very same already. An entry
    that is older than an exemption is said again: the latest word counts.

    Returns the one in force, and whether it is new.
    """
    values = said_by(new)
    same = sa.select(*WORD).where(IN_FORCE, *(entries.c[name] == value for name, value in values.items()))
    found = connection.execute(same.order_by(entries.c.added_at.desc(), entries.c.id)).first()
    if found is not None:
        there = word_of(found)
        if isinstance(there, Exemption) or not exempted_since(connection, there.number, there.added_at):
            return there, False
    at = datetime.now(UTC)
    shape = shape_of(new.number)
    values |= {
        "added_by": new.added_by,
        "added_at": at,
        "shape": None if shape is None else shape_text(shape),
    }
    word = word_of(connection.execute(entries.insert().values(values).returning(*WORD)).one())
    log(connection, Action.ADD, [word], at=at, who=new.added_by, why=why)
    return word, True


def exempted_since(connection: sa.Connection, number: str, at: datetime) -> bool:
    """Tell whether an exemption in force of a number, or of one that a pattern stands for, was given after an
    instant (aware). Which of them beats what is for the rules to say."""
    column = entries.c.number
    own = column == number if shape_of(number) is None else column.like(number.translate(_LIKE))
    given = sa.select(entries.c.id).where(own, IN_FORCE, sa.not_(ENTRIES), entries.c.starts_at > at)
    return connection.execute(given.limit(1)).first() is not None


def remove_words(
    connection: sa.Connection, wanted: Sequence[sa.ColumnElement[bool]], *, who: str, why: str
) -> tuple[Word, ...]:
    """Take the words in force of which all of `wanted` is true out of force; what was in force until now."""
    wanted = (IN_FORCE, *wanted)
    rows = connection.execute(sa.select(*WORD).where(*wanted).order_by(entries.c.id)).all()
    removed = tuple(map(word_of, rows))
    at = datetime.now(UTC)
    connection.execute(entries.update().where(*wanted).values(removed_at=at))
    log(connection, Action.REMOVE, removed, at=at, who=who, why=why)
    return removed


def log(
    connection: sa.Connection, action: Action, changed: Sequence[Word], *, at: datetime, who: str, why: str
) -> None:
    """Write a row of the change log for each word."""
    rows: list[Mapping[str, Any]] = [
        {"at": at, "who": who, "why": why, "action": action, "entry": word.id, "number": word.number}
        for word in changed
    ]
    if rows:
        connection.execute(changes.insert(), rows)
