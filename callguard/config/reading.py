"""Reading the settings: a TOML file, environment variables over it, and every error named at once.

The file is the one given (--config), else the one that CALLGUARD_CONFIG names, else
/etc/callguard/callguard.toml if there is one: `callguard add` by hand must write to the same lists that the
service reads. CALLGUARD_CONFIG set but empty means no file at all. With no file, the defaults are embedded.

A variable CALLGUARD_<SECTION>__<KEY> lies over the file: CALLGUARD_ASTERISK__PASSWORD. Numbers, true and
false, lists and tables are written as JSON; CALLGUARD_TRUNKS is the whole list of trunks. CALLGUARD_STATE is
`state`. Paths in the file begin at the file's folder, paths in variables at the current one.
"""

import json
import os
import stat
import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from callguard.config.naming import (
    Location,
    combined,
    expected,
    field_at,
    kind_of,
    meant,
    named,
    path,
    short,
    unknown,
)
from callguard.config.sections import SecretSection, Section, Settings
from callguard.config.tomlfile import read_toml
from callguard.errors import ConfigurationError
from callguard.screening.model import Purpose

SYSTEM_FILE = Path("/etc/callguard/callguard.toml")

_PREFIX = "CALLGUARD_"

Tree: TypeAlias = dict[str, typing.Any]


def load(given: Path | None, environ: Mapping[str, str], *, system_file: Path = SYSTEM_FILE) -> Settings:
    """Read and check the settings. See the module for what is read.

    Raises ConfigurationError: the first thing that is wrong, with the rest in its `others`.
    """
    file = _file(given, environ, system_file)
    tree = read_toml(file) if file else {}
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

        def where(location: Location, told: str) -> str:
            return _where(location, file, variables, told)

        errors += [named(detail, Settings, where) for detail in wrong.errors(include_url=False)]
    else:
        errors += _unreadable_passwords(settings, file, variables)
        errors += _unknown_purposes(settings, file, variables)
        if not errors:
            return settings
    raise combined(errors)


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


def _file(given: Path | None, environ: Mapping[str, str], system_file: Path) -> Path | None:
    if given is not None:
        return given
    if "CALLGUARD_CONFIG" in environ:
        return Path(environ["CALLGUARD_CONFIG"]) if environ["CALLGUARD_CONFIG"] else None
    return system_file if os.path.lexists(system_file) else None


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
            errors.append(unknown(variable, list(known), "variable", short(variable), _near(variable, known)))
            continue
        try:
            value = _value(environ[variable], field_at(Settings, location))
        except ValueError:
            allowed = expected(field_at(Settings, location))
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
    kind = kind_of(field)
    if kind is Path:
        return _from_here(text)
    if kind in {int, float, bool} or get_origin(kind) in {tuple, dict}:
        try:
            value = json.loads(text)
        except RecursionError as error:
            raise ValueError from error
        if get_origin(kind) is tuple and get_args(kind)[0] is Path and isinstance(value, list):
            return [_from_here(one) if isinstance(one, str) else one for one in value]
        return value
    return text


def _from_here(text: str) -> str:
    """A path in a variable begins at the current folder."""
    return str(Path.cwd() / text) if text and not text.startswith("~") else text


# --- naming what is wrong ---------------------------------------------------------------------------------


def _unreadable_passwords(
    settings: Settings, file: Path | None, variables: dict[Location, str]
) -> Iterator[ConfigurationError]:
    for section in _secret_sections(settings):
        try:
            section.secret()
        except ConfigurationError as error:
            where = _where((section.SECTION, "password_file"), file, variables)
            yield ConfigurationError(error.what, where=where, allowed=error.allowed)


def _unknown_purposes(
    settings: Settings, file: Path | None, variables: dict[Location, str]
) -> Iterator[ConfigurationError]:
    """Purposes that a setting names and nobody knows: a call of such a purpose would be one of marketing."""
    known = sorted({*Purpose, *settings.rules.purposes})
    projects = settings.projects.items()
    said: list[tuple[Location, str | None]] = [
        (("defaults", "purpose"), settings.defaults.purpose),
        *((("projects", name, "purpose"), project.purpose) for name, project in projects),
        *((("failure", "by_purpose", name), name) for name in settings.failure.by_purpose),
    ]
    for location, purpose in said:
        if purpose is not None and purpose not in known:
            what = f"{short(purpose)} is no purpose{meant(purpose, known)}"
            allowed = f"{', '.join(known)}; your own go into rules.purposes"
            yield ConfigurationError(what, where=_where(location, file, variables), allowed=allowed)


def _secret_sections(settings: Settings) -> Iterator[SecretSection]:
    for name in Settings.model_fields:
        section = getattr(settings, name)
        if isinstance(section, SecretSection):
            yield section


def _where(
    location: Location, file: Path | None, variables: dict[Location, str], told: str | None = None
) -> str:
    """The variables that a value came from, else the file; and the key's path."""
    sources = [
        name for at, name in variables.items() if location[: len(at)] == at or at[: len(location)] == location
    ]
    if not location and told:  # two sections that do not agree: the key that the check names
        sources = [name for at, name in variables.items() if told.startswith(path(at))]
    exact = bool(location) and location in variables
    if exact and told in {None, path(location)}:
        return sources[0]
    if not sources and file:
        sources = [str(file)]
    return ": ".join([*sources[:1], told or path(location)])
