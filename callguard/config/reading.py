"""Reading the settings: a TOML file, environment variables over it, and every error named at once.

The file is the one given (--config), else the one that CALLGUARD_CONFIG names, else
/etc/callguard/callguard.toml if there is one: `callguard add` by hand must write to the same lists that the
service reads. CALLGUARD_CONFIG set but empty means no file at all. With no file, the defaults are embedded.

A variable CALLGUARD_<SECTION>__<KEY> lies over the file: CALLGUARD_ASTERISK__PASSWORD. Numbers, true and
false, lists and tables are written as JSON; CALLGUARD_TRUNKS is the whole list of trunks. CALLGUARD_STATE is
`state`. Paths in the file begin at the file's folder, paths in variables at the current one.
"""

import difflib
import json
import os
import re
import stat
import tomllib
import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Literal, TypeAlias, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from callguard.config.checks import MOST_TRUNKS, Wrong
from callguard.config.sections import SecretSection, Section, Settings
from callguard.errors import ConfigurationError
from callguard.screening.model import Verdict

SYSTEM_FILE = Path("/etc/callguard/callguard.toml")
LARGEST_FILE = 1_000_000
"""Bytes; a larger file is not a file of settings."""
MOST_ERRORS = 20
"""Errors shown of one reading."""

_PREFIX = "CALLGUARD_"

Tree: TypeAlias = dict[str, typing.Any]
Location: TypeAlias = tuple[str | int, ...]


def load(path: Path | None, environ: Mapping[str, str], *, system_file: Path = SYSTEM_FILE) -> Settings:
    """Read and check the settings. See the module for what is read.

    Raises ConfigurationError: the first thing that is wrong, with the rest in its `others`.
    """
    file = _file(path, environ, system_file)
    tree = _tree(file) if file else {}
    errors: list[ConfigurationError] = []
    variables = _lay_over(tree, environ, errors)
    tree.setdefault("state", str(_default_state(environ)))
    try:
        settings = Settings.model_validate_json(
            json.dumps(tree, default=str),
            strict=True,
            context={"folder": file.parent.resolve() if file else Path.cwd()},
        )
    except ValidationError as wrong:
        errors += [_named(detail, file, variables) for detail in wrong.errors(include_url=False)]
    else:
        errors += _unreadable_passwords(settings, file, variables)
        if not errors:
            return settings
    first, *others = errors[:MOST_ERRORS]
    if len(errors) > MOST_ERRORS:
        others.append(ConfigurationError(f"and {len(errors) - MOST_ERRORS} more errors"))
    raise ConfigurationError(first.what, where=first.where, allowed=first.allowed, others=tuple(others))


def advice(settings: Settings) -> list[str]:
    """What is allowed but unwise in these settings, a sentence each."""
    clock = settings.rules.clock
    trial = [f"rules.clock: calls are screened as if the guard had started at {clock}: for trials only"]
    return (trial if clock else []) + [
        f"{section.SECTION}.password_file: {section.password_file} can be read by everybody: chmod 600"
        for section in _secret_sections(settings)
        if section.password_file is not None
        and section.password_file.exists()
        and section.password_file.stat().st_mode & stat.S_IROTH
    ]


def _file(path: Path | None, environ: Mapping[str, str], system_file: Path) -> Path | None:
    if path is not None:
        return path
    if "CALLGUARD_CONFIG" in environ:
        return Path(environ["CALLGUARD_CONFIG"]) if environ["CALLGUARD_CONFIG"] else None
    return system_file if os.path.lexists(system_file) else None


def _tree(file: Path) -> Tree:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"cannot be read: {why}", where=str(file), allowed="a readable file"
        ) from error
    if len(content) > LARGEST_FILE:
        raise ConfigurationError("is too large", where=str(file), allowed=f"{LARGEST_FILE} bytes")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("is not UTF-8", where=f"{file}:{line}") from error
    except (ValueError, RecursionError) as error:
        what = str(error) or "nested too deeply"
        line_found = re.search(r" \(at line (\d+), column \d+\)", what)
        where = f"{file}:{line_found[1]}" if line_found else str(file)
        raise ConfigurationError(f"is not TOML: {what}", where=where) from error


