"""A layout that the user describes, as a TOML file:

    kind = "delimited"            # delimited, fixed or lines
    delimiter = ";"               # or tab, comma, semicolon, pipe; a comma if left out
    header = true                 # the first line names the columns
    number = ["area", "phone"]    # columns by name, or by place from 1; several are joined
    international = false         # true: each number begins with its country code
    region = "US"                 # the region that the numbers are written in; else the list's own
    encoding = "utf-8"

    [action]                      # only for change files
    column = "op"
    add = ["A"]
    remove = ["D"]

With kind = "fixed", columns are characters from 1: number = [{start = 1, length = 5}], and width = 12 refuses
longer lines.
"""

import tomllib
from pathlib import Path
from typing import Any

from callguard.errors import InputError
from callguard.lists.formats.layout import (
    LARGEST_COLUMN,
    MOST_WORDS,
    Action,
    Column,
    Field,
    Kind,
    Layout,
    known_as,
)

LARGEST_FILE = 64 << 10
"""Bytes of a mapping."""

ENCODINGS = ("utf-8", "latin-1", "cp1252", "utf-16-le", "utf-16-be")

_COLUMN = f"a place from 1 to {LARGEST_COLUMN}, or a name in the header"
_CHARACTERS = "{start = 1, length = 5}"
_FLAGS = ("header", "international", "exact", "alone")
_TEXTS = ("delimiter", "region", "encoding", "description")
_KEYS = ("kind", "number", "width", "action", *_FLAGS, *_TEXTS)


def load_layout(path: Path) -> Layout:
    """The layout of a mapping; its name is the file's. Raises InputError, naming file and key."""
    values = _tree(path)
    try:
        return _layout(path.stem, values)
    except InputError as error:
        raise InputError(error.what, where=f"{path}: {error.where}", allowed=error.allowed) from None


def _tree(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot be read: {why}", where=str(path), allowed="a readable file") from error
    if len(content) > LARGEST_FILE:
        raise InputError("too large for a mapping", where=str(path), allowed=f"{LARGEST_FILE} bytes")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not TOML: {error}", where=str(path)) from error


def _layout(name: str, values: dict[str, Any]) -> Layout:
    for key in values:
        if key not in _KEYS:
            raise InputError("not a key of a mapping", where=repr(key[:40]), allowed=", ".join(_KEYS))
    kinds = [kind.value for kind in Kind if kind != Kind.XML]
    kind = Kind(_one_of("kind", values.get("kind"), kinds))
    if kind == Kind.LINES and "number" in values:
        raise InputError(
            "a line is one number, without columns", where="number", allowed="kind = 'delimited'"
        )
    number = values.get("number", [1] if kind == Kind.LINES else None)
    columns = number if isinstance(number, list) else [number]
    action = values.get("action")
    return Layout(
        name,
        kind,
        _text("description", values),
        "a mapping",
        number=tuple(_column("number", column, kind) for column in columns[:MOST_WORDS]),
        width=_number("width", values.get("width", 0), 0),
        delimiter=known_as("delimiter", _text("delimiter", values) or ","),
        region=_text("region", values),
        encoding=_one_of("encoding", values.get("encoding", "utf-8"), ENCODINGS),
        action=None if action is None else _action(action, kind),
        **{key: _flag(key, values) for key in _FLAGS},
    )


def _action(value: object, kind: Kind) -> Action:
    if not isinstance(value, dict) or set(value) != {"column", "add", "remove"}:
        raise InputError("not an action", where="action", allowed="the keys column, add and remove")
    add, remove = (_words(f"action.{key}", value[key]) for key in ("add", "remove"))
    if set(add) & set(remove):
        raise InputError("one word for both", where="action.remove", allowed="other words than action.add")
    if kind == Kind.LINES:
        raise InputError("a line is one number", where="action", allowed="kind = 'delimited' or 'fixed'")
    return Action(_column("action.column", value["column"], kind), add, remove)


def _column(key: str, value: object, kind: Kind) -> Column:
    if kind == Kind.FIXED:
        if not isinstance(value, dict) or set(value) != {"start", "length"}:
            raise InputError("not characters of a line", where=key, allowed=_CHARACTERS)
        return Field(_number(key, value["start"], 1), _number(key, value["length"], 1))
    if isinstance(value, str) and 0 < len(value.strip()) <= 200:
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_COLUMN:
        raise InputError("not a column", where=key, allowed=_COLUMN)
    return value


def _words(key: str, value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list) else [value]
    texts = [word.strip().casefold() for word in words if isinstance(word, str)]
    if not 0 < len(words) <= MOST_WORDS or len(texts) < len(words):
        raise InputError("not words", where=key, allowed='a list of texts, as ["A", "add"]')
    return tuple(texts)


def _number(key: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST_COLUMN:
        raise InputError("not a number of characters", where=key, allowed=f"{least} to {LARGEST_COLUMN}")
    return value


def _text(key: str, values: dict[str, Any]) -> str:
    value = values.get(key, "")
    if not isinstance(value, str) or len(value) > 200 or not (value.isprintable() or key == "delimiter"):
        raise InputError("not a text", where=key, allowed="up to 200 printable characters")
    return value


def _flag(key: str, values: dict[str, Any]) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        raise InputError("neither true nor false", where=key, allowed="true or false")
    return value


def _one_of(key: str, value: object, allowed: list[str] | tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise InputError("not one of those that there are", where=key, allowed=", ".join(allowed))
    return value
