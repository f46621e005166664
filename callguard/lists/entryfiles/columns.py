"""Which column of a file of entries says what. Pure.

A column's role is found by its header, or by the file's format where there is none, or is given by the user.

Formats and their sources: VICIdial downloads its DNC lists as one number a line below the header
`phone_number` (its list_download.php); a dump of its table has `campaign_id`, too. LiveVox's rows are phone
number, contact group id, days to expiry, with or without a header ("Dial-Time Phone DNC - File Upload").
Genesys Cloud's have a header of the customer's own words, one or more columns of numbers, and one of the
expiry, as yyyy-MM-ddTHH:mmZ ("Create a new internal DNC list").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from callguard.errors import InputError


class Role(StrEnum):
    """What a column says."""

    NUMBER = "number"
    """A number or a pattern; several columns of numbers give an entry each."""
    PROJECT = "project"
    CATEGORY = "category"
    REASON = "reason"
    SOURCE = "source"
    ADDED_BY = "added_by"
    ADDED_AT = "added_at"
    EXPIRES_AT = "expires_at"
    """An instant."""
    DAYS = "days"
    """Days to the expiry."""
    REMOVED_AT = "removed_at"
    """Filled in where the row is history."""
    PURPOSES = "purposes"
    """Words with spaces or commas between them."""


OWN = (
    Role.NUMBER,
    Role.CATEGORY,
    Role.PROJECT,
    Role.REASON,
    Role.SOURCE,
    Role.ADDED_BY,
    Role.ADDED_AT,
    Role.EXPIRES_AT,
    Role.REMOVED_AT,
    Role.PURPOSES,
)
"""The columns of our own export, in their order. Part of the outside contract: only ever added to."""

WITHOUT_HEADER: Mapping[str, tuple[Role, ...]] = {
    "vicidial": (Role.NUMBER, Role.PROJECT),
    "livevox": (Role.NUMBER, Role.PROJECT, Role.DAYS),
    "genesys": (Role.NUMBER, Role.EXPIRES_AT),
}
"""What the columns of each format say in a file without a header; a row may be shorter."""

_WORDS: Mapping[Role, tuple[str, ...]] = {
    Role.NUMBER: (
        *("number", "phone", "phone_number", "phonenumber", "phone_no", "phones", "telephone", "msisdn"),
        *(
            "telephone_number",
            "mobile",
            "mobile_number",
            "cell",
            "nomor",
            "nomor_telepon",
            "no_hp",
            "telepon",
        ),
    ),
    Role.PROJECT: ("project", "campaign", "campaign_id", "contact_group", "contact_group_id", "proyek"),
    Role.CATEGORY: ("category", "kategori"),
    Role.REASON: ("reason", "comment", "comments", "note", "notes", "alasan"),
    Role.SOURCE: ("source", "sumber"),
    Role.ADDED_BY: ("added_by",),
    Role.ADDED_AT: ("added_at",),
    Role.EXPIRES_AT: (
        *("expires_at", "expires", "expire_date", "expiration", "expiration_date", "expiration_datetime"),
        *("expirationdatetime", "expirationdate", "expiry", "expiry_date", "dnc_expiration", "kedaluwarsa"),
    ),
    Role.DAYS: ("days_to_expiry", "days_to_expire", "daystoexpiry", "days_to_expiration", "expiry_days"),
    Role.REMOVED_AT: ("removed_at",),
    Role.PURPOSES: ("purposes", "purpose", "tujuan"),
}
_FIRST_OWN = 9
"""Columns that the first version of our own export had."""
_ROLE_OF = {word: role for role, words in _WORDS.items() for word in words}
_NOT_A_NUMBER = re.compile(r"dnc_(e_?mail|expir.*|date.*)")

ALLOWED_COLUMNS = "--column ROLE=NAME, or ROLE=1 for the first; ROLE is " + ", ".join(Role)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file: positions from 0."""

    numbers: tuple[int, ...]
    of: Mapping[Role, int]
    """The other roles."""
    unused: tuple[str, ...] = ()
    """The headers of what nothing is read from."""
    own: bool = False
    """It is our own export: every cell is kept to the letter."""


