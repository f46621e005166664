"""Naming what is wrong in a document: pydantic's errors as ours, with the key's path and what is allowed.

A document is a tree of sections (the settings, a file of rules). A place in it is pydantic's location: the
keys, and the indices of lists, from the root on.
"""

import difflib
import json
import re
import typing
from collections.abc import Callable, Sequence
from datetime import date
from enum import Enum
from types import UnionType
from typing import Literal, TypeAlias, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from callguard.config.checks import Wrong
from callguard.config.sections import Section
from callguard.errors import ConfigurationError

Location: TypeAlias = tuple[str | int, ...]

MOST_ERRORS = 20
"""Errors shown of one reading."""

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def combined(errors: Sequence[ConfigurationError]) -> ConfigurationError:
    """The first of some errors, with the rest, as far as they can be read, in its `others`."""
    first, *others = errors[:MOST_ERRORS]
    if len(errors) > MOST_ERRORS:
        others.append(ConfigurationError(f"and {len(errors) - MOST_ERRORS} more errors"))
    return ConfigurationError(first.what, where=first.where, allowed=first.allowed, others=tuple(others))


def named(
    detail: ErrorDetails, root: type[Section], where: Callable[[Location, str], str]
) -> ConfigurationError:
    """One of pydantic's errors as ours. `where` tells the file or variable of a place, and its path, given
    the place and that path."""
    location = detail["loc"]
    raised = detail.get("ctx", {}).get("error")
    if detail["type"] == "extra_forbidden":
        section = section_at(root, location[:-1])
        keys = list(section.model_fields) if section else []
        return unknown(str(location[-1]), keys, "key", where(location, path(location)))
    if isinstance(raised, Wrong):
        whole = path(location, raised.key)
        return ConfigurationError(raised.what, where=where(location, whole), allowed=raised.allowed or None)
    field = field_at(root, location)
    what = "is missing" if detail["type"] == "missing" else f"cannot be {_told(detail, field)}"
    allowed = expected(field) or detail["msg"]
    return ConfigurationError(what, where=where(location, path(location)), allowed=allowed)


def unknown(
    name: str, known: Sequence[str], noun: str, where: str, shown: Sequence[str] | None = None
) -> ConfigurationError:
    """A name that is none of the known ones. `shown` are those to name, if not all."""
    allowed = ", ".join(sorted(shown or known)) or None
    return ConfigurationError(f"unknown {noun}{meant(name, known)}", where=where, allowed=allowed)


def meant(name: str, known: Sequence[str]) -> str:
    """`; did you mean password?`, if there is a name like it."""
    nearest = difflib.get_close_matches(name[:100], known, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def path(location: Location, below: str = "") -> str:
    """`trunks[1].ring_seconds`, `rule.hours.hours."sat,sun"`"""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in location]
    return ("".join(steps) + (f".{below}" if below else "")).removeprefix(".")


def _key(step: str) -> str:
    return step if _BARE.fullmatch(step) and len(step) <= 60 else json.dumps(short(step), ensure_ascii=False)


def short(text: str) -> str:
    """Text from outside, fit for a message: escaped and cut."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _told(detail: ErrorDetails, field: FieldInfo | None) -> str:
    """The value as far as it may be shown: numbers, and short words that are not part of a secret."""
    value = detail["input"]
    number = kind_of(field) in {int, float, bool}
    if isinstance(value, str):
        return f'"{short(value)}"' if detail["type"] in {"literal_error", "enum"} or number else "this text"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return short(str(value)) if number else "a number"
    if isinstance(value, dict):
        return "a table"
    return f"a list of {len(value)}" if isinstance(value, list) else "empty"


# --- what the tree of sections says about a place in it ----------------------------------------------------


def section_at(root: type[Section], location: Location) -> type[Section] | None:
    """The section at a place, if there is one."""
    section = root
    in_table = False
    for step in location:
        if isinstance(step, int):
            continue
        if in_table:  # the key of a table of sections, such as [projects.bank]
            in_table = False
            continue
        kind = kind_of(section.model_fields.get(step))
        inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if get_origin(kind) is dict:
            inner, in_table = get_args(kind)[1], True
        if not (isinstance(inner, type) and issubclass(inner, Section)):
            return None
        section = inner
    return None if in_table else section


def field_at(root: type[Section], location: Location) -> FieldInfo | None:
    """The setting at a place or around it: that of `internal` for `internal[3]`."""
    names = [(place, step) for place, step in enumerate(location) if isinstance(step, str)]
    for place, name in reversed(names):
        section = section_at(root, location[:place])
        if section is not None:
            return section.model_fields.get(name)
    return None


def kind_of(field: FieldInfo | None) -> typing.Any:
    """A setting's type, without `| None` and Annotated."""
    return _plain(field.annotation) if field else None


def _plain(kind: typing.Any) -> typing.Any:
    if get_origin(kind) in {UnionType, typing.Union}:
        kind = next(one for one in get_args(kind) if one is not type(None))
    return get_args(kind)[0] if get_origin(kind) is typing.Annotated else kind


def expected(field: FieldInfo | None) -> str:
    """What a setting takes, in words: its own description, or what its type says."""
    if field is None:
        return ""
    kind = kind_of(field)
    if description := next((one.description for one in (field, *_inner(field)) if one.description), None):
        return description
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(str(one.value) for one in kind)
    if kind is bool:
        return "true or false"
    if kind in {int, float}:
        return _expected_number(field, kind)
    if kind is date:
        return "a date, such as 2026-12-31"
    if get_origin(kind) is dict:
        return _expected_table(_plain(get_args(kind)[1]))
    if get_origin(kind) is tuple:
        return _expected_list(_plain(get_args(kind)[0]))
    if isinstance(kind, type) and issubclass(kind, Section):
        return "a section with the keys " + ", ".join(kind.model_fields)
    lengths = {
        name: getattr(limit, name)
        for limit in _limits(field)
        for name in ("min_length", "max_length")
        if hasattr(limit, name)
    }
    if "max_length" in lengths:
        return f"text of {lengths.get('min_length', 0)} to {lengths['max_length']} characters"
    return "text"


def _inner(field: FieldInfo) -> list[FieldInfo]:
    """What is said of the type in `Annotated[...] | None`."""
    if get_origin(field.annotation) not in {UnionType, typing.Union}:
        return []
    notes = [note for one in get_args(field.annotation) for note in getattr(one, "__metadata__", ())]
    return [note for note in notes if isinstance(note, FieldInfo)]


def _limits(field: FieldInfo) -> list[typing.Any]:
    return [limit for one in (field, *_inner(field)) for limit in one.metadata]


def _expected_number(field: FieldInfo, kind: type) -> str:
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}
    limits = [
        f"{word} {getattr(limit, name):g}"
        for name, word in words.items()
        for limit in _limits(field)
        if hasattr(limit, name)
    ]
    return " ".join(["a whole number" if kind is int else "a number", *limits])


def _expected_table(value: typing.Any) -> str:
    if isinstance(value, type) and issubclass(value, Section):
        return "tables with the keys " + ", ".join(value.model_fields)
    if isinstance(value, type) and issubclass(value, Enum):
        return "a table of name = " + " or ".join(str(one.value) for one in value)
    return "a table"


def _expected_list(inner: typing.Any) -> str:
    if inner is date:
        return "a list of dates, such as [2026-12-31]"
    if isinstance(inner, type) and issubclass(inner, Enum):
        return "a list of " + ", ".join(str(one.value) for one in inner)
    if isinstance(inner, type) and issubclass(inner, Section):
        return "a list of tables"
    return "a list of texts"
