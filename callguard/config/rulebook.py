"""The rules in force: the shipped presets, the user's files laid over them, and the failure policy."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from callguard.config.naming import Location, combined, path, unknown
from callguard.config.presets import Compiler, Document, Where, lay_over, lines_of
from callguard.config.sections import RegistrySettings, Settings
from callguard.config.tomlfile import read_toml
from callguard.errors import ConfigurationError
from callguard.screening import rules
from callguard.screening.model import Purpose
from callguard.screening.rules import AnyLine, Preset, Rules
from callguard.screening.times import national_holidays

SHIPPED = Path(__file__).parents[1] / "jurisdictions"
BASE = "base"


@dataclass(slots=True)
class _Layers:
    """A preset's documents, each laid over those before it."""

    files: list[tuple[Path, Document]] = field(default_factory=list)
    merged: Document = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    """The keys of lines that a later one changes or takes away."""

    def lay(self, file: Path, document: Document) -> None:
        self.files.append((file, document))
        self.replaced |= lines_of(self.merged).keys() & lines_of(document).keys()
        self.merged = lay_over(self.merged, document)

    def where(self, location: Location, told: str) -> str:
        """The topmost file that has a key, else what is around it; and the key's path."""
        for length in range(len(location), 0, -1):
            if not _has(self.merged, location[:length]):
                continue
            for file, document in reversed(self.files):
                if _has(document, location[:length]):
                    return f"{file}: {told}"
        return f"{self.files[-1][0]}: {told}" if told else str(self.files[-1][0])

    @property
    def has_own(self) -> bool:
        """Whether a file of the user's is among them."""
        return any(file.parent != SHIPPED for file, _ in self.files)


def load_rules(settings: Settings) -> Rules:
    """Read the shipped presets and the user's files. Blocks.

    Raises ConfigurationError, which names file and key: the first thing that is wrong, with the rest in its
    `others`.
    """
    errors: list[ConfigurationError] = []
    layers = _shipped(settings, errors)
    for file in _own_files(settings.rules.files, errors):
        _lay(file, layers, errors)
    if errors:
        raise combined(errors)
    ordered = [layers.pop(BASE), *layers.values()]
    return _rules(
        [
            _Written(_with(one.merged, settings.registries), one.where, one.has_own, one.replaced)
            for one in ordered
        ],
        settings,
    )


def load_rules_for_calls(settings: Settings) -> Rules:
    """The same, with this year's and the next year's holidays at hand: their library takes a third of a
    second at its first use, for which no call should wait. Blocks. Raises ConfigurationError."""
    loaded = load_rules(settings)
    year = datetime.now(UTC).year
    for line in chain.from_iterable(preset.lines for preset in loaded.presets):
        if isinstance(line, rules.HolidaysLine) and line.country is not None:
            for one in (year, year + 1):
                national_holidays(line.country, line.subdivision, one)
    return loaded


def rules_of(documents: Sequence[Document], settings: Settings) -> Rules:
    """Rules of these presets, the less specific ones first. Raises ConfigurationError."""

    def told(document: Document) -> Where:
        return lambda _, key: ": ".join(filter(None, (f"preset {document.get('id')}", key)))

    return _rules([_Written(document, told(document)) for document in documents], settings)


@dataclass(frozen=True, slots=True)
class _Written:
    """A preset as it is written, all its layers in one."""

    document: Document
    where: Where
    own: bool = True
    replaced: Set[str] | None = None
    """The keys that its upper layers change or take away; None where nobody knows them any more."""


def _rules(written: Sequence[_Written], settings: Settings) -> Rules:
    errors: list[ConfigurationError] = []
    compiler = Compiler(frozenset({*Purpose, *settings.rules.purposes}), errors)
    made = [(compiler.preset(one.document, one.where, holidays=one.own), one) for one in written]
    presets = [(preset, one) for preset, one in made if preset is not None]
    if not errors:
        errors += chain(_mistaken_keys(presets), _off_in_vain(presets))
    if errors:
        raise combined(errors)
    return Rules(
        [preset for preset, _ in presets],
        document=json.dumps([one.document for one in written], sort_keys=True, default=str),
        failure=settings.failure.policy(),
        purposes=settings.rules.purposes,
    )


# --- the files --------------------------------------------------------------------------------------------


def _shipped(settings: Settings, errors: list[ConfigurationError]) -> dict[str, _Layers]:
    files = {file.stem: file for file in SHIPPED.glob("*.toml")}
    wanted = set(files)
    if settings.rules.presets is not None:
        wanted = {BASE, *settings.rules.presets}
        for index, id_ in enumerate(settings.rules.presets):
            if id_ not in files:
                errors.append(unknown(id_, list(files), "preset", f"rules.presets[{index}]"))
    layers: dict[str, _Layers] = {}
    # In this order: of two presets of equally long prefixes the later one lies above, as US-FL does above US.
    for id_ in sorted(wanted & files.keys()):
        layers[id_] = _Layers()
        layers[id_].lay(files[id_], _dated(read_toml(files[id_])))
    return layers


def _own_files(files: Iterable[Path], errors: list[ConfigurationError]) -> list[Path]:
    """Those of the files that are named once."""
    found: dict[Path, Path] = {}
    for index, file in enumerate(files):
        if file.resolve() in found:
            what, where = f"{file} is named twice", f"rules.files[{index}]"
            errors.append(ConfigurationError(what, where=where, allowed="each file once"))
        found.setdefault(file.resolve(), file)
    return list(found.values())


