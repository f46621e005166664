"""Dialled digits to E.164: one subscriber has one form, whichever way the number was written."""

from dataclasses import dataclass
from enum import StrEnum


class NumberKind(StrEnum):
    """What the dialled digits turned out to be."""

    SUBSCRIBER = "subscriber"
    EMERGENCY = "emergency"
    INTERNAL = "internal"
    """An extension or a service code of the PBX itself."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Number:
    """A dialled number as read."""

    kind: NumberKind
    e164: str | None
    """With the plus sign, for a subscriber; else None."""
    why: str = ""
    """For an unreadable number: what is wrong with it."""
