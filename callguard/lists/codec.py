"""How the lists are written into the fields of one Redis hash. Pure.

The hash (its key is the setting redis.key) has:

    head            [layout, database id, position, microseconds]   the version of the internal lists
    n:<digits>      [entry, ...]   one field for each number that has entries; <digits> is E.164 without +

as JSON, an entry as [id, category, project, reason, source, added by, added at, expires at], with instants in
microseconds since 1970 and null for none. One HMGET reads head and number in one instant, so that they
belong together. A number with no field is not on an internal list, provided that the head is to be trusted;
a field that cannot be decoded never means that.

Further lists become further fields of the same hash and of the same HMGET: a registry's own head and its
block of numbers (`h:<list>`, `b:<list>:<block>`), prefix entries (`p:<digits>`), exemptions (`x:<digits>`).
One hash, because it vanishes whole (eviction, FLUSHALL) or not at all, and because one command costs less
than several. A change to the meaning of a field raises LAYOUT: older fields are then rebuilt.
"""

from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any

import orjson

from callguard.database import from_microseconds, microseconds
from callguard.lists.model import Mark
from callguard.screening.model import Entry

LAYOUT = 1
HEAD = "head"

_ENTRY_TYPES: tuple[tuple[type, ...], ...] = (
    (int,),
    (str,),
    (str, NoneType),
    (str,),
    (str,),
    (str,),
    (int,),
    (int, NoneType),
)


class Undecodable(ValueError):
    """A field that is not as callguard of this layout writes it."""


def number_field(number: str) -> str:
    """The field of an E.164 number."""
    return f"n:{number.removeprefix('+')}"


def encode_head(mark: Mark) -> bytes:
    return orjson.dumps([LAYOUT, mark.database, mark.position, mark.at])


def decode_head(raw: bytes) -> Mark:
    """Read a head. Raises Undecodable if it is not one, or is of another layout."""
    match _loads(raw):
        case [int(layout), str(database), int(position), int(at)] if layout == LAYOUT:
            return Mark(database, position, at)
        case _:
            raise Undecodable("not a head of this layout")


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """Write the entries of one number; at least one."""
    return orjson.dumps(
        [
            [
                entry.id,
                entry.category,
                entry.project,
                entry.reason,
                entry.source,
                entry.added_by,
                microseconds(entry.added_at),
                None if entry.expires_at is None else microseconds(entry.expires_at),
            ]
            for entry in entries
        ]
    )


def decode_entries(number: str, raw: bytes) -> tuple[Entry, ...]:
    """Read the field of an E.164 number. Raises Undecodable if anything is not as it should be."""
    rows = _loads(raw)
    if not isinstance(rows, list) or not rows:
        raise Undecodable("not a list of entries")
    return tuple(_entry(number, row) for row in rows)


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"not JSON: {error}") from error


def _entry(number: str, row: Any) -> Entry:
    if not isinstance(row, list) or len(row) != len(_ENTRY_TYPES):
        raise Undecodable("not an entry")
    if not all(type(value) in allowed for value, allowed in zip(row, _ENTRY_TYPES, strict=True)):
        raise Undecodable("a value of an entry has the wrong type")
    identity, category, project, reason, source, added_by, added_at, expires_at = row
    return Entry(
        id=identity,
        number=number,
        category=category,
        project=project,
        reason=reason,
        source=source,
        added_by=added_by,
        added_at=_instant(added_at),
        expires_at=None if expires_at is None else _instant(expires_at),
    )


def _instant(count: int) -> datetime:
    try:
        return from_microseconds(count)
    except OverflowError as error:
        raise Undecodable("an instant beyond the calendar") from error