def _default_state(environ: Mapping[str, str]) -> Path:
    """By the XDG base directory specification; a relative XDG_STATE_HOME is to be ignored, it says."""
    home = environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME") or "/var/lib") / ".local/state"
    return base / "callguard"


# --- the environment --------------------------------------------------------------------------------------


def _known_variables() -> dict[str, tuple[str, ...]]:
    """Every variable that may be set, with the setting it lies over."""
    known: dict[str, tuple[str, ...]] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for key in section.model_fields:
                known[f"{_PREFIX}{name}__{key}".upper()] = (name, key)
        else:
            known[f"{_PREFIX}{name}".upper()] = (name,)
    return known


def _lay_over(
    tree: Tree, environ: Mapping[str, str], errors: list[ConfigurationError]
) -> dict[Location, str]:
    """Put the variables' values into the tree; tell which variable each came from."""
    known = _known_variables()
    came_from: dict[Location, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or variable == "CALLGUARD_CONFIG":
            continue
        location = known.get(variable)
        if location is None:
            errors.append(
                _unknown(variable, list(known), "variable", _short(variable), _near(variable, known))
            )
            continue
        try:
            value = _value(environ[variable], _field(location))
        except ValueError:
            allowed = _expected(_field(location))
            errors.append(ConfigurationError("cannot be read", where=variable, allowed=allowed))
            continue
        target = tree.setdefault(location[0], {}) if len(location) == 2 else tree
        if isinstance(target, dict):  # else the file has no section of this name, which is told later
            target[location[-1]] = value
            came_from[location] = variable
    return came_from


def _near(variable: str, known: Collection[str]) -> list[str]:
    """Those of the variables worth showing: of the same section, else of no section."""
    section = variable.partition("__")[0] + "__"
    alike = [name for name in known if name.startswith(section)]
    return alike or [
        "CALLGUARD_CONFIG",
        *(name for name in known if "__" not in name),
        "CALLGUARD_<SECTION>__<KEY>",
    ]


def _value(text: str, field: FieldInfo | None) -> object:
    text.encode()  # a variable that is not UTF-8 cannot be a setting: UnicodeEncodeError is a ValueError
    kind = _kind(field)
    if kind is Path:
        return str(Path.cwd() / text) if text and not text.startswith("~") else text
    if kind in {int, float, bool} or get_origin(kind) in {tuple, dict}:
        try:
            return json.loads(text)
        except RecursionError as error:
            raise ValueError from error
    return text


# --- naming what is wrong ---------------------------------------------------------------------------------


def _named(detail: ErrorDetails, file: Path | None, variables: dict[Location, str]) -> ConfigurationError:
    """One of pydantic's errors as ours."""
    location = detail["loc"]
    raised = detail.get("ctx", {}).get("error")
    if detail["type"] == "extra_forbidden":
        section = _section(location[:-1])
        keys = list(section.model_fields) if section else []
        return _unknown(str(location[-1]), keys, "key", _where(location, file, variables))
    if isinstance(raised, Wrong):
        whole = _path(location, raised.key)
        where = _where(location, file, variables, whole)
        return ConfigurationError(raised.what, where=where, allowed=raised.allowed or None)
    what = "is missing" if detail["type"] == "missing" else f"cannot be {_told(detail)}"
    allowed = _expected(_field(location)) or detail["msg"]
    return ConfigurationError(what, where=_where(location, file, variables), allowed=allowed)


def _told(detail: ErrorDetails) -> str:
    """The value as far as it may be shown: numbers, and short words that are not part of a secret."""
    value = detail["input"]
    if isinstance(value, str):
        public = detail["type"] in {"literal_error", "enum"} or _kind(_field(detail["loc"])) in {
            int,
            float,
            bool,
        }
        return f'"{_short(value)}"' if public else "this text"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _short(str(value)) if _kind(_field(detail["loc"])) in {int, float, bool} else "a number"
    if isinstance(value, dict):
        return "a table"
    return f"a list of {len(value)}" if isinstance(value, list) else "empty"


def _unknown(
    name: str, known: list[str], noun: str, where: str, shown: list[str] | None = None
) -> ConfigurationError:
    nearest = difflib.get_close_matches(name[:100], known, n=1)
    meant = f"; did you mean {nearest[0]}?" if nearest else ""
    allowed = ", ".join(sorted(shown or known)) or None
    return ConfigurationError(f"unknown {noun}{meant}", where=where, allowed=allowed)


def _unreadable_passwords(
    settings: Settings, file: Path | None, variables: dict[Location, str]
) -> Iterator[ConfigurationError]:
    for section in _secret_sections(settings):
        try:
            section.secret()
        except ConfigurationError as error:
            where = _where((section.SECTION, "password_file"), file, variables)
            yield ConfigurationError(error.what, where=where, allowed=error.allowed)


def _secret_sections(settings: Settings) -> Iterator[SecretSection]:
    for name in Settings.model_fields:
        section = getattr(settings, name)
        if isinstance(section, SecretSection):
            yield section


def _where(
    location: Location, file: Path | None, variables: dict[Location, str], path: str | None = None
) -> str:
    """The variables that a value came from, else the file; and the key's path."""
    sources = [
        name for at, name in variables.items() if location[: len(at)] == at or at[: len(location)] == location
    ]
    if not location and path:  # two sections that do not agree: the key that the check names
        sources = [name for at, name in variables.items() if path.startswith(_path(at))]
    exact = bool(location) and location in variables
    if exact and path in {None, _path(location)}:
        return sources[0]
    if not sources and file:
        sources = [str(file)]
    return ": ".join([*sources[:1], path or _path(location)])


def _path(location: Location, below: str = "") -> str:
    """`trunks[1].ring_seconds`"""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in location]
    return ("".join(steps) + (f".{below}" if below else "")).removeprefix(".")


