"""The rules in force: the shipped presets, the user's files laid over them, and the failure policy."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callguard.config.presets import Document, compile_presets, lay_over
from callguard.config.sections import RegistrySettings, Settings
from callguard.screening.rules import Rules

SHIPPED = Path(__file__).parents[1] / "jurisdictions"
BASE = "base"


def load_rules(settings: Settings) -> Rules:
    """Read the presets and the user's files. Blocks. Raises ConfigurationError, naming file and key."""
    shipped = sorted(map(_read, SHIPPED.glob("*.toml")), key=lambda document: str(document["id"]))
    # In this order: of two presets of equally long prefixes the later one lies above, as US-FL does above US.
    documents = {document["id"]: document for document in shipped}
    if settings.rules.presets is not None:
        wanted = {BASE, *settings.rules.presets}
        documents = {id_: document for id_, document in documents.items() if id_ in wanted}
    for file in settings.rules.files:
        document = _read(file)
        documents[document["id"]] = lay_over(documents.get(document["id"], {}), document)
    ordered = [documents.pop(BASE), *documents.values()]
    return rules_of([_with(document, settings.registries) for document in ordered], settings)


def rules_of(documents: Sequence[Document], settings: Settings) -> Rules:
    """Rules of these presets."""
    return Rules(
        compile_presets(documents),
        document=json.dumps(documents, sort_keys=True, default=str),
        failure=settings.failure.policy(),
        purposes=settings.rules.purposes,
    )


def _read(file: Path) -> Document:
    return tomllib.loads(file.read_text("utf-8"))


def _with(document: Mapping[str, Any], registries: RegistrySettings) -> Document:
    """A preset with what the section [registries] lays over it."""
    does = {"stale-registry": registries.stale, "not-covered": registries.not_covered}
    lines = {}
    for key, line in document.get("rule", {}).items():
        said = does.get(line.get("kind", ""))
        lines[key] = line if said is None or "days" in line else {**line, "does": str(said)}
    return {**document, "rule": lines}