def _lay(file: Path, layers: dict[str, _Layers], errors: list[ConfigurationError]) -> None:
    """Read a user's file, and lay it over what has its id."""
    if file.exists() and not file.is_file():
        # Reading a pipe would wait for whoever writes into it.
        errors.append(ConfigurationError("is not a file", where=str(file), allowed="a file of rules"))
        return
    try:
        document = _dated(read_toml(file))
    except ConfigurationError as error:
        errors.append(error)
        return
    id_ = document.get("id")
    if not isinstance(id_, str):
        allowed = "that of a shipped preset, to lie over it, or a name of your own"
        what = "is missing" if id_ is None else "is not text"
        errors.append(ConfigurationError(what, where=f"{file}: id", allowed=allowed))
    elif id_ not in layers and id_ in {one.stem for one in SHIPPED.glob("*.toml")}:
        what = f"the shipped preset {id_} is not in use"
        errors.append(ConfigurationError(what, where=f"{file}: id", allowed="one of those in rules.presets"))
    else:
        errors += _narrowing(file, document, id_)
        layers.setdefault(id_, _Layers()).lay(file, document)


def _narrowing(file: Path, document: Document, id_: str) -> Iterable[ConfigurationError]:
    """Keys by which a shipped preset would bind some calls and silently none of the others: of `base`, not
    even an opt-out would."""
    narrow = ("projects", "regions", "prefixes") if id_ == BASE else ("projects",)
    for key in narrow:
        if key in document and (SHIPPED / f"{id_}.toml").exists():
            what = f"would take the preset {id_} away from all other calls"
            allowed = "in a preset with an id of its own"
            yield ConfigurationError(what, where=f"{file}: {key}", allowed=allowed)


def _dated(document: Document) -> Document:
    """A file's document, its lines with the file's own date where they have none."""
    dated, lines = document.get("as_of"), lines_of(document)
    if dated is None or not lines:
        return document
    return {
        **document,
        "rule": {
            key: {"as_of": dated, **line} if isinstance(line, dict) else line for key, line in lines.items()
        },
    }


def _with(document: Mapping[str, Any], registries: RegistrySettings) -> Document:
    """A preset with what the section [registries] lays over it."""
    does = {
        "stale-registry": ("registries.stale", registries.stale),
        "not-covered": ("registries.not_covered", registries.not_covered),
    }
    lines = {}
    for key, line in lines_of(document).items():
        kind = line.get("kind") if isinstance(line, dict) else None
        setting, said = does.get(kind, ("", None)) if isinstance(kind, str) else ("", None)
        if said is not None and "days" not in line:
            lines[key] = {**line, "does": str(said), "source": f"settings: {setting}"}
    return {**document, "rule": {**lines_of(document), **lines}} if lines else dict(document)


def _has(document: Any, location: Location) -> bool:
    """Tell whether a document has a key."""
    try:
        for step in location:
            document = document[step]
    except (IndexError, KeyError, TypeError):
        return False
    return True


# --- what no preset can tell by itself --------------------------------------------------------------------


def _mistaken_keys(presets: Sequence[tuple[Preset, _Written]]) -> Iterable[ConfigurationError]:
    """Keys that mean one thing in one preset and another in the next, and things that have two keys: a line
    would silently take the place of another, or stand beside one that it was to replace."""
    meanings: dict[str, str] = {}
    keys: dict[str, str] = {}
    for preset, written in presets:
        for line in preset.lines:
            if line.off:
                continue
            meaning, only_one = _meaning(line)
            place = _place(line, written)
            known = meanings.setdefault(line.key, meaning)
            if known != meaning:
                what = f"is of {meaning}, but elsewhere this key is of {known}"
                yield ConfigurationError(what, where=place, allowed="a key of its own")
            elif only_one and keys.setdefault(meaning, line.key) != line.key:
                what = f"{meaning} has the rule {keys[meaning]} already"
                yield ConfigurationError(what, where=place, allowed=f"[rule.{keys[meaning]}]")


def _place(line: AnyLine, written: _Written) -> str:
    location: Location = ("rule", line.key)
    return written.where(location, path(location))


def _meaning(line: AnyLine) -> tuple[str, bool]:
    """What a line is about, and whether a call has only one line about it."""
    match line:
        case rules.CategoryLine():
            return f"category {line.category}", True
        case rules.RegistryLine():
            return f"registry {line.list}" if line.list else "registries", True
        case rules.ExemptionLine():
            return f"exemption {line.kind}", True
        case rules.OverrideLine():
            return "override", True
        case _:
            return type(line).__name__.removesuffix("Line").lower(), False


def _off_in_vain(presets: Sequence[tuple[Preset, _Written]]) -> Iterable[ConfigurationError]:
    """Lines that are to take away what is not there."""
    for preset, written in presets:
        if written.replaced is None or not any(line.off for line in preset.lines):
            continue
        below = [other for other, _ in presets if other is not preset and _lies_below(other, preset)]
        keys = {line.key for other in (*below, preset) for line in other.lines if not line.off}
        for line in preset.lines:
            if line.off and line.key not in keys and line.key not in written.replaced:
                yield unknown(line.key, sorted(keys), "rule", _place(line, written))


def _lies_below(other: Preset, preset: Preset) -> bool:
    """Tell whether a call that a preset is for may also be one that the other is for."""
    if other.projects and not other.projects & preset.projects:
        return False
    mine, theirs = preset.prefixes or ("",), other.prefixes or ("",)
    return any(one.startswith(prefix) or prefix.startswith(one) for one in mine for prefix in theirs)