def _short(text: str) -> str:
    """Text from outside, fit for a message: escaped and cut."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


# --- what the tree of settings says about a place in it ----------------------------------------------------


def _section(location: Location) -> type[Section] | None:
    """The section at a place, if there is one."""
    section: type[Section] = Settings
    for step in location:
        if isinstance(step, int):
            continue
        field = section.model_fields.get(step)
        kind = _kind(field)
        inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if not (isinstance(inner, type) and issubclass(inner, Section)):
            return None
        section = inner
    return section


def _field(location: Location) -> FieldInfo | None:
    """The setting at a place or around it: that of `internal` for `internal[3]`."""
    names = [(place, step) for place, step in enumerate(location) if isinstance(step, str)]
    for place, name in reversed(names):
        section = _section(location[:place])
        if section is not None:
            return section.model_fields.get(name)
    return None


def _kind(field: FieldInfo | None) -> typing.Any:
    """A setting's type, without `| None` and Annotated."""
    kind: typing.Any = field.annotation if field else None
    if get_origin(kind) in {UnionType, typing.Union}:
        kind = next(one for one in get_args(kind) if one is not type(None))
    return get_args(kind)[0] if get_origin(kind) is typing.Annotated else kind


def _expected(field: FieldInfo | None) -> str:
    """What a setting takes, in words."""
    if field is None:
        return ""
    kind = _kind(field)
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if kind is Verdict:
        return " or ".join(Verdict)
    if kind is bool:
        return "true or false"
    if kind in {int, float}:
        words = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}
        limits = [
            f"{word} {getattr(limit, name):g}"
            for name, word in words.items()
            for limit in field.metadata
            if hasattr(limit, name)
        ]
        return " ".join(["a whole number" if kind is int else "a number", *limits])
    if get_origin(kind) is dict:
        return "a table of purpose = allow or refuse"
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        many = isinstance(inner, type) and issubclass(inner, Section)
        return f"1 to {MOST_TRUNKS} tables" if many else "a list of texts"
    if isinstance(kind, type) and issubclass(kind, Section):
        return "a section with the keys " + ", ".join(kind.model_fields)
    lengths = {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("min_length", "max_length")
        if hasattr(limit, name)
    }
    if "max_length" in lengths:
        return f"text of {lengths.get('min_length', 0)} to {lengths['max_length']} characters"
    return "text"