def is_header(cells: Sequence[str], chosen: Mapping[Role, Sequence[str]]) -> bool:
    """Tell whether a file's first row names its columns."""
    wanted = {_word(name) for names in chosen.values() for name in names if not name.isdecimal()}
    return any(role_of(cell) is not None or _word(cell) in wanted for cell in cells)


def with_header(cells: Sequence[str], chosen: Mapping[Role, Sequence[str]]) -> Columns:
    """The columns that a header names, where the user chose no others. Raises InputError."""
    found: dict[Role, list[int]] = {role: _positions(role, names, cells) for role, names in chosen.items()}
    taken = {at for places in found.values() for at in places}
    for at, cell in enumerate(cells):
        role = role_of(cell)
        if role is not None and role not in chosen and at not in taken:
            found.setdefault(role, []).append(at)
    return _columns(found, cells)


def without_header(width: int, layout: str | None, chosen: Mapping[Role, Sequence[str]]) -> Columns:
    """The columns of a file without a header, `width` columns wide, by its format or the user's choice.

    Raises InputError where nobody says what they are.
    """
    if chosen:
        cells = [""] * width
        return _columns({role: _positions(role, names, cells) for role, names in chosen.items()}, cells)
    if layout is None and width > 1:
        raise InputError(
            f"{width} columns without a header that names them",
            where="line 1",
            allowed="--format " + "|".join(WITHOUT_HEADER) + f", or {ALLOWED_COLUMNS}",
        )
    roles = WITHOUT_HEADER[layout] if layout else (Role.NUMBER,)
    if width > len(roles):
        raise InputError(
            f"{width} columns, where {layout} has " + ", ".join(roles),
            where="line 1",
            allowed=ALLOWED_COLUMNS,
        )
    return _columns({role: [at] for at, role in enumerate(roles)}, [])


def header_of(columns: Columns, width: int) -> list[str]:
    """A header for a file without one, `width` columns wide or more, by which with_header finds the same."""
    names = dict.fromkeys(columns.numbers, str(Role.NUMBER))
    names |= {at: str(role) for role, at in columns.of.items()}
    return [names.get(at, f"column_{at + 1}") for at in range(max(width, *(at + 1 for at in names)))]


def _columns(found: Mapping[Role, Sequence[int]], cells: Sequence[str]) -> Columns:
    numbers = tuple(found.get(Role.NUMBER, ()))
    if not numbers:
        raise InputError("no column of numbers", where="line 1", allowed=ALLOWED_COLUMNS)
    for role, places in found.items():
        if len(places) > 1 and role is not Role.NUMBER:
            raise InputError(f"{len(places)} columns of {role}", where="line 1", allowed=ALLOWED_COLUMNS)
    if Role.DAYS in found and Role.EXPIRES_AT in found:
        raise InputError("an expiry in days and as a time", where="line 1", allowed="one column of expiry")
    taken = {at for places in found.values() for at in places}
    return Columns(
        numbers=numbers,
        of={role: places[0] for role, places in found.items() if role is not Role.NUMBER and places},
        unused=tuple(cell for at, cell in enumerate(cells) if at not in taken and cell),
        own=len(cells) >= _FIRST_OWN and tuple(cells) == OWN[: len(cells)],
    )


def _positions(role: Role, names: Sequence[str], cells: Sequence[str]) -> list[int]:
    words = [_word(cell) for cell in cells]
    found = []
    for name in names:
        if _word(name) in words:
            found.append(words.index(_word(name)))
        elif name.isascii() and name.isdecimal() and 1 <= int(name) <= len(cells):
            found.append(int(name) - 1)
        else:
            raise InputError(f"no column {name[:40]!a}", where=f"--column {role}", allowed=ALLOWED_COLUMNS)
    return found


def role_of(cell: str) -> Role | None:
    """What a column says, by its header; None if the word is not known."""
    word = _word(cell)
    if role := _ROLE_OF.get(word):
        return role
    # Genesys Cloud's own example: DNC_Home, DNC_Cell, DNC_Work.
    numbers = word.startswith("dnc_") or word.endswith(("_phone", "_mobile", "_cell"))
    return Role.NUMBER if numbers and not _NOT_A_NUMBER.fullmatch(word) else None


def _word(cell: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", cell[:80].casefold()).strip("_")
