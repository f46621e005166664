"""How a registry's file is laid out. Pure.

A layout says where on a line the number stands, how it is written, and in change files what is to be done
with it. It never guesses: a layout that is not known for certain comes from its user (mapping.py).
"""

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import phonenumbers

from callguard.errors import InputError

LARGEST_COLUMN = 1000
"""The last column, and the last character of a line, that a layout may name."""
MOST_WORDS = 50


class Kind(StrEnum):
    """What a line, or the file, consists of."""

    LINES = "lines"
    """One number a line."""
    DELIMITED = "delimited"
    FIXED = "fixed"
    """Columns by position."""
    XML = "xml"
    """<list><ac val="201"><ph val="5551234"/>, as the registries of the US and Canada have it."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a fixed-width line, in characters; the first one is 1."""

    start: int
    length: int


Column = int | str | Field
"""A column by its place from 1, by its name in the header, or by its characters."""


@dataclass(frozen=True, slots=True)
class Action:
    """The column of a change file that tells additions from removals. Case does not matter in its words."""

    column: Column
    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of one kind of file. Raises InputError for values that go together badly."""

    name: str
    kind: Kind
    description: str = ""
    source: str = ""
    """Where the layout is described."""
    number: tuple[Column, ...] = (1,)
    """The columns whose text, joined, is the number."""
    alone: bool = False
    """A line of one column only is a whole number."""
    exact: bool = False
    """A line has the columns of the number and no others."""
    width: int = 0
    """Characters of a fixed-width line, if it may have no more; 0 if it may."""
    delimiter: str = ","
    header: bool = False
    """The first line names the columns."""
    international: bool = False
    """Every number begins with its country code, with or without a plus sign. Otherwise numbers are as
    written in their region: in any form with a plus sign, a trunk prefix, or neither."""
    region: str = ""
    """The region (ISO 3166) that numbers are written in; empty for the list's own."""
    encoding: str = "utf-8"
    action: Action | None = None
    """None if every line is a number of the list."""

    def __post_init__(self) -> None:
        columns = (*self.number, *([self.action.column] if self.action else []))
        fields = self.kind == Kind.FIXED
        if not self.number or any(isinstance(column, Field) != fields for column in columns):
            wanted = "characters, as {start = 1, length = 5}" if fields else "columns, as 1 or 'phone'"
            raise InputError("not columns of this kind of line", where="number", allowed=wanted)
        if self.width and not fields:
            raise InputError(
                "a width, but columns that are delimited", where="width", allowed="kind = 'fixed'"
            )
        if any(isinstance(column, str) for column in columns) and not self.header:
            raise InputError("columns by name, but no header", where="header", allowed="header = true")
        if self.region and self.region not in phonenumbers.SUPPORTED_REGIONS:
            raise InputError("not a region", where="region", allowed="two capital letters (ISO 3166)")

    def to_json(self) -> str:
        """The layout as text, to be kept with a list."""
        return json.dumps(asdict(self), ensure_ascii=True, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """The layout that to_json wrote. Raises InputError for anything else."""
        try:
            values: dict[str, Any] = json.loads(text)
            kept = values.pop("action")
            action = kept and Action(_column(kept["column"]), tuple(kept["add"]), tuple(kept["remove"]))
            return cls(
                **{
                    **values,
                    "kind": Kind(values["kind"]),
                    "number": tuple(_column(column) for column in values["number"]),
                },
                action=action,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError("not a layout as kept with a list", where="layout") from error


def known_as(name: str, delimiter: str) -> str:
    """A delimiter as people write it: tab, comma, semicolon, pipe, space, or the character itself."""
    words = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
    found = words.get(delimiter, delimiter)
    if not re.fullmatch(r"[^\w\r\n\"+\x00]", found):
        raise InputError(
            "not a delimiter", where=name, allowed="one character, or tab, comma, semicolon, pipe"
        )
    return found


def _column(value: Any) -> Column:
    if isinstance(value, dict):
        return Field(**value)
    if isinstance(value, int | str):
        return value
    raise TypeError(value)
